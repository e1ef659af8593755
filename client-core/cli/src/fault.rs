//! What went wrong, as a sentence and an exit code.

use std::fmt;

/// The kinds of failure that a script can tell apart; `docs/automation.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Anything else.
    Failed,
    /// The command line or request was wrong.
    Usage,
    /// The vault stays locked.
    Locked,
    /// No such thing, or a short id that fits several.
    NotFound,
    /// The relay was not reached; what was asked for is stored and completes by itself.
    Pending,
    /// A file or value given cannot be used.
    Unusable,
    /// Something speaks against the relay: it told two stories, was set back, or withholds news.
    Relay,
}

impl FaultKind {
    /// The process's exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Locked => 3,
            Self::NotFound => 4,
            Self::Pending => 5,
            Self::Unusable => 6,
            Self::Relay => 7,
        }
    }

    /// The word in a session's answers.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Locked => "locked",
            Self::NotFound => "not_found",
            Self::Pending => "pending",
            Self::Unusable => "unusable",
            Self::Relay => "relay",
        }
    }
}

/// A failure to be shown.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What kind.
    pub(crate) kind: FaultKind,
    /// One sentence, without a full stop.
    pub(crate) sentence: String,
}

impl Fault {
    /// Makes a failure of a kind.
    pub(crate) fn new(kind: FaultKind, sentence: impl fmt::Display) -> Self {
        Self { kind, sentence: sentence.to_string() }
    }

    /// Makes a failure of the kind "anything else".
    pub(crate) fn failed(sentence: impl fmt::Display) -> Self {
        Self::new(FaultKind::Failed, sentence)
    }

    /// Makes a failure of the kind "cannot be used".
    pub(crate) fn unusable(sentence: impl fmt::Display) -> Self {
        Self::new(FaultKind::Unusable, sentence)
    }

    /// Makes a failure of the kind "no such thing".
    pub(crate) fn not_found(sentence: impl fmt::Display) -> Self {
        Self::new(FaultKind::NotFound, sentence)
    }

    /// Makes a failure of the kind "pending".
    pub(crate) fn pending(sentence: impl fmt::Display) -> Self {
        Self::new(FaultKind::Pending, sentence)
    }

    /// Makes a failure of the kind "wrong use".
    pub(crate) fn usage(sentence: impl fmt::Display) -> Self {
        Self::new(FaultKind::Usage, sentence)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}

/// What a command ends with.
pub(crate) type Outcome<T = ()> = Result<T, Fault>;
