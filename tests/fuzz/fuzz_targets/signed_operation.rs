//! Forwards to [`vereda_fuzz_targets::signed_operation`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::signed_operation(data));
