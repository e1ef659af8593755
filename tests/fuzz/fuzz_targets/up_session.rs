//! Forwards to [`vereda_fuzz_targets::up_session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::up_session(data));
