//! Forwards to [`vereda_fuzz_targets::primero_export`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::primero_export(data));
