//! What was found wrong.

/// Which checker found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    /// The world comes to rest, with every document in the hands of everybody entitled to it.
    Settling,
    /// Equal digests on every device entitled to a case.
    Convergence,
    /// No acknowledged edit is lost.
    Acknowledged,
    /// The history of a place holds each device's edits in the order in which it acknowledged them.
    Order,
    /// Relay and devices agree on chains and chunks; what a device was told to be durable is at the relay.
    Agreement,
    /// No planted text at the relay or in a frame.
    Secrecy,
    /// Who may not read a case stores nothing of it.
    Entitlement,
    /// No device can open what its person may not read, whatever the relay hands it.
    Reading,
    /// Every device says plainly what becomes of its own work.
    Stuck,
    /// No cursor passes something that is not stored.
    Cursors,
    /// Where the relay lies, honest devices agree or say so.
    Naming,
    /// What was made after a removal stands nowhere where that is known, but up to its frontier.
    BackDated,
    /// Nobody honest is refused, quarantined or taken for an attacker.
    Honesty,
    /// Nothing panics.
    Panic,
}

/// One thing found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Who found it.
    pub checker: Checker,
    /// What, with ids and counts only.
    pub what: String,
}
