//! Signatures are stored: these texts never change.

use banyan_compare::{Rules, Verdict};

use crate::answers::{answer, json};
use crate::check;

#[track_caller]
fn signatures(verdict: &Verdict, expected: &[&str]) {
    let Verdict::Mismatch(differences) = verdict else { panic!("{verdict:?}") };
    let found: Vec<&str> = differences.signatures().map(banyan_compare::Signature::as_str).collect();
    assert_eq!(found, expected);
}

/// The digits were computed by an independent implementation. Never change a line.
#[test]
fn golden_signatures_hold_for_ever() {
    let rules = Rules::default();
    let one = answer(
        &["content-type: application/json", "x-a: 1", "x-b: 1", "set-cookie: s=1; Path=/", "set-cookie: t=1"],
        r#"{"a~/b":1,"l":[{"id":1,"x":[1]}],"m":{"2026-05-01":1,"42":1},"o":[1,2],"t":1,"":1}"#,
    );
    let other = answer(
        &["503", "content-type: application/json", "x-b: 2", "x-c: 1", "set-cookie: s=2", "set-cookie: u=1"],
        r#"{"a~/b":2,"l":[{"id":1,"x":[2,3]}],"m":{"2026-05-01":2,"42":2},"n":1,"o":[2,1],"t":"1","":2}"#,
    );
    signatures(
        &check(&one, &other, &rules),
        &[
            "status 200 -> 503",
            "header:x-a missing",
            "header:x-b value",
            "header:x-c extra",
            "cookie:s value",
            "cookie:s attribute path",
            "cookie:t missing",
            "cookie:u extra",
            "/ value",
            "/a~0~1b value",
            "/l/*/x/* value",
            "/l/*/x/* extra",
            "/m/* value",
            "/n extra",
            "/o order",
            "/t type",
        ],
    );
    signatures(&check(&json("1"), &json("2"), &rules), &["(root) value"]);
    signatures(&check(&json("{"), &json("{}"), &rules), &["form text -> json"]);
    let page = |body| answer(&["content-type: text/html"], body);
    signatures(
        &check(&page("<p>order 17: a</p>\nx"), &page("<p>order 17: b</p>\nx\ny 4711"), &rules),
        &["text changed #769f4c7a", "text added #ca037f19"],
    );
    let picture = |body| answer(&["content-type: image/png"], body);
    signatures(&check(&picture("a"), &picture("b"), &rules), &["bytes"]);
}

#[test]
fn long_and_strange_keys_make_short_plain_signatures() {
    let key = "k\u{7}".repeat(300);
    let of = |value: u8| json(&serde_json::json!({ key.as_str(): value }).to_string());
    let Verdict::Mismatch(differences) = check(&of(1), &of(2), &Rules::default()) else {
        panic!("no mismatch")
    };
    let signature = differences.signatures().next().unwrap().as_str();
    assert!(
        signature.len() <= banyan_compare::SIGNATURE_BYTES_MAX && !signature.contains('\u{7}'),
        "{signature}"
    );
}
