//! No spelling of a path slips past its route: what docs/paths.md promises, asked of readers that are not Banyan's.
//!
//! - `readers`: what servers make of a path.

mod readers;

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use banyan_routes::{Decision, FileSet, NormalPath, RequestParts, RouteTable, SourceFile, Variables};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use readers::readings;

/// Routes, some below others: the last one that takes a path wins.
const ROUTES: [&str; 7] = ["/a/*", "/a/b/*", "/a/b/c/*", "/admin/*", "/s/*", "/r", "/a/r"];

/// Where the candidate of `/s/*` has it.
const MOVED: &str = "/v";

struct Tables {
    exact_case: RouteTable,
    any_case: RouteTable,
}

static TABLES: LazyLock<Tables> =
    LazyLock::new(|| Tables { exact_case: table(""), any_case: table("path_case = \"insensitive\"\n") });

/// Reads the bytes as the target of a request.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(target) = PathAndQuery::try_from(bytes) else { return };
    let readings = readings(target.path());
    check_normal(target.path(), &readings);
    check_route(&TABLES.exact_case, target.as_str(), &readings);
    // A server behind these routes compares in either case, too.
    let lowered: Vec<_> = readings.iter().map(|it| it.as_deref().map(str::to_ascii_lowercase)).collect();
    check_route(&TABLES.any_case, target.as_str(), &lowered);
}

/// The normal form is what some server sees, and read again it is the same.
fn check_normal(path: &str, readings: &[Option<String>]) {
    let Ok(normal) = NormalPath::read(path) else { return };
    let again = NormalPath::read(normal.as_str()).expect("a normal form can be read");
    assert_eq!(again.as_str(), normal.as_str(), "{path:?}");
    assert!(normal.as_str().is_ascii() && normal.as_str().starts_with('/'), "{path:?}");
    // The readers leave characters as they are that should have been encoded.
    if path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%;".contains(&byte)) {
        assert!(readings.contains(&Some(normal.to_string())), "nobody else reads {path:?} as {normal}");
    }
}

/// Whoever reads the path, sees one of the route that was decided.
fn check_route(table: &RouteTable, target: &str, readings: &[Option<String>]) {
    let decision = decide(table, target);
    if decision.path_problem.is_some() {
        return;
    }
    let route = decision.route.map(|index| table.route(index).path.to_string());
    for reading in readings {
        let reading =
            reading.as_deref().unwrap_or_else(|| panic!("{target:?} of {route:?} may lead above the root"));
        assert_eq!(route_of(reading), route.as_deref(), "{target:?} may be read as {reading}");
    }
    if let Some(prefix) = table.prefix_rewrite(&decision) {
        check_asked(&prefix.forward(target).expect("what is decided can be rewritten"));
    }
}

/// Whoever reads what a candidate is asked for, sees it below what was added.
fn check_asked(asked: &str) {
    let path = asked.split('?').next().unwrap_or_default();
    for reading in readings(path) {
        let stays = reading.as_deref().is_some_and(|reading| is_below(MOVED, reading));
        assert!(stays, "{asked} may be read as {reading:?}");
    }
}

fn route_of(path: &str) -> Option<&'static str> {
    ROUTES.into_iter().rfind(|route| match route.strip_suffix("/*") {
        Some(prefix) => is_below(prefix, path),
        None => path == *route,
    })
}

fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn decide(table: &RouteTable, target: &str) -> Decision {
    let (method, headers) = (Method::GET, HeaderMap::new());
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    table.decide(&RequestParts { method: &method, host: "", target, headers: &headers, client, fresh_id: 7 })
}

/// `options` are keys of every route.
fn table(options: &str) -> RouteTable {
    let mut text = String::from(
        "version = 1\ndefaults = { legacy = \"l\", sticky = [\"client-ip\"] }\nstores.s.mode = \"shared\"\n\
         [upstreams]\nl.targets = [\"http://127.0.0.1:1\"]\nc.targets = [\"http://127.0.0.1:2\"]\n",
    );
    for (place, path) in ROUTES.into_iter().enumerate() {
        let _ = write!(text, "[[route]]\nname = \"r{place}\"\npath = {path:?}\n{options}");
        if path == "/s/*" {
            let rewrite = format!("rewrite = {{ strip_prefix = \"/s\", add_prefix = {MOVED:?} }}");
            let _ = writeln!(text, "to = \"c\"\npercent = 100\nstore = \"s\"\n{rewrite}");
        }
    }
    let main = SourceFile { name: "routes.toml".to_owned(), text };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    table.unwrap_or_else(|| panic!("{report}"))
}
