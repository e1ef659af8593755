//! `vereda review`.

use clap::Subcommand;
use serde_json::json;
use vereda_client_core::{
    device::{Ambient, Device},
    review::{DiscardRequest, OwnReviewState, ReviewView, ReviewedKind},
    vault::Vault,
};

use super::{
    Common,
    access::{Wait, decide},
};
use crate::{
    fault::{Fault, Outcome},
    opened::Opened,
    output::{note, print, print_json, print_line},
    table::{Table, one_line},
    views::{count, moment, name, plain, short, short_place},
};

/// Decides on what came after its author's rights had ended
///
/// Nobody's offline work is lost by a removal: what comes later waits here for a manager of the team, who takes it in or
/// turns it away.
#[derive(Debug, Subcommand)]
pub(crate) enum Review {
    /// Lists what awaits your decision: whose, when, and what would change from what to what
    ///
    /// Example: vereda review list
    List,
    /// Shows what awaits your decision in one case or section
    ///
    /// Example: vereda review show 5f0c
    Show {
        /// The case or section
        id: String,
    },
    /// Takes in all that is in review of one case, or of all
    ///
    /// Examples:
    ///   vereda review adopt 5f0c
    ///   vereda review adopt --all
    #[command(verbatim_doc_comment)]
    Adopt {
        /// The case or section
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All that is in review
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Turns away all that is in review of one case, with a reason
    ///
    /// Its author is told the reason only where he still reads the case.
    ///
    /// Example: vereda review discard 5f0c --reason 'Recorded twice'
    Discard {
        /// The case or section
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Lists what became of your own work that came after your rights had ended
    ///
    /// Example: vereda review own
    Own,
}

impl Review {
    pub(super) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::List => list(common, None),
            Self::Show { id } => list(common, Some(&id)),
            Self::Adopt { id, wait, .. } => decide(common, &wait, |device, ambient| {
                let adopted = adopt(device, ambient, id.as_deref())?;
                note(&format!("{} taken in.", count(adopted, "document")));
                Ok(())
            }),
            Self::Discard { id, reason, wait } => {
                decide(common, &wait, |device, ambient| discard(device, ambient, &id, reason))
            }
            Self::Own => own(common),
        }
    }
}

/// Lists what awaits a decision, in all documents or in one.
pub(crate) fn reviews(device: &mut Device<Vault>, id: Option<&str>) -> Outcome<Vec<ReviewView>> {
    let only = id.map(|id| device.find_review(id)).transpose()?;
    let mut reviews = device.reviews()?;
    reviews.retain(|review| only.is_none_or(|only| only == review.document));
    Ok(reviews)
}

/// Takes in what is in review of one document, or of all; tells of how many.
pub(crate) fn adopt(device: &mut Device<Vault>, ambient: &mut Ambient<'_>, id: Option<&str>) -> Outcome<usize> {
    let Some(id) = id else { return Ok(device.adopt_all_reviews(ambient)?) };
    let document = device.find_review(id)?;
    device.adopt_review(ambient, &document)?;
    Ok(1)
}

/// Turns away what is in review of one document.
pub(crate) fn discard(device: &mut Device<Vault>, ambient: &mut Ambient<'_>, id: &str, reason: String) -> Outcome {
    let document = device.find_review(id)?;
    Ok(device.discard_review(ambient, &DiscardRequest { document, reason })?)
}

fn list(common: &Common, id: Option<&str>) -> Outcome {
    let opened = Opened::open(common)?;
    let reviews = opened.device().with(|device, _| reviews(device, id))?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"reviews": reviews}));
    }
    if reviews.is_empty() {
        return print_line("Nothing awaits your decision.");
    }
    for review in &reviews {
        print(&describe(review))?;
    }
    if reviews.iter().any(|review| review.decided.is_none()) {
        note("Take in with: vereda review adopt ID. Turn away with: vereda review discard ID --reason TEXT");
    }
    Ok(())
}

fn describe(review: &ReviewView) -> String {
    let kind = match review.kind {
        ReviewedKind::Case => "Case",
        ReviewedKind::Section => "Section",
        ReviewedKind::Other => "Document",
    };
    let title = review.title.as_deref().map_or_else(|| "(no name yet)".to_owned(), one_line);
    let mut out = format!("{kind} {} {title}\n", short(&review.document));
    if let Some(author) = review.begun_by.as_ref().filter(|_| review.is_new) {
        let person = name(author.name.clone());
        out.push_str(&format!("Begun by {person}, received {}\n", moment(review.received)));
    }
    if let Some(decided) = review.decided {
        let decided = if decided == "adopt" { "taken in" } else { "turned away" };
        out.push_str(&format!("You decided: {decided}. It becomes final when the relay is reached: vereda sync\n"));
    }
    let removed: std::collections::BTreeSet<String> =
        review.works.iter().filter(|work| work.is_device_removed).map(|work| name(work.author.name.clone())).collect();
    for author in removed {
        out.push_str(&format!("Beware: written on a device of {author}'s that was removed. Ask {author}.\n"));
    }
    let mut table = Table::folding(&["MADE", "RECEIVED", "WHO", "FIELD", "FROM", "TO"]);
    for work in &review.works {
        let (received, author) = (moment(work.received), name(work.author.name.clone()));
        if let Some(reason) = &work.unreadable {
            let unread = format!("cannot be read here: {reason}");
            table.row([String::new(), received, author, unread, String::new(), String::new()]);
            continue;
        }
        for change in &work.changes {
            table.row([
                moment(change.time),
                received.clone(),
                author.clone(),
                short_place(&change.place),
                plain(&change.from),
                plain(&change.to),
            ]);
        }
    }
    out.push_str(&table.render());
    out.push('\n');
    out
}

fn own(common: &Common) -> Outcome {
    let opened = Opened::open(common)?;
    let own = opened.device().with(|device, _| Ok::<_, Fault>(device.own_reviews()?))?;
    opened.close()?;
    if common.json {
        return print_json(&json!({"own": own}));
    }
    if own.is_empty() {
        return print_line("None of your work was ever in review.");
    }
    let mut table = Table::folding(&["DOCUMENT", "NAME", "STATE", "WHEN", "BY", "WHY"]);
    for view in &own {
        let state = match view.state {
            OwnReviewState::InReview => "awaits a decision",
            OwnReviewState::Adopted => "taken in",
            OwnReviewState::TurnedAway => "turned away; kept on this device",
        };
        let title = view.title.as_deref().map_or_else(|| "(not readable)".to_owned(), one_line);
        let by = view.by.as_ref().map(|by| name(by.name.clone())).unwrap_or_default();
        let when = view.decided.map(moment).unwrap_or_default();
        let why = view.reason.clone().unwrap_or_default();
        table.row([short(&view.document), title, state.to_owned(), when, by, why]);
    }
    print(&table.render())
}
