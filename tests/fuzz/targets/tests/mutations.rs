//! Every target over its golden seeds, over mutations of them and over noise. Failures name the target and the run:
//! all of it follows from one seed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that fails panics")]

use std::panic::catch_unwind;

use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use vereda_fuzz_targets::{TARGETS, Target, seeds::seeds};

/// Runs of a target of cost one, unless `VEREDA_FUZZ_RUNS` says another number.
const RUNS: usize = 8_000;

fn runs() -> usize {
    std::env::var("VEREDA_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(RUNS)
}

fn below(rng: &mut ChaCha20Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u64() % u64::try_from(bound.max(1)).unwrap()).unwrap()
}

/// Changes an input in one of the ways in which bytes go wrong.
fn mutate(rng: &mut ChaCha20Rng, input: &mut Vec<u8>, others: &[Vec<u8>]) {
    let at = below(rng, input.len());
    match below(rng, 8) {
        0 | 1 if !input.is_empty() => input[at] ^= 1 << below(rng, 8),
        2 if !input.is_empty() => input[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][below(rng, 6)],
        3 => input.truncate(at),
        4 => input.insert(at, rng.next_u32().to_le_bytes()[0]),
        5 if !input.is_empty() => {
            let end = (at + 1 + below(rng, 8)).min(input.len());
            input.drain(at..end);
        }
        6 => {
            let other = &others[below(rng, others.len())];
            let from = below(rng, other.len());
            let end = (from + below(rng, 64)).min(other.len());
            let piece = other[from..end].to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let end = (at + below(rng, 64)).min(input.len());
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
    }
}

fn attack(target: &Target) {
    let inputs = seeds(target.name);
    assert!(!inputs.is_empty(), "{}: no seeds", target.name);
    let check = |run: &str, input: &[u8]| {
        let outcome = catch_unwind(|| (target.run)(input));
        assert!(outcome.is_ok(), "{}, {run}: {} bytes {}", target.name, input.len(), hex(input));
    };
    for (index, input) in inputs.iter().enumerate() {
        check(&format!("seed {index}"), input);
    }
    for run in 0..(runs() / target.cost).max(16) {
        let mut rng = ChaCha20Rng::seed_from_u64(run as u64);
        let mut input = inputs[run % inputs.len()].clone();
        for _ in 0..=below(&mut rng, 4) {
            mutate(&mut rng, &mut input, &inputs);
        }
        check(&format!("run {run}"), &input);
        if run % 8 == 0 {
            let mut noise = vec![0; below(&mut rng, 300)];
            rng.fill_bytes(&mut noise);
            check(&format!("noise {run}"), &noise);
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(4_096).map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! targets {
    ($($test:ident = $name:literal;)*) => {
        $(#[test]
        fn $test() {
            attack(TARGETS.iter().find(|target| target.name == $name).unwrap());
        })*

        #[test]
        fn no_target_is_left_out() {
            let mut named = [$($name),*];
            let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            named.sort_unstable();
            known.sort_unstable();
            assert_eq!(known, named);
        }
    };
}

targets! {
    canonical_forms_survive_hostile_bytes = "cbor_forms";
    operations_survive_hostile_bytes = "signed_operation";
    receipts_survive_hostile_bytes = "receipt";
    headers_survive_hostile_bytes = "chunk_header";
    policy_survives_odd_operations = "authorization";
    evidence_survives_hostile_bytes = "fork_proof";
    wrap_lists_survive_hostile_bytes = "wrap_list";
    frames_of_devices_survive_hostile_bytes = "up_session";
    frames_of_relays_survive_hostile_bytes = "down_session";
    stored_chunks_survive_hostile_bytes = "stored_chunk";
    padding_survives_hostile_bytes = "unpad_body";
    merkle_proofs_survive_hostile_bytes = "merkle_proof";
    public_keys_survive_hostile_bytes = "public_keys";
    bodies_survive_hostile_bytes = "body";
    saved_replicas_survive_hostile_bytes = "saved_replica";
    configurations_survive_hostile_bytes = "configuration";
    exports_survive_hostile_bytes = "primero_export";
    links_survive_hostile_text = "links";
    sealed_texts_survive_hostile_bytes = "sealed_text";
    a_relay_survives_hostile_sessions = "relay_session";
    a_device_survives_hostile_sessions = "device_session";
}
