//! Forwards to [`vereda_fuzz_targets::sealed_text`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::sealed_text(data));
