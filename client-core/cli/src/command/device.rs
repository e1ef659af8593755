//! `vereda device`: a person's devices.

mod link;

use clap::Subcommand;

use super::Common;
use crate::fault::Outcome;

/// Links a further device of yours, lists them, removes one
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
}

impl Device {
    pub(super) fn run(self, common: &Common) -> Outcome {
        match self {
            Self::Link(link) => link.run(common),
            Self::Answer(answer) => answer.run(common),
            Self::Confirm(confirm) => confirm.run(common),
        }
    }
}
