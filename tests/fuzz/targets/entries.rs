//! Entries of the log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::entries(data));
