//! How much data there is, and how it is drawn: equal seeds give equal cases and edits.

use anyhow::Result;
use vereda_records::{Configuration, Edit, Record, edit::apply, sample::Generator, starter::child_protection};

/// What a run works with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Cases of most workloads.
    pub(crate) few: usize,
    /// Cases of a device that has much.
    pub(crate) many: usize,
    /// Cases and members of a large team.
    pub(crate) team: (usize, usize),
    pub(crate) drawn: Drawn,
}

/// How cases are drawn.
#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) struct Drawn {
    /// One-field commits that each case begins with.
    pub(crate) history: usize,
    pub(crate) seed: u64,
}

impl Sizes {
    pub(crate) fn of(cases: Option<usize>, quick: bool, history: usize, seed: u64) -> Self {
        let (few, many) = match cases {
            Some(cases) => (cases.max(5), cases.max(5)),
            None if quick => (20, 40),
            None => (500, 5_000),
        };
        let team = match cases {
            Some(cases) => (cases.max(5), 150),
            None if quick => (20, 12),
            None => (3_000, 150),
        };
        Self { few, many, team, drawn: Drawn { history, seed } }
    }
}

/// The cases of W1 that the first device edits, and the second: of 500 the first 200, and 200 from the hundredth on.
pub(crate) fn edited(cases: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    (0..cases * 2 / 5, cases / 5..cases * 3 / 5)
}

/// The seed by which a device edits.
pub(crate) const fn seed_of_edits(seed: u64, device: u64) -> u64 {
    seed.wrapping_mul(1_000).wrapping_add(device)
}

/// Draws cases, each with the edits that it begins with.
pub(crate) struct Cases {
    generator: Generator,
    history: usize,
}

impl Cases {
    pub(crate) fn new(drawn: Drawn) -> Self {
        Self { generator: Generator::new(drawn.seed), history: drawn.history }
    }

    /// Draws the next case, and its edits.
    pub(crate) fn draw(&mut self) -> Result<(Record, Vec<Edit>)> {
        let record = self.generator.case(configuration());
        let mut edited = record.clone();
        let edits = draw_edits(&mut self.generator, &mut edited, self.history)?;
        Ok((record, edits))
    }
}

/// Draws edits of a record and applies them to it.
pub(crate) fn draw_edits(generator: &mut Generator, record: &mut Record, count: usize) -> Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for _ in 0..count {
        let edit = generator.edit(configuration(), record);
        apply(record, &edit)?;
        edits.push(edit);
    }
    Ok(edits)
}

/// The configuration under which cases are drawn.
pub(crate) fn configuration() -> &'static Configuration {
    child_protection()
}
