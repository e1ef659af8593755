//! `vereda invite` and `vereda invites`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;
use vereda_client_core::{
    identity::{InviteRequest, InviteState, InviteView},
    words,
};

use super::{
    Common,
    access::{Wait, decide},
};
use crate::{
    contact::exchange,
    fault::{Fault, Outcome},
    opened::Opened,
    output::{note, print, print_json, print_line},
    qr,
    table::Table,
    views::{moment, name, short, word_of},
};

/// Invites somebody into a team or the agency
///
/// The relay has to be reached once: then there is a link to pass on. It holds a
/// secret and is good for one person, so pass it on as carefully as a key. If the
/// relay is not reached, the invite waits; after `vereda sync`, the link stands in
/// `vereda invites --links`.
///
/// Examples:
///   vereda invite North --role editor
///   vereda invite agency --role manager --hours 24 --qr
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Invite {
    /// A team's name or id, or the word `agency`
    group: String,
    /// What the person may do: read; read and write; also invite and grant
    #[arg(long, value_enum, default_value_t = RoleWord::Editor)]
    role: RoleWord,
    /// For how many hours the invite stays open
    #[arg(long, alias = "expires", default_value_t = 72, value_name = "HOURS")]
    hours: u64,
    /// Also draws the link as a QR code in the terminal
    #[arg(long)]
    qr: bool,
    /// How long to wait for the relay, in seconds
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    wait: u64,
}

/// The roles.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RoleWord {
    /// Reads
    Reader,
    /// Reads and writes
    Editor,
    /// Also invites and grants
    Manager,
}

impl RoleWord {
    pub(super) const fn reader() -> Self {
        Self::Reader
    }

    pub(super) const fn editor() -> Self {
        Self::Editor
    }

    /// The word of the library.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Editor => "editor",
            Self::Manager => "manager",
        }
    }
}

impl Invite {
    pub(super) fn run(self, common: &Common) -> Outcome {
        let role = words::read_role(self.role.word()).ok_or_else(|| Fault::usage("no such role"))?;
        let opened = Opened::open(common)?;
        let open_for = Duration::from_secs(self.hours.saturating_mul(3_600));
        let invite = opened.device().with(|device, ambient| {
            let chain = device.find_group(&self.group)?;
            Ok::<_, Fault>(device.invite(ambient, &InviteRequest { chain, role, open_for })?)
        })?;
        let exchanged = exchange(&opened, Duration::from_secs(self.wait));
        let invites = opened.device().with(|device, ambient| device.invites(ambient.now.wall))?;
        opened.close()?;
        let Some(view) = invites.into_iter().find(|view| view.invite == invite) else {
            return Err(Fault::failed("the invite is gone"));
        };
        if view.state == InviteState::Refused {
            return Err(Fault::failed("the invite was refused: it is no longer allowed"));
        }
        if common.json {
            print_json(&json!(view))?;
        } else if let Some(link) = &view.link {
            note(&format!("Good for one person until {}. Pass it on as carefully as a key:", moment(view.expires)));
            print_line(link)?;
            if self.qr {
                print(&qr::draw(link).ok_or_else(|| Fault::failed("the link is too long for a QR code"))?)?;
            }
        }
        // The link is good even where something else is still to be exchanged.
        if view.state == InviteState::Open { Ok(()) } else { exchanged }
    }
}

/// Lists the invites made on this device, or withdraws one
///
/// Examples:
///   vereda invites
///   vereda invites --links
///   vereda invites cancel 91cd
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(crate) struct Invites {
    #[command(subcommand)]
    change: Option<Change>,
    /// Also prints the links of open invites; each holds a secret
    #[arg(long)]
    links: bool,
}

/// What can be done with an invite.
#[derive(Debug, Subcommand)]
enum Change {
    /// Withdraws an invite, made here or elsewhere, that nobody took up
    ///
    /// Example: vereda invites cancel 91cd
    Cancel {
        /// Any beginning of its id, as `invites` and `policy show TEAM` show it
        invite: String,
        #[command(flatten)]
        wait: Wait,
    },
}

impl Invites {
    pub(super) fn run(self, common: &Common) -> Outcome {
        if let Some(Change::Cancel { invite, wait }) = self.change {
            return decide(common, &wait, |device, ambient| {
                let invite = device.find_invite(&invite)?;
                device.cancel_invite(ambient, &invite)?;
                Ok(())
            });
        }
        let opened = Opened::open(common)?;
        let invites = opened.device().with(|device, ambient| device.invites(ambient.now.wall))?;
        opened.close()?;
        if common.json {
            return print_json(&json!({"invites": invites}));
        }
        if invites.is_empty() {
            return print_line("No invite was made on this device. Make one with: vereda invite TEAM");
        }
        let mut table = Table::new(&["INVITE", "INTO", "ROLE", "UNTIL", "STATE"]);
        for InviteView { invite, name: group, role, expires, state, .. } in &invites {
            let into = name(group.clone());
            table.row([short(invite), into, (*role).to_owned(), moment(*expires), word_of(state)]);
        }
        print(&table.render())?;
        if self.links {
            for link in invites.iter().filter_map(|invite| invite.link.as_ref()) {
                print_line(link)?;
            }
        }
        Ok(())
    }
}
