//! The other doors: `include` patterns, a table without a file, the demo's own file, bounds.

use std::fmt::Write as _;
use std::path::Path;

use banyan_routes::{FileSet, RouteTable, SourceFile, Variables};

fn file(text: &str) -> SourceFile {
    SourceFile { name: "routes.toml".to_owned(), text: text.to_owned() }
}

fn patterns(text: &str) -> Result<Vec<String>, String> {
    let variables = Variables::from([("SHOP".to_owned(), "box-office".to_owned())]);
    FileSet::include_patterns(&file(text), &variables).map_err(|report| report.to_string())
}

#[test]
fn include_patterns_come_in_the_order_written() {
    let text = "version = 1\ninclude = [\"z/*.toml\", \"${SHOP}/*.toml\"]\n";
    assert_eq!(patterns(text), Ok(vec!["z/*.toml".to_owned(), "box-office/*.toml".to_owned()]));
    assert_eq!(patterns("version = 1\n"), Ok(Vec::new()));
    // What else is wrong is the business of `parse`, which reads the whole set.
    assert_eq!(patterns("version = 7\nroutes = 5\n"), Ok(Vec::new()));
}

#[test]
fn include_patterns_that_cannot_be_known_are_reported() {
    assert!(patterns("include = [\n").unwrap_err().contains("error[toml-syntax]"));
    assert!(patterns("include = [5]\n").unwrap_err().contains("--> routes.toml:1:12"));
    assert!(patterns("include = [\"a\", 5]\n").unwrap_err().contains("--> routes.toml:1:17"));
    assert!(patterns("include = [\"\"]\n").unwrap_err().contains("error[bad-include]"));
}

#[test]
fn legacy_only_sends_everything_to_one_target() {
    let (table, report) = RouteTable::legacy_only("http://localhost:3000/");
    let table = table.unwrap();
    assert!(report.problems.is_empty() && table.routes().is_empty());
    let legacy = table.upstream(table.legacy());
    assert_eq!((&*legacy.targets[0].host, legacy.targets[0].port), ("localhost", 3000));
}

#[test]
fn legacy_only_says_what_is_wrong_with_the_address() {
    let (table, report) = RouteTable::legacy_only("localhost:3000");
    assert!(table.is_none());
    let expected = "\
error[bad-target]: `localhost:3000` lacks `http://`
 --> --legacy:1:1
  |
1 | localhost:3000
  | ^^^^^^^^^^^^^^
  |
  = hint: did you mean `http://localhost:3000`?
";
    assert_eq!(report.to_string(), expected);
}

#[test]
fn the_demo_reads_without_a_problem() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../routes.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let (table, report) =
        RouteTable::parse(&FileSet { main: file(&text), included: Vec::new() }, &Variables::new());
    assert!(report.problems.is_empty(), "{report}");
    assert!(table.is_some());
}

const HEAD: &str = "version = 1\n[defaults]\nlegacy = \"a\"\n[upstreams.a]\ntargets = [\"http://a\"]\n";

fn parse(text: &str) -> (Option<RouteTable>, banyan_routes::Report) {
    RouteTable::parse(&FileSet { main: file(text), included: Vec::new() }, &Variables::new())
}

#[test]
fn a_report_has_a_bound() {
    let mut text = HEAD.to_owned();
    for number in 0..20_000 {
        writeln!(text, "[[route]]\nname = \"r{number}\"\npath = \"/{number}\"\nbogus = 1").unwrap();
    }
    let (table, report) = parse(&text);
    assert!(table.is_none());
    assert_eq!(report.problems.len(), 1_000);
    let last = report.problems.last().unwrap();
    assert_eq!((last.code, &*last.message), ("too-many-problems", "19001 more problems from here on"));
    assert!(report.problems.iter().all(|problem| problem.rendered.len() < 2_000));
}

#[test]
fn ten_thousand_routes_are_read() {
    let mut text = HEAD.to_owned();
    for number in 0..10_000 {
        writeln!(text, "[[route]]\nname = \"r{number}\"\npath = \"/api/{number}/*\"\nto = \"a\"").unwrap();
        writeln!(text, "percent = 0\nsticky = [\"client-ip\"]").unwrap();
    }
    let (table, report) = parse(&text);
    assert!(!report.has_errors(), "{report}");
    assert_eq!(table.unwrap().routes().len(), 10_000);
}

#[test]
fn a_line_without_end_is_cut_in_the_report() {
    let text = format!(
        "{HEAD}[[route]]\nname = \"r\"\npath = \"/{}\"\nmeta = {{ a = \"{}\", b = 5 }}\n",
        "a/*/".repeat(50),
        "x".repeat(100_000)
    );
    let (_, report) = parse(&text);
    assert!(report.has_errors());
    assert!(report.problems.iter().all(|problem| problem.rendered.len() < 4_000), "{report}");
}

#[test]
fn a_file_has_a_bound() {
    let (table, report) = parse(&"#".repeat(17 * 1024 * 1024));
    assert!(table.is_none());
    assert_eq!(report.problems[0].code, "file-too-large");
}

#[test]
fn nesting_has_a_bound() {
    for deep in ["[".repeat(100_000), "{a=".repeat(100_000), "a.".repeat(100_000), "[[".repeat(100_000)] {
        let (table, report) = parse(&format!("{HEAD}x = {deep}"));
        assert!(table.is_none() && report.has_errors());
        let (table, report) = parse(&format!("{deep}x = 1"));
        assert!(table.is_none() && report.has_errors());
    }
}
