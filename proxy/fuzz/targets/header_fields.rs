#![no_main]

#[path = "../checks/requests.rs"]
#[allow(dead_code, reason = "the check of another target")]
mod requests;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| requests::header_fields::check(bytes));
