#![no_main]

#[path = "../checks/compare.rs"]
mod compare;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| compare::check(bytes));
