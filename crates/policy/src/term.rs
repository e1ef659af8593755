//! How long what an operation gives lasts: nobody gives a role that outlasts what he gives it by.

use vereda_base::Timestamp;

use crate::{Body, Parent};

/// How long a role lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// Until a time, by the relay's clock.
    Until(Timestamp),
    /// Until somebody ends it.
    Lasting,
}

impl Term {
    /// Tells the last time at which the role stands.
    pub(crate) const fn last(self) -> Timestamp {
        match self {
            Self::Until(time) => Timestamp(time.0.saturating_sub(1)),
            Self::Lasting => Timestamp(i64::MAX),
        }
    }
}

/// Tells how long the longest role lasts that an operation after the first gives in its chain, where the chain has these
/// parents; `None` where it gives none. An invite gives one without end to whoever takes it up, and whoever gives a parent
/// more to say makes its Managers those of the chain.
pub(crate) fn term_given(body: &Body, parents: &[Parent]) -> Option<Term> {
    match body {
        Body::Grant(grant) => Some(grant.expires.map_or(Term::Lasting, Term::Until)),
        Body::Invite(_) => Some(Term::Lasting),
        Body::Assign(assign) => {
            let gives = !assign.gives.is_empty() || !assign.raised_parents(parents).is_empty();
            gives.then_some(Term::Lasting)
        }
        Body::Revoke(revoke) => revoke.successor.map(|_| Term::Lasting),
        _ => None,
    }
}
