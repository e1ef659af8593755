//! That agreement means something: an oracle with one rule otherwise is found out.

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{DISAGREE, LONG_EVERY, World};
use crate::oracle::TWISTS;

/// Within so many long histories.
const HISTORIES: u64 = 800;

#[test]
fn an_oracle_with_one_rule_otherwise_is_found_out() {
    let bases: Vec<World> = (0..4).map(World::found).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut missed = vec![];
        while let Some(twist) = TWISTS.get(next.fetch_add(1, Ordering::Relaxed)) {
            let is_found = |seed: u64| {
                let mut world = bases[(seed / LONG_EVERY % 4) as usize].clone();
                world.oracle.twist = Some(*twist);
                let panic = std::panic::catch_unwind(AssertUnwindSafe(|| world.run(seed))).err()?;
                let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                assert!(said.starts_with(DISAGREE), "{twist:?} did something else: {said}");
                Some(seed)
            };
            match (0..HISTORIES).map(|number| number * LONG_EVERY).find_map(is_found) {
                Some(seed) => println!("{twist:?} is found out by history {seed}"),
                None => missed.push(twist),
            }
        }
        missed
    };
    let missed: Vec<_> =
        std::thread::scope(|scope| [(); 2].map(|()| scope.spawn(work)).map(|thread| thread.join().unwrap())).concat();
    assert_eq!(missed, [] as [&_; 0], "agreement says nothing of these");
}
