//! The tables of the sealed store that belong to this crate; those of the device machine are its own.

use vereda_sync::device::Table;

/// Keys by chain and epoch.
pub(crate) const KEYS: Table = Table("client keys");
/// Keys of epochs that this device wants to begin, by commitment.
pub(crate) const NEXT_KEYS: Table = Table("client next keys");
/// The heads that the newest unsealed edit of a document may rely on, by document.
pub(crate) const RELIANCES: Table = Table("client reliances");
/// Facts about this device: who, where, since when. One row each.
pub(crate) const FACTS: Table = Table("client facts");
/// Edits that are not sealed into a chunk yet: one raw change a row, grouped by document.
pub(crate) const EDITS: Table = Table("client edits");
/// Saved replicas by document.
pub(crate) const SNAPSHOTS: Table = Table("client snapshots");
/// What lists show, by document, grouped by kind.
pub(crate) const PROJECTIONS: Table = Table("client projections");
/// What documents wait for of which chunks were passed over because a key is missing: by document.
pub(crate) const SKIPPED: Table = Table("client skipped");
/// Chunks whose content was refused, as evidence.
pub(crate) const REFUSED: Table = Table("client refused");
/// Invites made on this device, with their secrets.
pub(crate) const INVITES: Table = Table("client invites");
/// Decisions that are not final, or failed: by intent, grouped by chain.
pub(crate) const DECISIONS: Table = Table("client decisions");
/// Documents that are taken over once their key was passed on: by document.
pub(crate) const HANDOVERS: Table = Table("client handovers");
/// Own chunks, and beginnings of documents, that were in review and what became of them: by link, grouped by document.
pub(crate) const OWN_REVIEWS: Table = Table("client own reviews");
/// Which case a section belongs to, and its title: by section, grouped by case.
pub(crate) const SECTIONS: Table = Table("client sections");
/// Documents that were being opened: one found here at start made the program die.
pub(crate) const OPENING: Table = Table("client opening");
