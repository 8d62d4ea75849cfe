//! Copies to a candidate, and what comparing the answers finds.

use http::Request;
use serde_json::Value;

use crate::application::Application;
use crate::banyan::{Banyan, moving};
use crate::bodies::{AnyBody, empty};
use crate::client::{self, Answer};
use crate::load::{AfterClose, Load};
use crate::{LONG, is_full, until_within};

/// One order in so many has two lines; the others have one, and any rounding agrees.
const TWO_LINES_EVERY: u64 = 28;

/// The candidate rounds its fee per line: wrong in 3.6 % of its answers. Numbers and times differ in all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_few_answers_is_found() {
    let (legacy, candidate) = (Application::start("per-order").await, Application::start("per-line").await);
    let banyan = Banyan::start(&shadowing(&legacy, &candidate)).await;
    let load = Load::start(banyan.address, 2, AfterClose::Reconnect, quote, is_quote);
    compared(&banyan, 300).await;
    load.stop().await.assert_clean();
    // A mismatch is asked again first, and is counted after matches that came later.
    let found =
        known(&banyan, "the fault is counted", |found| found["counts"]["mismatch"].as_u64() >= Some(3)).await;
    eprintln!("after {} comparisons: {}", found["counts"]["compared"], found["signatures"]);
    let signatures = found["signatures"].as_array().unwrap();
    let counted = signatures.iter().filter(|it| it["mismatches"].as_u64() > Some(0));
    let counted: Vec<&str> = counted.map(|it| it["signature"].as_str().unwrap()).collect();
    assert_eq!(counted, ["/fee_cents value", "/total_cents value"], "{found}");
    let share = found["mismatch_ratio"]["ratio"].as_f64().unwrap();
    assert!(share < 0.1, "{found}");
}

/// Both arms are one program: whatever differs is noise.
#[tokio::test(flavor = "multi_thread")]
async fn legacy_against_itself_raises_no_alarm() {
    let (legacy, candidate) = (Application::start("per-order").await, Application::start("per-order").await);
    let banyan = Banyan::start(&shadowing(&legacy, &candidate)).await;
    let load = Load::start(banyan.address, 2, AfterClose::Reconnect, quote, is_quote);
    let many = if is_full() { 20_000 } else { 1_000 };
    let found = compared(&banyan, many).await;
    load.stop().await.assert_clean();
    let (ratio, compared) = (&found["mismatch_ratio"], &found["counts"]["compared"]);
    eprintln!("A/A over {compared} comparisons: {ratio}; {}", found["signatures"]);
    assert_eq!(found["counts"]["mismatch"], 0, "{found}");
    assert!(!is_full() || ratio["upper"].as_f64().unwrap() < 0.001, "{ratio}");
}

fn shadowing(legacy: &Application, candidate: &Application) -> String {
    let routes = moving(legacy, candidate, "0");
    format!("{routes}shadow = {{ percent = 100 }}\ncompare = {{ noise_percent = 2 }}\n")
}

fn quote(number: u64) -> Request<AnyBody> {
    let one = 500 + number * 37 % 10_000;
    // 25.00 and 45.00: 1.75 on the sum, 0.63 and 1.13 on the lines.
    let (one, other) = if number.is_multiple_of(TWO_LINES_EVERY) { (2_500, 4_500) } else { (one, 0) };
    Request::get(format!("/api/quote?one={one}&other={other}")).body(empty()).unwrap()
}

fn is_quote(answer: &Answer) -> bool {
    answer.status == 200
}

/// What is known of the route once so many requests have been compared.
async fn compared(banyan: &Banyan, many: u64) -> Value {
    let is_enough = |found: &Value| found["counts"]["compared"].as_u64() >= Some(many);
    known(banyan, &format!("{many} compared"), is_enough).await
}

/// The thread of copies gives way to everything else on the machine.
async fn known(banyan: &Banyan, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let mut found = Value::Null;
    until_within(LONG, what, async || {
        let answer = client::get(banyan.admin, "/api/v1/mismatches/moving").await.unwrap();
        found = serde_json::from_slice(&answer.body).unwrap();
        is_it(&found)
    })
    .await;
    found
}
