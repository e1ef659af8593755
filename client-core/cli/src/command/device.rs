//! `vereda device`: a person's devices.

mod link;
mod list;
mod recovery;

use clap::Subcommand;

pub(crate) use list::{devices, made, made_answer, removable};

use super::Common;
use crate::fault::Outcome;

/// Links a further device of yours, lists them, removes one, makes a recovery key
///
/// To link a new device, the two show each other a link and then the same code:
///
///   on the old:  vereda device link
///   on the new:  vereda vault new amina; vereda device answer 'vereda://link?…' --name Tablet
///   on the old:  vereda device confirm 'vereda://linked?…'
///   on the new:  vereda device confirm
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(crate) enum Device {
    Link(link::Link),
    Answer(link::Answer),
    Confirm(link::Confirm),
    List(list::List),
    Name(list::Name),
    Remove(list::Remove),
    Made(list::Made),
    #[command(subcommand)]
    Recovery(recovery::Recovery),
}

impl Device {
    pub(super) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::Link(link) => link.run(common),
            Self::Answer(answer) => answer.run(common),
            Self::Confirm(confirm) => confirm.run(common),
            Self::List(list) => list.run(common),
            Self::Name(name) => name.run(common),
            Self::Remove(remove) => remove.run(common),
            Self::Made(made) => made.run(common),
            Self::Recovery(recovery) => recovery.run(common),
        }
    }
}
