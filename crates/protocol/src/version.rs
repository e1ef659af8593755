//! Which protocol version two sides speak (protocol.md §10).

use crate::message::VERSION;

/// Versions spoken here, newest first.
pub const VERSIONS: &[u16] = &[VERSION];

/// Chooses the newest version that both sides speak.
///
/// # Errors
/// [`VersionError`] names the side to update.
pub fn negotiate(theirs: &[u16]) -> Result<u16, VersionError> {
    if let Some(version) = VERSIONS.iter().find(|version| theirs.contains(version)) {
        return Ok(*version);
    }
    let found = theirs.iter().copied().max().unwrap_or(0);
    Err(if found > VERSION {
        VersionError::UpdateHere { expected: VERSION, found }
    } else {
        VersionError::UpdateThere { expected: VERSION, found }
    })
}

/// No version in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The other side is newer.
    #[error(
        "the other side speaks protocol version {found} where {expected} is the newest known here: update this side"
    )]
    UpdateHere {
        /// Newest version spoken here.
        expected: u16,
        /// Newest version spoken there.
        found: u16,
    },
    /// The other side is older.
    #[error("the other side speaks protocol version {found} where {expected} is needed here: update the other side")]
    UpdateThere {
        /// Newest version spoken here.
        expected: u16,
        /// Newest version spoken there.
        found: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_chosen_and_a_mismatch_names_the_side_to_update() {
        assert_eq!(negotiate(&[VERSION + 1, VERSION]), Ok(VERSION));
        assert_eq!(negotiate(&[VERSION + 1]), Err(VersionError::UpdateHere { expected: VERSION, found: VERSION + 1 }));
        assert_eq!(negotiate(&[0]), Err(VersionError::UpdateThere { expected: VERSION, found: 0 }));
        assert_eq!(negotiate(&[]), Err(VersionError::UpdateThere { expected: VERSION, found: 0 }));
    }
}
