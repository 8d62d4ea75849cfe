//! docs/comparing.md: its examples can be pasted, and no key is left out.

use banyan_routes::{FileSet, RouteTable, SourceFile, Variables, schema};

const PAGE: &str = include_str!("../../../../docs/comparing.md");

const HEAD: &str = "version = 1\n[defaults]\nlegacy = \"monolith\"\nsticky = [\"client-ip\"]\n\
                    [upstreams.monolith]\ntargets = [\"http://a\"]\n[upstreams.orders]\ntargets = [\"http://b\"]\n";

const ROUTE: &str =
    "[[route]]\nname = \"a\"\npath = \"/a\"\nmethods = [\"GET\"]\nto = \"orders\"\npercent = 0\n";

fn examples() -> Vec<&'static str> {
    let after = PAGE.split("```toml\n").skip(1);
    after.map(|rest| rest.split("```").next().unwrap()).collect()
}

/// An example is a route, or lines of one.
fn file(example: &str) -> String {
    let shadow = "shadow = { percent = 1 }\n";
    match example.split([' ', '\n']).next().unwrap() {
        "[[route]]" => format!("{HEAD}{example}"),
        "shadow" => format!("{HEAD}{ROUTE}{example}"),
        "compare" => format!("{HEAD}{ROUTE}{shadow}{example}"),
        other => panic!("an example begins with `{other}`"),
    }
}

#[test]
fn every_example_reads_without_a_problem() {
    let examples = examples();
    assert!(examples.len() >= 12, "{}", examples.len());
    for example in examples {
        let main = SourceFile { name: "routes.toml".to_owned(), text: file(example) };
        let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
        assert!(table.is_some() && report.problems.is_empty(), "{report}");
    }
}

#[test]
fn every_key_has_an_example() {
    let all = examples().concat();
    let tables =
        ["ShadowTable", "CompareTable", "UnorderedTable", "ToleranceTable", "HeadersTable", "AcceptedTable"];
    for table in tables {
        let keys = schema()["$defs"][table]["properties"].as_object().unwrap().clone();
        for key in keys.keys() {
            assert!(all.contains(&format!("{key} = ")), "{key} of {table}");
        }
    }
}
