//! What histories held.

use std::{collections::BTreeMap, fmt};

use vereda_policy::BodyCode;

/// How often something was taken, and how often refused.
type Counts<K> = BTreeMap<K, (usize, usize)>;

#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub bodies: Counts<BodyCode>,
    pub tampered: Counts<&'static str>,
    /// Histories of many operations.
    pub long: usize,
    /// Content that relied on removals, and of it what they did not name.
    pub relied: (usize, usize),
    /// Operations that a colluding relay appended although they rely on removals that name them, or do not.
    pub late: (usize, usize),
    /// Operations without effect at the end, chains that have never been, evaluations of everything.
    pub void: usize,
    pub dropped: usize,
    pub anew: usize,
    /// Removals that cut off nothing.
    pub honest: usize,
    pub adopted: usize,
}

impl Tally {
    pub fn note(&mut self, body: BodyCode, tampered: Option<&'static str>, taken: bool) {
        let count = |counts: &mut (usize, usize)| if taken { counts.0 += 1 } else { counts.1 += 1 };
        count(self.bodies.entry(body).or_default());
        if let Some(how) = tampered {
            count(self.tampered.entry(how).or_default());
        }
    }

    pub fn add(&mut self, other: &Self) {
        fn add<K: Ord + Copy>(to: &mut Counts<K>, from: &Counts<K>) {
            for (key, (taken, refused)) in from {
                let counts = to.entry(*key).or_default();
                *counts = (counts.0 + taken, counts.1 + refused);
            }
        }
        add(&mut self.bodies, &other.bodies);
        add(&mut self.tampered, &other.tampered);
        for (to, from) in [(&mut self.relied, other.relied), (&mut self.late, other.late)] {
            *to = (to.0 + from.0, to.1 + from.1);
        }
        self.long += other.long;
        self.void += other.void;
        self.dropped += other.dropped;
        self.anew += other.anew;
        self.honest += other.honest;
        self.adopted += other.adopted;
    }

    fn taken(&self) -> usize {
        self.bodies.values().map(|counts| counts.0).sum()
    }

    fn refused(&self) -> usize {
        self.bodies.values().map(|counts| counts.1).sum()
    }

    /// Enough of everything, so that agreement means something.
    pub fn check(&self) {
        for body in (0..=BodyCode::ERASE.0).map(BodyCode) {
            let (taken, refused) = self.bodies.get(&body).copied().unwrap_or_default();
            assert!(taken > 20 && refused > 20, "{body:?}: {taken} taken, {refused} refused");
        }
        for how in super::tamper::ALL {
            let (_, refused) = self.tampered.get(how).copied().unwrap_or_default();
            assert!(refused > 20, "tampered with {how}: {refused} refused");
        }
        assert!(self.taken() * 4 > self.refused(), "too little is taken");
        assert!(self.long >= 50, "{} long histories", self.long);
        let rare = [self.relied.0, self.relied.1, self.late.0, self.late.1, self.void, self.dropped, self.anew];
        assert!(rare.into_iter().chain([self.honest, self.adopted]).all(|count| count > 5), "too little of something");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} operations taken, {} refused, {} long histories", self.taken(), self.refused(), self.long)?;
        writeln!(f, "bodies (taken, refused): {:?}", self.bodies)?;
        writeln!(f, "tampered with (taken, refused): {:?}", self.tampered)?;
        let (relied, beyond) = self.relied;
        writeln!(f, "content relied on removals {relied} times, {beyond} times on one that does not name it")?;
        let (named, beyond) = self.late;
        writeln!(f, "operations appended late: {named} that stand, {beyond} that do not")?;
        let Self { void, dropped, anew, honest, adopted, .. } = self;
        writeln!(
            f,
            "{void} void, {dropped} chains that never were, {anew} evaluations anew, {honest} honest removals"
        )?;
        write!(f, "{adopted} documents adopted")
    }
}
