//! `vereda review`.

use clap::Subcommand;
use serde_json::json;
use vereda_client_core::review::{DiscardRequest, OwnReviewState, ReviewView, ReviewedKind};

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
            Self::List => list(common),
            Self::Adopt { id, wait, .. } => decide(common, &wait, |device, ambient| {
                let Some(id) = id else {
                    let adopted = device.adopt_all_reviews(ambient)?;
                    note(&format!("{} taken in.", count(adopted, "document")));
                    return Ok(());
                };
                let document = device.find_review(&id)?;
                Ok(device.adopt_review(ambient, &document)?)
            }),
            Self::Discard { id, reason, wait } => decide(common, &wait, |device, ambient| {
                let document = device.find_review(&id)?;
                Ok(device.discard_review(ambient, &DiscardRequest { document, reason })?)
            }),
            Self::Own => own(common),
        }
    }
}

fn list(common: &Common) -> Outcome {
    let opened = Opened::open(common)?;
    let reviews = opened.device().with(|device, _| device.reviews())?;
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
    note("Take in with: vereda review adopt ID. Turn away with: vereda review discard ID --reason TEXT");
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
    let mut table = Table::folding(&["DOCUMENT", "NAME", "STATE", "BY", "WHY"]);
    for view in &own {
        let state = match view.state {
            OwnReviewState::InReview => "awaits a decision",
            OwnReviewState::Adopted => "taken in",
            OwnReviewState::TurnedAway => "turned away; kept on this device",
        };
        let title = view.title.as_deref().map_or_else(|| "(not readable)".to_owned(), one_line);
        let by = view.by.as_ref().map(|by| name(by.name.clone())).unwrap_or_default();
        table.row([short(&view.document), title, state.to_owned(), by, view.reason.clone().unwrap_or_default()]);
    }
    print(&table.render())
}
