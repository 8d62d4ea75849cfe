//! The schema and the parser are two readings of one declaration: neither knows a key the other does not.

use std::collections::BTreeSet;
use std::path::Path;

use banyan_routes::{FileSet, RouteTable, SourceFile, Variables, schema};
use serde_json::{Value, json};

use crate::files::cases;

/// Every table: its name in the schema, and the text that leads into it.
const TABLES: [(&str, &str); 21] = [
    ("", ""),
    ("DefaultsTable", "[defaults]"),
    ("UpstreamTable", "[upstreams.a]"),
    ("HealthTable", "[upstreams.a.health]"),
    ("BreakerTable", "[upstreams.a.breaker]"),
    ("TlsTable", "[upstreams.a.tls]"),
    ("StoreTable", "[stores.a]"),
    ("CohortTable", "[cohorts.a]"),
    ("RouteEntry", "[[route]]"),
    ("ConditionTable", "[[route]]\n[[route.when]]"),
    ("PinTable", "[[route]]\n[[route.pin]]"),
    ("RewriteTable", "[[route]]\n[route.rewrite]"),
    ("FallbackTable", "[[route]]\n[route.fallback]"),
    ("ShadowTable", "[[route]]\n[route.shadow]"),
    ("CompareTable", "[[route]]\n[route.compare]"),
    ("UnorderedTable", "[[route]]\n[[route.compare.unordered]]"),
    ("ToleranceTable", "[[route]]\n[[route.compare.tolerance]]"),
    ("HeadersTable", "[[route]]\n[route.compare.headers]"),
    ("AcceptedTable", "[[route]]\n[[route.compare.accepted]]"),
    ("SunsetTable", "[[route]]\n[route.sunset]"),
    ("RetireTable", "[[route]]\n[route.retire]"),
];

/// Keys the parser names when it meets one that nobody could have meant.
fn keys_of_parser(lead: &str) -> BTreeSet<String> {
    let text = format!("{lead}\nqqqqqqqqqqqqqqqqqqqqqqqq = 0\n");
    let main = SourceFile { name: "routes.toml".to_owned(), text };
    let (_, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    let mut problems = report.problems.iter();
    let hint = problems.find(|problem| problem.code == "unknown-key").and_then(|it| it.hint.clone()).unwrap();
    hint.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn keys_of_schema(table: &Value) -> BTreeSet<String> {
    table["properties"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn parser_and_schema_know_the_same_keys() {
    let schema = schema();
    for (name, lead) in TABLES {
        let table = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        assert_eq!(keys_of_parser(lead), keys_of_schema(table), "{name}");
    }
}

#[test]
fn every_table_of_the_schema_is_compared() {
    let schema = schema();
    let tables = schema["$defs"].as_object().unwrap().iter().filter(|(_, table)| table["type"] == "object");
    let named: BTreeSet<_> = tables.map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, TABLES.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect());
}

#[test]
fn every_good_file_is_valid() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, files) in cases("good") {
        for file in std::iter::once(&files.main).chain(&files.included) {
            let errors: Vec<_> = validator.iter_errors(&json(&file.text)).map(|it| it.to_string()).collect();
            assert!(errors.is_empty(), "{name}, {}: {errors:#?}", file.name);
        }
    }
}

#[test]
fn what_the_schema_refuses_is_refused_by_the_parser_too() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let files: [(&str, Value); 4] = [
        ("no version", json!({ "defaults": { "legacy": "a" } })),
        ("no defaults", json!({ "version": 1 })),
        ("unknown key", json!({ "version": 1, "defaults": { "legacy": "a", "stiky": [] } })),
        ("number for a duration", json!({ "version": 1, "defaults": { "legacy": "a", "timeout": 60 } })),
    ];
    for (name, file) in files {
        assert!(!validator.is_valid(&file), "{name}");
    }
    // An included file has neither version nor defaults.
    assert!(validator.is_valid(&json!({ "route": [{ "name": "a", "path": "/a" }] })));
}

/// TOML as JSON, a date as its text, as editors see it.
fn json(text: &str) -> Value {
    fn convert(value: toml::Value) -> Value {
        match value {
            toml::Value::Datetime(date) => json!(date.to_string()),
            toml::Value::Array(array) => array.into_iter().map(convert).collect(),
            toml::Value::Table(table) => {
                table.into_iter().map(|(key, value)| (key, convert(value))).collect()
            }
            toml::Value::String(text) => json!(text),
            toml::Value::Integer(number) => json!(number),
            toml::Value::Float(number) => json!(number),
            toml::Value::Boolean(yes) => json!(yes),
        }
    }
    let text = text.trim_start_matches('\u{feff}');
    convert(toml::Value::Table(toml::from_str(text).unwrap()))
}

/// `SNAPSHOTS=overwrite cargo test -p banyan-routes` writes it anew.
#[test]
fn the_shipped_schema_is_current() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../routes.schema.json");
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    snapbox::assert_data_eq!(
        text,
        snapbox::Data::read_from(&shipped, Some(snapbox::data::DataFormat::Text)).raw()
    );
}
