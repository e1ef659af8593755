//! How costly a guess of the passphrase is made.

use std::time::Duration;

pub use vereda_crypto::KdfParams;

/// Chooses parameters: as much memory as brings one guess near `target`, never under [`KdfParams::FLOOR`], at most
/// 256 MiB. `measure` runs Argon2id once with the parameters given and tells how long it took.
pub fn calibrate(target: Duration, measure: &mut dyn FnMut(KdfParams) -> Duration) -> KdfParams {
    let floor = KdfParams::FLOOR;
    let took = measure(floor).max(Duration::from_micros(1));
    let factor = target.as_secs_f64() / took.as_secs_f64();
    let most = f64::from(256 << 10);
    let memory = (f64::from(floor.memory_kib()) * factor).clamp(f64::from(floor.memory_kib()), most);
    // Memory first; passes only where memory alone does not reach the target.
    let left = factor * f64::from(floor.memory_kib()) / memory;
    let passes = (f64::from(floor.passes()) * left).clamp(f64::from(floor.passes()), 16.0);
    KdfParams::new(memory as u32, passes as u32, floor.lanes()).unwrap_or(floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_device_gets_the_floor_and_a_fast_one_more() {
        let check = |took_ms: u64| {
            let mut measure = |_| Duration::from_millis(took_ms);
            calibrate(Duration::from_millis(400), &mut measure)
        };
        assert_eq!(check(2_000), KdfParams::FLOOR);
        assert_eq!(check(100).memory_kib(), 4 * KdfParams::FLOOR.memory_kib());
        assert_eq!(check(100).passes(), 2);
        let fastest = check(1);
        assert_eq!((fastest.memory_kib(), fastest.passes()), (256 << 10, 16));
    }
}
