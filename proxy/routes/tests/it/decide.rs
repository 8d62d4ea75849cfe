//! What one request gets.

use banyan_routes::{Arm, Reason};

use crate::world::{Ask, table};

#[test]
fn retire_comes_before_pins_and_pins_before_the_bucket() {
    let table = table(
        r#"
        [[route]]
        name = "orders"
        path = "/orders/*"
        methods = ["GET"]
        to = "orders"
        percent = 0
        pin = [
            { header = "x-old", present = true, to = "legacy" },
            { header = "x-beta", equals = "yes", to = "candidate" },
        ]
        [[route]]
        name = "gone"
        path = "/gone"
        retire = {}
        [[route]]
        name = "named"
        path = "/named"
        "#,
    );
    let ask = Ask::get("/orders/7").header("x-user-id", "42");
    assert_eq!(ask.told(&table), "orders legacy monolith share");
    assert_eq!(ask.clone().header("x-beta", "yes").told(&table), "orders candidate orders pin");
    assert_eq!(
        ask.clone().header("x-beta", "yes").header("x-old", "").told(&table),
        "orders legacy monolith pin"
    );
    assert_eq!(ask.clone().method("HEAD").told(&table), "orders legacy monolith share");
    assert_eq!(ask.clone().method("POST").told(&table), "default legacy monolith unmatched");
    assert_eq!(Ask::get("/orders/7").told(&table), "orders legacy monolith no-sticky-value");
    assert_eq!(Ask::get("/gone").told(&table), "gone banyan - retired");
    assert_eq!(Ask::get("/named?x=/gone").told(&table), "named legacy monolith no-destination");
    assert_eq!(Ask::get("*").method("OPTIONS").told(&table), "default legacy monolith unmatched");
    assert_eq!(Ask::get("*").told(&table), "default banyan - invalid-path");
}

#[test]
fn everybody_includes_clients_that_nothing_identifies() {
    let route = |percent: &str| {
        table(&format!(
            "[[route]]\nname = \"r\"\npath = \"/*\"\nmethods = [\"GET\"]\nto = \"orders\"\npercent = {percent}"
        ))
    };
    assert_eq!(Ask::get("/").told(&route("100")), "r candidate orders share");
    assert_eq!(Ask::get("/").told(&route("99.999")), "r legacy monolith no-sticky-value");
}

#[test]
fn a_value_given_twice_does_not_choose() {
    let table = table(
        r#"
        [[route]]
        name = "r"
        path = "/*"
        methods = ["GET"]
        to = "orders"
        percent = 50
        sticky = ["header:x-user-id", "cookie:session"]
        "#,
    );
    let twice = Ask::get("/").header("x-user-id", "1").header("x-user-id", "2");
    assert_eq!(twice.decide(&table).reason, Reason::NoStickyValue);
    let by_cookie = twice.header("cookie", "a=b").header("cookie", "session=s");
    let alone = Ask::get("/").header("cookie", "session=s");
    assert_eq!(by_cookie.decide(&table), alone.decide(&table));
    let cookie_twice = Ask::get("/").header("cookie", "session=s; session=s");
    assert_eq!(cookie_twice.decide(&table).reason, Reason::NoStickyValue);
}

#[test]
fn an_issued_cookie_keeps_its_arm() {
    let table = table(
        r#"
        [[route]]
        name = "r"
        path = "/*"
        methods = ["GET"]
        to = "orders"
        percent = 50
        sticky = ["cookie:visitor"]
        issue_cookie = true
        "#,
    );
    let mut arms = Vec::new();
    for id in 0..64_u64 {
        let fresh_id = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let first = Ask { fresh_id, ..Ask::get("/") }.decide(&table);
        let later = Ask::get("/").header("cookie", &format!("visitor={fresh_id:016x}")).decide(&table);
        assert!(first.issue_cookie && !later.issue_cookie);
        assert_eq!((first.arm, first.bucket, first.reason), (later.arm, later.bucket, later.reason));
        arms.push(first.arm);
    }
    assert!(arms.contains(&Arm::Legacy) && arms.contains(&Arm::Candidate));
}

#[test]
fn addresses_identify_by_network() {
    let table = table(
        r#"
        [[route]]
        name = "r"
        path = "/*"
        methods = ["GET"]
        to = "orders"
        percent = 50
        sticky = ["client-ip"]
        "#,
    );
    let bucket = |client: &str| Ask::get("/").client(client).decide(&table).bucket;
    assert_eq!(bucket("::ffff:192.0.2.1"), bucket("192.0.2.1"));
    assert_eq!(bucket("2001:db8::1"), bucket("2001:db8::ffff:1"));
    assert_ne!(bucket("2001:db8::1"), bucket("2001:db8:0:1::1"));
    assert_eq!(bucket("192.0.2.1"), Some(banyan_routes::bucket("r", b"192.0.2.1")));
}

#[test]
fn preflights_match_by_the_method_they_ask_for() {
    let table = table(
        r#"
        [[route]]
        name = "write"
        path = "/orders"
        methods = ["PUT"]
        [[route]]
        name = "options"
        path = "/orders"
        methods = ["OPTIONS"]
        "#,
    );
    let plain = Ask::get("/orders").method("OPTIONS");
    assert_eq!(plain.route(&table), "options");
    let asking = plain.clone().header("access-control-request-method", "PUT");
    assert_eq!(asking.route(&table), "options", "without Origin it is no preflight");
    assert_eq!(asking.header("origin", "https://example.com").route(&table), "write");
}

#[test]
fn the_most_specific_host_wins_and_others_stand_in() {
    let table = table(
        r#"
        [[route]]
        name = "any"
        path = "/deep/path"
        [[route]]
        name = "wide"
        host = "*.example.com"
        path = "/*"
        [[route]]
        name = "narrow"
        host = "*.api.example.com"
        path = "/*"
        [[route]]
        name = "exact"
        host = "a.api.example.com"
        path = "/only"
        "#,
    );
    let route = |host: &str, path: &str| Ask::get(path).host(host).route(&table);
    assert_eq!(route("A.API.example.com:80", "/only"), "exact");
    assert_eq!(route("a.api.example.com.", "/deep/path"), "narrow");
    assert_eq!(route("b.example.com", "/deep/path"), "wide");
    assert_eq!(route("example.com", "/deep/path"), "any");
    assert_eq!(route("", "/deep/path"), "any");
    assert_eq!(route("notexample.com", "/"), "default");
}

#[test]
fn paths_that_name_two_routes_are_refused() {
    let table = table("[[route]]\nname = \"a\"\npath = \"/a/*\"\n[[route]]\nname = \"b\"\npath = \"/b/*\"");
    for (target, told) in [
        ("/a/x%2fy", "a legacy monolith no-destination"),
        ("/a/x;v=1", "a legacy monolith no-destination"),
        ("/a%2fx", "default banyan - ambiguous-path"),
        ("/a/..%2fb", "default banyan - ambiguous-path"),
        ("/a/..;/b", "default banyan - ambiguous-path"),
        ("/a/..\\b", "default banyan - ambiguous-path"),
        ("/b/a//../../a", "default banyan - ambiguous-path"),
        ("/c%2fd", "default legacy monolith unmatched"),
        ("/a/%00", "default banyan - invalid-path"),
        ("/../a", "default banyan - invalid-path"),
    ] {
        assert_eq!(Ask::get(target).told(&table), told, "{target}");
    }
}
