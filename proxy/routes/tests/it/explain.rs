//! The story of a decision.

use crate::world::{Ask, table};

const ROUTES: &str = r#"
[[route]]
name = "one"
path = "/orders/{id}"
methods = ["GET"]
to = "orders"
percent = 50
pin = [{ header = "x-beta", equals = "yes", to = "candidate" }]
[[route]]
name = "all"
path = "/orders/*"
[[route]]
name = "write"
path = "/orders/{id}"
methods = ["POST"]
[[route]]
name = "elsewhere"
host = "api.example.com"
path = "/orders/{id}"
[[route]]
name = "beta"
path = "/orders/{id}"
methods = ["GET"]
when = [{ header = "x-beta", equals = "yes" }, { cookie = "b", prefix = "1" }]
"#;

#[track_caller]
fn check(ask: &Ask, sentence: &str, losers: &[&str]) {
    let table = table(ROUTES);
    let explanation = ask.explain(&table);
    assert_eq!(explanation.sentence(&table), sentence);
    let told: Vec<_> =
        explanation.losers.iter().map(|it| format!("{}: {}", table.route(it.route).name, it.miss)).collect();
    assert_eq!(told, losers);
}

#[test]
fn losers_say_why_they_lost() {
    check(
        &Ask::get("/orders/%37").header("x-user-id", "42"),
        "route `one` gives 50 % of clients to the candidate and this one, by header:x-user-id, has bucket 485 of \
         100000, below 50000, so candidate `orders` answers",
        &[
            "elsewhere: another host",
            r#"beta: condition does not hold: header = "x-beta", equals = "yes""#,
            "write: another method",
            "all: matches, but is less specific: path",
        ],
    );
}

#[test]
fn every_reason_has_its_sentence() {
    let write = Ask::get("/orders/7").method("PUT");
    let others =
        ["elsewhere: another host", "beta: another method", "one: another method", "write: another method"];
    check(&write, "route `all` has no `to`, so legacy `monolith` answers", &others);
    check(&Ask::get("/x"), "no route matches, so legacy `monolith` answers", &[]);
    check(&Ask::get("/x%"), "banyan refuses it with 400: `%` is not followed by two hexadecimal digits", &[]);
    let table = table(ROUTES);
    let pinned = Ask::get("/orders/7").header("x-beta", "yes").explain(&table);
    assert_eq!(
        pinned.sentence(&table),
        r#"route `one` has the pin { header = "x-beta", equals = "yes", to = "candidate" }, so candidate `orders` answers"#
    );
    let nobody = Ask::get("/orders/7").explain(&table);
    assert_eq!(
        nobody.sentence(&table),
        "nothing that route `one` looks for identifies the client, so legacy `monolith` answers"
    );
    let two_ways = Ask::get("/orders%2f7").explain(&table);
    assert_eq!(
        two_ways.sentence(&table),
        "banyan refuses it with 400: /orders%2F7 can also be read as /orders/7 (route `one`)"
    );
}
