//! Running worlds: one, or a range on several threads.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    breach::{Breach, Checker},
    plan::Plan,
    world::{Counts, World},
};

/// How a world ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// What was found wrong; nothing, where all is well.
    pub breaches: Vec<Breach>,
    /// What happened, counted.
    pub counts: Counts,
    /// Digest of all that happened.
    pub digest: u64,
    /// The last lines of what happened.
    pub trace: Vec<String>,
}

/// Lets a world happen from beginning to end. With `is_shown`, its trace goes to standard error as it comes.
pub fn run(plan: Plan, is_shown: bool) -> Report {
    let seed = plan.seed;
    let world = AssertUnwindSafe(std::cell::RefCell::new(World::new(plan, is_shown)));
    let lived = catch_unwind(|| world.borrow_mut().live());
    let mut world = world.0.into_inner();
    if lived.is_err() {
        world.breaches.push(Breach { checker: Checker::Panic, what: "a panic, shown above".into() });
    }
    let (breaches, counts, digest, trace) = world.into_report();
    Report { seed, breaches, counts, digest, trace }
}

/// Runs seeds on as many threads as given, each world in one; reports come in the order in which they end.
pub fn run_all(seeds: &[u64], threads: usize, each: &(dyn Fn(&Report) + Sync)) {
    let next = AtomicU64::new(0);
    let order = Mutex::new(());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(seed) =
                    usize::try_from(next.fetch_add(1, Ordering::Relaxed)).ok().and_then(|index| seeds.get(index))
                {
                    let report = run(Plan::of(*seed), false);
                    let _one_at_a_time = order.lock().unwrap_or_else(PoisonError::into_inner);
                    each(&report);
                }
            });
        }
    });
}
