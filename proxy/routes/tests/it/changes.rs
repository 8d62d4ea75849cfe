//! Identity, difference and rollback.

use banyan_routes::{RouteTable, diff};

use crate::world::{Ask, table, whole_table};

const ROUTES: &str = r#"
[cohorts.checkout]
percent = 10
[[route]]
name = "orders"
path = "/orders/*"
methods = ["GET"]
to = "orders"
percent = 25
[[route]]
name = "cart"
path = "/cart/*"
methods = ["GET"]
to = "orders"
cohort = "checkout"
[[route]]
name = "pay"
path = "/pay/*"
methods = ["GET"]
to = "catalog"
cohort = "checkout"
[[route]]
name = "old"
path = "/old"
"#;

fn lines(old: &RouteTable, new: &RouteTable) -> Vec<String> {
    diff(old, new).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(from: &str, to: &str, expected: &[&str]) {
    assert!(ROUTES.contains(from), "{from}");
    let (old, new) = (table(ROUTES), table(&ROUTES.replacen(from, to, 1)));
    assert_eq!(lines(&old, &new), expected);
    assert_eq!(
        old.hash() == new.hash(),
        expected.is_empty(),
        "the hash differs when the difference is not empty"
    );
}

#[test]
fn a_shift_moves_exactly_those_between() {
    check("percent = 25", "percent = 50", &["orders 25 % -> 50 % (25 % of clients move to the candidate)"]);
    check("percent = 25", "percent = 0.5", &["orders 25 % -> 0.5 % (24.5 % of clients move to legacy)"]);
    check(
        "percent = 10",
        "percent = 12.5",
        &[
            "cart 10 % -> 12.5 % (2.5 % of clients move to the candidate)",
            "pay 10 % -> 12.5 % (2.5 % of clients move to the candidate)",
        ],
    );
}

/// A cohort is told by its routes; only one that no route tells of has a line of its own.
#[test]
fn the_share_of_a_cohort_is_told_once() {
    let with = |cohorts: &str| table(&format!("{cohorts}{ROUTES}"));
    let (old, new) = (with("[cohorts.later]\npercent = 0\n"), with("[cohorts.later]\npercent = 5\n"));
    assert_eq!(lines(&old, &new), ["cohort later changed: percent"]);
    let other = "percent = 20\nsticky = [\"client-ip\"]";
    let lines = lines(&table(ROUTES), &table(&ROUTES.replacen("percent = 10", other, 1)));
    assert!(lines[0].starts_with("cart changed: percent, sticky ("), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_fallback_is_told_in_words() {
    let all = "percent = 25\nfallback = { on = [\"503\", \"timeout\", \"connect-error\"] }";
    check("percent = 25", all, &["orders falls back on connect-error, timeout, 503"]);
    let (old, new) = (table(&ROUTES.replacen("percent = 25", all, 1)), table(ROUTES));
    assert_eq!(lines(&old, &new), ["orders no longer falls back"]);
    let other = all.replace("connect-error", "reset").replace("25", "50");
    let new = table(&ROUTES.replacen("percent = 25", &other, 1));
    let expected = [
        "orders 25 % -> 50 % (25 % of clients move to the candidate)",
        "orders falls back on timeout, reset, 503",
    ];
    assert_eq!(lines(&old, &new), expected);
    let order = all
        .replace("\"503\", ", "")
        .replace("connect-error", "503")
        .replace("on = [", "on = [\"connect-error\", ");
    assert_eq!(
        old.hash(),
        table(&ROUTES.replacen("percent = 25", &order, 1)).hash(),
        "the order says nothing"
    );
}

/// Where requests of one route go, with further lines for their upstream.
fn with_upstream(targets: &str, lines: &str) -> RouteTable {
    whole_table(&format!(
        "version = 1\n[defaults]\nlegacy = \"a\"\nsticky = [\"client-ip\"]\n[upstreams.a]\n\
         targets = [\"http://a\"]\n[upstreams.b]\ntargets = [\"{targets}\"]\n{lines}\n\
         [[route]]\nname = \"r\"\npath = \"/r\"\nmethods = [\"GET\"]\nto = \"b\"\npercent = 1\n"
    ))
}

#[test]
fn tls_and_http2_are_changes_of_their_upstream() {
    let plain = with_upstream("http://b", "");
    let [secure, other] = ["", "tls = { server_name = \"c\" }"].map(|tls| with_upstream("https://b:80", tls));
    assert_eq!(lines(&plain, &secure), ["upstream b changed: tls"]);
    assert_eq!(lines(&secure, &other), ["upstream b changed: tls"]);
    let h2c = with_upstream("http://b", "http2 = \"prior-knowledge\"");
    assert_eq!(lines(&plain, &h2c), ["upstream b changed: http2"]);
    for (targets, same) in [("http://b", "http2 = \"off\""), ("https://b:80", "http2 = \"alpn\"\ntls = {}")] {
        let written = with_upstream(targets, same);
        let absent = if targets.starts_with("https") { &secure } else { &plain };
        assert_eq!(written.hash(), absent.hash(), "defaults mean what they say");
    }
    let off = with_upstream("https://b:80", "http2 = \"off\"");
    assert_eq!(lines(&secure, &off), ["upstream b changed: http2"]);
}

#[test]
fn a_breaker_is_a_change_of_its_upstream() {
    let head = |breaker: &str| with_upstream("http://b", breaker);
    let (old, new) = (head(""), head("breaker = {}"));
    assert_eq!(lines(&old, &new), ["upstream b changed: breaker"]);
    assert_ne!(old.hash(), new.hash());
    let written = "breaker = { error_percent = 50, window = \"10s\", min_requests = 20, open_for = \"15s\" }";
    assert_eq!(new.hash(), head(written).hash(), "defaults mean what they say");
}

#[test]
fn other_buckets_move_what_is_to_be_expected() {
    let about = "about 37.5 % of clients change arm: their buckets are new";
    check("percent = 25", "percent = 25\nhash_as = \"x\"", &[&format!("orders changed: hash_as ({about})")]);
    check(
        "percent = 25",
        "percent = 25\nsticky = [\"client-ip\"]",
        &[&format!("orders changed: sticky ({about})")],
    );
    check(
        "percent = 25",
        "percent = 100\nhash_as = \"x\"",
        &["orders changed: percent, hash_as (75 % of clients change arm)"],
    );
}

#[test]
fn everything_else_is_named() {
    check("path = \"/old\"", "path = \"/older\"", &["old changed: path"]);
    check(
        "path = \"/old\"",
        "path = \"/old\"\nretire = {}",
        &["old changed: retire (100 % of clients change arm)"],
    );
    check("to = \"catalog\"", "to = \"orders\"", &["pay changed: to"]);
    check("name = \"old\"", "name = \"young\"", &["young added", "old removed"]);
    check("percent = 25", "percent = 25\n# a remark", &[]);
    check("methods = [\"GET\"]", "methods = ['GET']", &[]);
}

#[test]
fn layout_and_order_have_no_identity_but_ties_do() {
    let route = |name: &str, path: &str| format!("[[route]]\nname = \"{name}\"\npath = \"{path}\"\n");
    let hash = |text: &str| table(text).hash().clone();
    let (a, b) = (route("a", "/a/{x}"), route("b", "/b/{x}"));
    assert_eq!(hash(&format!("{a}{b}")), hash(&format!("{b}\n\n{a}")));
    let (a, b) = (route("a", "/a/{x}"), route("b", "/a/{y}"));
    let (one, other) = (table(&format!("{a}{b}")), table(&format!("{b}{a}")));
    assert_ne!(one.hash(), other.hash());
    assert_eq!(lines(&one, &other), ["equally specific routes stand in another order"]);
    assert_eq!(one.hash().as_str().len(), 16);
}

#[test]
fn upstreams_and_defaults_are_named() {
    let text = |port: u16, timeout: &str| {
        format!(
            "version = 1\n[defaults]\nlegacy = \"m\"\ntimeout = \"{timeout}\"\n[upstreams.m]\ntargets = [\"http://127.0.0.1:{port}\"]\n"
        )
    };
    let old = whole_table(&text(3000, "60s"));
    assert_eq!(lines(&old, &whole_table(&text(3001, "60s"))), ["upstream m changed: targets"]);
    assert_eq!(lines(&old, &whole_table(&text(3000, "1m"))), [""; 0]);
    assert_eq!(lines(&old, &whole_table(&text(3000, "5s"))), ["default changed: timeout"]);
}

#[test]
fn rollback_stops_candidates_but_those_that_write_of_record() {
    let table = table(
        r#"
        [cohorts.both]
        percent = 100
        [[route]]
        name = "free"
        path = "/free"
        methods = ["GET"]
        to = "orders"
        percent = 50
        pin = [{ header = "x-beta", equals = "yes", to = "candidate" }]
        [[route]]
        name = "cut"
        path = "/cut"
        to = "orders"
        cohort = "both"
        store = "cut"
        [[route]]
        name = "with-cut"
        path = "/with-cut"
        to = "orders"
        cohort = "both"
        store = "shared"
        "#,
    );
    let names = |routes: &[banyan_routes::RouteIndex]| -> Vec<String> {
        routes.iter().map(|&index| table.route(index).name.clone()).collect()
    };
    let gentle = table.rolled_back(|_| true, false);
    assert_eq!(
        (names(&gentle.changed), names(&gentle.left)),
        (vec!["free".into()], vec!["cut".into(), "with-cut".into()])
    );
    assert_eq!(lines(&table, &gentle.table), ["free 50 % -> 0 % (50 % of clients move to legacy)"]);
    let ask = Ask::get("/free").header("x-user-id", "1");
    assert_eq!(ask.told(&gentle.table), "free legacy monolith share");
    assert_eq!(ask.header("x-beta", "yes").told(&gentle.table), "free candidate orders pin");
    let forced = table.rolled_back(|route| route.name == "cut", true);
    assert_eq!(names(&forced.changed), ["cut", "with-cut"], "a cohort moves as one");
    assert_eq!(Ask::get("/cut").told(&forced.table), "cut legacy monolith no-sticky-value");
}

const EVERY_KEY: &str = r#"
version = 1
[defaults]
allow_empty = false
rewrite_answers = true # of all
legacy = "m"
sticky = ["header:x-user-id", "cookie:s"]
timeout = "60s"
idle_timeout = "50s"
max_body = "1MiB"
trusted_proxies = ["10.0.0.0/8"]
[upstreams.m]
targets = ["http://127.0.0.1:3000"]
connect_timeout = "2s"
keep_alive = "30s"
max_connections = 100
max_requests = 200
[upstreams.n]
targets = ["http://127.0.0.1:3001"]
health = { path = "/healthz", every = "5s", timeout = "1s", unhealthy_after = 3, healthy_after = 2 }
[stores.a]
mode = "shared"
[stores.b]
mode = "separate"
writer = "legacy"
[cohorts.c]
percent = 10
[[route]]
name = "one"
host = "a.example.com"
path = "/one/{id}"
path_case = "sensitive"
trailing_slash = "strict"
methods = ["GET"]
when = [{ header = "x-h", equals = "1" }]
to = "n"
percent = 5
issue_cookie = false
store = "a"
side_effects = false
pin = [{ header = "x-beta", equals = "yes", to = "candidate" }]
timeout = "7s"
idle_timeout = "8s"
max_body = "2MiB"
rewrite = { host = "keep", strip_prefix = "/one", add_prefix = "/v2" }
rewrite_answers = true
sunset = { date = "2027-06-30", link = "https://example.com/a" }
meta = { owner = "team" }
[[route]]
name = "two"
path_regex = "/two/.*"
methods = ["GET"]
to = "n"
cohort = "c"
[[route]]
name = "three"
path = "/three"
retire = { link = "https://example.com/b" }
"#;

#[test]
fn every_key_counts() {
    let old = whole_table(EVERY_KEY);
    for (from, to) in [
        ("allow_empty = false", "allow_empty = true"),
        ("legacy = \"m\"", "legacy = \"n\""),
        ("\"header:x-user-id\", \"cookie:s\"", "\"cookie:s\", \"header:x-user-id\""),
        ("timeout = \"60s\"", "timeout = \"61s\""),
        ("idle_timeout = \"50s\"", "idle_timeout = \"51s\""),
        ("10.0.0.0/8", "10.0.0.0/9"),
        (":3000", ":3002"),
        ("connect_timeout = \"2s\"", "connect_timeout = \"3s\""),
        ("keep_alive = \"30s\"", "keep_alive = \"31s\""),
        ("max_connections = 100", "max_connections = 101"),
        ("max_requests = 200", "max_requests = 201"),
        ("max_body = \"1MiB\"", "max_body = \"3MiB\""),
        ("max_body = \"2MiB\"", "max_body = \"unlimited\""),
        ("/healthz", "/health"),
        ("every = \"5s\"", "every = \"6s\""),
        ("timeout = \"1s\"", "timeout = \"2s\""),
        ("unhealthy_after = 3", "unhealthy_after = 4"),
        ("healthy_after = 2", "healthy_after = 1"),
        ("writer = \"legacy\"", "writer = \"candidate\""),
        ("percent = 10", "percent = 11"),
        ("name = \"one\"", "name = \"uno\""),
        ("a.example.com", "*.example.com"),
        ("/one/{id}", "/one/*"),
        ("\"sensitive\"", "\"insensitive\""),
        ("\"strict\"", "\"ignore\""),
        ("methods = [\"GET\"]", "methods = [\"GET\", \"OPTIONS\"]"),
        ("equals = \"1\"", "prefix = \"1\""),
        ("x-h", "x-i"),
        ("percent = 5", "percent = 5.001"),
        ("issue_cookie = false", "issue_cookie = true"),
        ("store = \"a\"", ""),
        ("side_effects = false", "side_effects = true"),
        ("\"yes\"", "\"no\""),
        ("to = \"candidate\"", "to = \"legacy\""),
        ("timeout = \"7s\"", "timeout = \"9s\""),
        ("idle_timeout = \"8s\"", "idle_timeout = \"9s\""),
        ("\"keep\"", "\"upstream\""),
        ("strip_prefix = \"/one\", ", ""),
        ("/v2", "/v3"),
        ("rewrite_answers = true\n", "rewrite_answers = false\n"),
        ("rewrite_answers = true # of all", "rewrite_answers = false"),
        ("2027-06-30", "2027-07-01"),
        ("https://example.com/a", "https://example.com/c"),
        ("owner = \"team\"", "owner = \"crew\""),
        ("/two/.*", "/two/.+"),
        ("cohort = \"c\"", "percent = 10"),
        ("to = \"n\"\ncohort = \"c\"", ""),
        ("https://example.com/b", "https://example.com/d"),
        ("retire = { link = \"https://example.com/b\" }", ""),
    ] {
        assert!(EVERY_KEY.contains(from), "{from}");
        let new = whole_table(&EVERY_KEY.replacen(from, to, 1));
        assert_ne!(old.hash(), new.hash(), "{from} -> {to}");
        assert_ne!(lines(&old, &new), [""; 0], "{from} -> {to}");
    }
}

const SHADOWED: &str = r#"percent = 25
shadow = { percent = 10, max_body = "64KiB", timeout = "2s", strip_headers = ["cookie", "authorization"], writes = "never" }
compare = { ignore = ["/a", "header:date"], unordered = [{ array = "/i", key = "id" }, "/j"], tolerance = [{ path = "/p", absolute = 1, relative = 0.5 }, { relative = 0.25 }], numbers = "value", dates = ["/d"], html_space = "collapsed", headers = { except = ["x-a"], also = ["etag"] }, accepted = [{ what = "/t", reason = "because", until = "2026-12-31" }], redact = ["/r"], noise_percent = 2, recheck_after = "1s" }"#;

fn shadowed(lines: &str) -> RouteTable {
    table(&ROUTES.replacen("percent = 25", lines, 1))
}

#[test]
fn a_shadow_is_told_by_its_share() {
    check("percent = 25", "percent = 25\nshadow = { percent = 10 }", &["orders shadow 0 % -> 10 %"]);
    let with = |shadow: &str| shadowed(&format!("percent = 25\nshadow = {{ {shadow} }}"));
    let old = with("percent = 10");
    assert_eq!(lines(&old, &with("percent = 0.5")), ["orders shadow 10 % -> 0.5 %"]);
    assert_eq!(lines(&old, &table(ROUTES)), ["orders shadow 10 % -> 0 %"]);
    let other = with("percent = 20, timeout = \"1s\", writes = \"dry-run\"");
    let expected = ["orders changed: shadow.timeout, shadow.writes", "orders shadow 10 % -> 20 %"];
    assert_eq!(lines(&old, &other), expected);
    assert_eq!(lines(&table(ROUTES), &with("percent = 0")), ["orders changed: shadow"]);
}

#[test]
fn every_part_of_shadow_and_compare_counts() {
    let old = shadowed(SHADOWED);
    for (from, to, told) in [
        ("\"64KiB\"", "\"65KiB\"", "shadow.max_body"),
        ("\"2s\"", "\"3s\"", "shadow.timeout"),
        ("\"cookie\", ", "", "shadow.strip_headers"),
        ("\"never\"", "\"dry-run\"", "shadow.writes"),
        ("\"/a\", ", "", "compare"),
        ("header:date", "header:age", "compare"),
        ("key = \"id\"", "key = \"no\"", "compare"),
        ("{ array = \"/i\", key = \"id\" }, \"/j\"", "\"/j\", { array = \"/i\", key = \"id\" }", "compare"),
        ("path = \"/p\", ", "", "compare"),
        ("absolute = 1", "absolute = 1.5", "compare"),
        ("relative = 0.25", "relative = 0.26", "compare"),
        ("\"value\"", "\"written\"", "compare"),
        ("\"/d\"", "\"/e\"", "compare"),
        ("\"collapsed\"", "\"kept\"", "compare"),
        ("\"x-a\"", "\"x-b\"", "compare"),
        (", also = [\"etag\"]", "", "compare"),
        ("except = [\"x-a\"], also = [\"etag\"]", "only = []", "compare"),
        ("what = \"/t\"", "what = \"/u\"", "compare"),
        ("because", "so", "compare"),
        ("2026-12-31", "2027-01-01", "compare"),
        ("\"/r\"", "\"/s\"", "compare"),
        ("noise_percent = 2", "noise_percent = 3", "compare"),
        ("\"1s\"", "\"2s\"", "compare"),
    ] {
        assert!(SHADOWED.contains(from), "{from}");
        let new = shadowed(&SHADOWED.replacen(from, to, 1));
        assert_eq!(lines(&old, &new), [format!("orders changed: {told}")], "{from} -> {to}");
        assert_ne!(old.hash(), new.hash(), "{from} -> {to}");
    }
}

#[test]
fn layout_order_and_defaults_have_no_identity_in_shadow_and_compare() {
    let old = shadowed(SHADOWED);
    for (from, to) in [
        ("\"64KiB\"", "\"65536B\""),
        ("\"cookie\", \"authorization\"", "\n\"Authorization\", # why\n\"cookie\",\n"),
        (", writes = \"never\"", ""),
        ("\"/a\", \"header:date\"", "\"header:Date\", \"/a\", \"/a\""),
        ("absolute = 1, relative = 0.5", "relative = 5e-1, absolute = 1.0"),
        ("{ relative = 0.25 }", "{ relative = 0.250, absolute = 0 }"),
        ("\"/j\"", "{ array = \"/j\" }"),
        ("\"x-a\"", "\"X-A\""),
        ("until = \"2026-12-31\"", "until = 2026-12-31"),
        ("\"1s\"", "\"1000ms\""),
    ] {
        assert!(SHADOWED.contains(from), "{from}");
        let new = shadowed(&SHADOWED.replacen(from, to, 1));
        assert_eq!(old.hash(), new.hash(), "{from} -> {to}");
        assert_eq!(lines(&old, &new), [""; 0], "{from} -> {to}");
    }
    let absent = table(ROUTES);
    for default in
        ["{}", "{ numbers = \"written\", noise_percent = 0, recheck_after = \"300ms\", headers = {} }"]
    {
        assert_eq!(
            absent.hash(),
            shadowed(&format!("percent = 25\ncompare = {default}")).hash(),
            "{default}"
        );
    }
}

/// Of a table without `shadow` and `compare`, as it was before there were any.
#[test]
fn other_tables_keep_their_hash() {
    assert_eq!(whole_table(EVERY_KEY).hash().as_str(), "e17e856fa10d9de2");
}
