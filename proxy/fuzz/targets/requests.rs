#![no_main]

#[path = "../checks/requests.rs"]
#[allow(dead_code, reason = "the checks of other targets")]
mod requests;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| requests::check(bytes));
