//! Forwards to [`vereda_fuzz_targets::public_keys`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::public_keys(data));
