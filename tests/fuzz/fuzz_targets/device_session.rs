//! Forwards to [`vereda_fuzz_targets::device_session`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vereda_fuzz_targets::device_session(data));
