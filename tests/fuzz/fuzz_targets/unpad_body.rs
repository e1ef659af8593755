//! Forwards to [`vereda_fuzz_targets::unpad_body`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::unpad_body(data));
