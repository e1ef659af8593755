//! Forwards to [`vereda_fuzz_targets::stored_chunk`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::stored_chunk(data));
