//! Forwards to [`vereda_fuzz_targets::body`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::body(data));
