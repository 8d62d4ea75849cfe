//! Rewritten paths: never out of the prefix, and back again.

use std::sync::LazyLock;

use banyan_routes::{Arm, NormalPath, PathProblem, PrefixRewrite, RouteTable};
use proptest::prelude::*;

use crate::world::{Ask, table};

fn rewriting(strip: &str, add: &str) -> RouteTable {
    let keys = [("strip_prefix", strip), ("add_prefix", add)];
    let written: Vec<_> = keys
        .iter()
        .filter(|it| !it.1.is_empty())
        .map(|(key, prefix)| format!("{key} = {prefix:?}"))
        .collect();
    table(&format!(
        "[[route]]\nname = \"r\"\npath = \"{strip}/*\"\nto = \"orders\"\npercent = 100\nstore = \"shared\"\n\
         rewrite = {{ {} }}\n[[route]]\nname = \"admin\"\npath = \"/admin/*\"\n",
        written.join(", ")
    ))
}

/// One table for each of [`PREFIXES`].
static TABLES: LazyLock<Vec<RouteTable>> =
    LazyLock::new(|| PREFIXES.iter().map(|(strip, add)| rewriting(strip, add)).collect());

/// The path part of a target.
fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap()
}

fn is_below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What a candidate is asked for, when the route takes the target.
fn asked(table: &RouteTable, target: &str) -> Option<(PrefixRewrite, String)> {
    let decision = Ask::get(target).decide(table);
    let prefix = table.prefix_rewrite(&decision)?.clone();
    assert_eq!(decision.arm, Arm::Candidate);
    let asked = prefix.forward(target).expect("what is decided can be rewritten");
    Some((prefix, asked))
}

const PREFIXES: [(&str, &str); 6] =
    [("/a", ""), ("/a", "/v"), ("/a/b", "/v/w"), ("", "/v"), ("/a", "/a"), ("/a/b", "/a")];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rewritten_path_never_leaves_its_prefix(
        place in 0..PREFIXES.len(),
        rest in "(/|//|\\\\|%2[fF]|%5[cC]|;|;x|\\.|\\.\\.|%2[eE]|a|b|v|admin|%7e|%zz|é){0,12}",
        query in "(\\?[a/.%;]{0,6})?",
    ) {
        let (strip, add) = PREFIXES[place];
        let table = &TABLES[place];
        let target = format!("{strip}/{rest}{query}");
        if let Some((_, asked)) = asked(table, &target) {
            let path = path_of(&asked);
            let normal = NormalPath::read(path).unwrap();
            prop_assert!(path.starts_with('/'));
            prop_assert_eq!(normal.as_str(), path, "is in normal form");
            prop_assert!(is_below(add, path));
            prop_assert_eq!(&asked[path.len()..], query.as_str());
            for reading in normal.other_readings(path) {
                let reading = reading.unwrap();
                prop_assert!(is_below(add, reading.as_str()), "{} may be read as {}", path, reading);
            }
        }
    }

    #[test]
    fn there_and_back_is_the_public_path(
        place in 0..PREFIXES.len(),
        rest in "(/[ab.;~-]{1,3}|/%2F|/%C3%A9|/a%5Cb){0,5}/?",
    ) {
        let (strip, add) = PREFIXES[place];
        let table = &TABLES[place];
        let target = format!("{strip}{rest}");
        if let Some((prefix, asked)) = asked(table, &target) {
            let public = NormalPath::read(&target).unwrap();
            let back = prefix.back(&asked).unwrap();
            if public.as_str() == strip && add.is_empty() {
                prop_assert_eq!(back, format!("{strip}/"), "both are asked for as `/`");
            } else {
                prop_assert_eq!(back.as_str(), public.as_str());
            }
        }
    }

    #[test]
    fn whatever_is_mapped_back_is_a_path_of_the_route(
        place in 0..PREFIXES.len(),
        path in "(/|//|\\\\|%2[fF]|;|\\.|\\.\\.|%2[eE]|a|b|v|%7e|é){0,12}",
    ) {
        let (strip, _) = PREFIXES[place];
        let table = &TABLES[place];
        let decision = Ask::get(&format!("{strip}/")).decide(table);
        let prefix = table.prefix_rewrite(&decision).unwrap();
        if let Some(public) = prefix.back(&format!("/{path}")) {
            prop_assert!(is_below(strip, &public), "{}", public);
            prop_assert!(!public.starts_with("//") && !public.starts_with("/\\"), "{}", public);
            if let Ok(normal) = NormalPath::read(&public) {
                prop_assert!(is_below(strip, normal.as_str()), "{} is {}", public, normal);
            }
        }
    }
}

#[test]
fn a_spelling_that_leaves_the_prefix_is_refused_on_either_arm() {
    for percent in [0, 100] {
        let table = table(&format!(
            "[[route]]\nname = \"r\"\npath = \"/api/*\"\nto = \"orders\"\npercent = {percent}\nstore = \"shared\"\n\
             rewrite = {{ strip_prefix = \"/api\", add_prefix = \"/v2\" }}\n[[route]]\nname = \"all\"\npath = \"/*\"\n"
        ));
        let decision = Ask::get("/api/..%2fapi/y").decide(&table);
        assert_eq!((decision.path_problem, decision.arm), (Some(PathProblem::LeavesPrefix), Arm::Banyan));
        let explanation = Ask::get("/api/..%2fapi/y").explain(&table);
        assert_eq!(
            explanation.sentence(&table),
            "banyan refuses it with 400: to some parsers the path leads out of the prefix that the route rewrites"
        );
    }
}

#[test]
fn legacy_is_asked_for_the_public_path() {
    let table = table(
        "[[route]]\nname = \"r\"\npath = \"/api/*\"\nto = \"orders\"\npercent = 0\nstore = \"shared\"\n\
         rewrite = { strip_prefix = \"/api\" }\npin = [{ header = \"x-beta\", present = true, to = \"candidate\" }]\n",
    );
    let legacy = Ask::get("/api/7").header("x-user-id", "1");
    assert_eq!(table.prefix_rewrite(&legacy.decide(&table)), None);
    let beta = legacy.header("x-beta", "1");
    let decision = beta.decide(&table);
    assert_eq!(table.prefix_rewrite(&decision).unwrap().forward("/api/7?x"), Ok("/7?x".to_owned()));
    let sentence = beta.explain(&table).sentence(&table);
    assert!(sentence.ends_with("so candidate `orders` answers, asked for /7"), "{sentence}");
}
