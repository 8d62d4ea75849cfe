//! The table of spellings in docs/paths.md, made here and compared: it cannot go stale.

use std::fmt::Write as _;

use banyan_routes::{Arm, NormalPath};
use proptest::prelude::*;

use crate::world::{Ask, table};

const SPELLINGS: [&str; 40] = [
    "/api/orders",
    "/api/orders/",
    "/api/orders/7",
    "/api/orders/7?x=/../admin",
    "/api/ordersx",
    "/API/orders",
    "/report",
    "/report/",
    "/Report",
    "/loose",
    "/LOOSE/",
    "//api//orders///7",
    "/api/./orders/7",
    "/api/orders/.",
    "/api/x/../orders/7",
    "/api/orders/..",
    "/api/orders/../../admin",
    "/api/orders/%2e%2e/%2E./admin",
    "/../admin",
    "/%2e%2e/admin",
    "/api//../admin",
    "/%61pi/orders",
    "/api/orders/%7euser",
    "/api/orders/%c3%a9",
    "/api/orders/é",
    "/api/orders/%ff",
    "/api/orders/a%2fb",
    "/api/orders/a%2Fb",
    "/api%2Forders",
    "/api/orders/..%2f..%2fadmin",
    "/api/orders/a%5cb",
    "/api/orders/a\\b",
    "/api\\orders",
    "/api/orders;v=1",
    "/api/orders/7;v=1",
    "/api/orders/..;/..;/admin",
    "/api/orders/%252e%252e/admin",
    "/api/orders/%00",
    "/api/orders/%zz",
    "api/orders",
];

const HEAD: &str = "# What a path matches\n
Matching sees a path after one normalisation: percent-encoded unreserved characters are decoded once, other
encodings are written in capitals, empty segments are dropped, `.` and `..` are resolved. `%2f`, `%5c`, `\\`, `;` and
`//` before `..` are read in every way that servers read them: when the readings name different routes, Banyan answers
400 instead of guessing. The upstream gets the path as the client sent it, byte for byte, unless the route rewrites it.

A path that leads above the root, holds NUL, a raw space or control character, or a `%` without two hexadecimal digits
is answered with 400. Bytes that are not UTF-8 are fine when percent-encoded; raw ones never get this far.

The routes of this table: `orders` is `/api/orders/*`, `admin` is `/admin/*`, `report` is `/report`, and `loose` is
`/Loose` with `path_case = \"insensitive\"` and `trailing_slash = \"ignore\"`. A test makes it and compares.

| sent | seen by matching | route | reaches the upstream |
|---|---|---|---|
";

const REWRITTEN_SPELLINGS: [&str; 13] = [
    "/api/orders/7?q=%7e",
    "/api/orders",
    "/api/orders/",
    "/api/ordersx",
    "//api/./orders//%7euser",
    "/api/x/../orders/7",
    "/api/orders/a%2fb;v=1",
    "/api/orders/x/..%2fy",
    "/api/orders/..%2forders/7",
    "/api/orders/..;/orders/7",
    "/api/orders/..%2f..%2fapi/orders/7",
    "/shop/..%2fshop/7",
    "/shop/..;/shop/7",
];

const REWRITING: &str = r#"
    [[route]]
    name = "orders"
    path = "/api/orders/*"
    to = "orders"
    percent = 100
    rewrite = { strip_prefix = "/api/orders", add_prefix = "/v2" }
    store = "shared"
    [[route]]
    name = "shop"
    path = "/shop/*"
    to = "catalog"
    percent = 100
    rewrite = { strip_prefix = "/shop" }
    store = "shared"
"#;

const REWRITTEN: &str = "
## With `strip_prefix` and `add_prefix`

`rewrite = { strip_prefix = \"/api/orders\", add_prefix = \"/v2\" }` changes the path for the candidate; legacy is always asked
for the public one. What is rewritten and sent is the normal form; the query stays as it came. A path that some server
could read as leading out of the prefix is answered with 400, whichever arm the client is on.

`strip_prefix` ends on a whole segment, and everything the route takes must lie below it. `banyan check` refuses a route
where that is not so, or, with a `path_regex`, where it cannot be seen: no request is ever sent half rewritten.

Here `orders` is the route above, and `shop` is `/shop/*` with `strip_prefix = \"/shop\"`.

| sent | the candidate is asked for |
|---|---|
";

#[test]
fn spellings_match_what_the_documentation_says() {
    let table = table(
        r#"
        [[route]]
        name = "orders"
        path = "/api/orders/*"
        [[route]]
        name = "admin"
        path = "/admin/*"
        [[route]]
        name = "report"
        path = "/report"
        [[route]]
        name = "loose"
        path = "/Loose"
        path_case = "insensitive"
        trailing_slash = "ignore"
        "#,
    );
    let mut page = HEAD.to_owned();
    for sent in SPELLINGS {
        let explanation = Ask::get(sent).explain(&table);
        let decision = explanation.decision;
        let seen = explanation.normal_path.map_or_else(|| "-".to_owned(), |path| format!("`{path}`"));
        let (route, upstream) = match decision.path_problem {
            Some(problem) => (format!("400: {problem}"), "nothing".to_owned()),
            None => (Ask::get(sent).route(&table), format!("`{sent}`")),
        };
        assert_eq!(decision.arm == Arm::Banyan, decision.path_problem.is_some());
        writeln!(page, "| `{sent}` | {seen} | {route} | {upstream} |").unwrap();
    }
    page.push_str(REWRITTEN);
    let table = crate::world::table(REWRITING);
    for sent in REWRITTEN_SPELLINGS {
        let decision = Ask::get(sent).decide(&table);
        let asked = match decision.path_problem {
            Some(problem) => format!("400: {problem}"),
            None => match table.prefix_rewrite(&decision) {
                Some(prefix) => format!("`{}`", prefix.forward(sent).unwrap()),
                None => format!("`{sent}`, of legacy"),
            },
        };
        writeln!(page, "| `{sent}` | {asked} |").unwrap();
    }
    snapbox::assert_data_eq!(
        page,
        snapbox::Data::read_from(
            std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/paths.md")),
            None
        )
        .raw()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn normalisation_is_idempotent(path in "/([a-cA-C.~;é/]|%2[eEfF]|%5[cC]|%[0-9a-f]{2}|\\\\){0,24}") {
        if let Ok(once) = NormalPath::read(&path) {
            let again = NormalPath::read(once.as_str()).unwrap();
            prop_assert_eq!(again.as_str(), once.as_str());
            for reading in once.other_readings(&path).flatten() {
                prop_assert!(!reading.as_str().contains("//") && !reading.as_str().contains("/../"));
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(path in "\\PC{0,40}") {
        let read = NormalPath::read(&path);
        prop_assert!(read.is_err() || read.is_ok_and(|it| it.as_str().starts_with('/') && it.as_str().is_ascii()));
    }
}
