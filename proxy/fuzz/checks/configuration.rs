//! Whatever the text of a configuration is, it gives a table or a report that people can use.

use std::net::{IpAddr, Ipv4Addr};

use banyan_routes::{FileSet, Problem, RequestParts, RouteTable, SourceFile, Variables, diff};
use http::{HeaderMap, Method};

/// Reads the bytes as a file set: NUL ends a file, and the first is the main one.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut files = text.split('\0').enumerate().map(|(place, text)| {
        let name = if place == 0 { "routes.toml".to_owned() } else { format!("routes.d/{place:02}.toml") };
        SourceFile { name, text: text.to_owned() }
    });
    let main = files.next().expect("a split gives at least one part");
    check_files(&FileSet { main, included: files.collect() });
}

/// Parses, and checks what holds of every answer.
pub(crate) fn check_files(files: &FileSet) {
    let (table, report) = RouteTable::parse(files, &variables());
    assert_eq!(table.is_none(), report.has_errors(), "{report}");
    for problem in &report.problems {
        check_problem(files, problem);
    }
    let _ = FileSet::include_patterns(&files.main, &variables());
    if let Some(table) = table {
        check_table(files, &table);
    }
}

/// What a file may use as `${VAR}`.
pub(crate) fn variables() -> Variables {
    Variables::from([
        ("ORDERS_URL".to_owned(), "http://10.0.0.11:8080".to_owned()),
        ("EMPTY".to_owned(), String::new()),
    ])
}

/// The place is one in the files, and the words keep to the house's voice.
fn check_problem(files: &FileSet, problem: &Problem) {
    let mut all = std::iter::once(&files.main).chain(&files.included);
    let file = all.find(|file| file.name == problem.file).expect("the file is one of the set");
    // A problem may stand behind the last line.
    let line = file.text.split('\n').nth(problem.line - 1).expect("the line is one of the file");
    assert!((1..=line.chars().count() + 1).contains(&problem.column), "{problem:?}");
    assert!(problem.rendered.contains(problem.code), "{problem:?}");
    let begins_low = problem.message.chars().next().is_some_and(|first| !first.is_ascii_uppercase());
    assert!(begins_low && !problem.message.ends_with('.'), "{}", problem.message);
}

/// A table says the same whenever it is read, whatever stands in its comments, and answers every request.
fn check_table(files: &FileSet, table: &RouteTable) {
    let mut commented = files.clone();
    commented.main.text.push_str("\n# the end\n");
    let (again, report) = RouteTable::parse(&commented, &variables());
    let again = again.unwrap_or_else(|| panic!("a comment is refused: {report}"));
    assert_eq!(again.hash(), table.hash());
    assert_eq!(again.to_string(), table.to_string());
    assert!(diff(table, &again).is_empty());
    for route in table.routes() {
        decide(table, &route.path.to_string());
    }
    decide(table, "/");
    let rolled_back = table.rolled_back(|_| true, true).table;
    assert!(rolled_back.rolled_back(|_| true, true).changed.is_empty());
}

/// The decision is the one that `explain` tells of.
fn decide(table: &RouteTable, target: &str) {
    let (method, headers) = (Method::GET, HeaderMap::new());
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request =
        RequestParts { method: &method, host: "a.test", target, headers: &headers, client, fresh_id: 7 };
    let explanation = table.explain(&request);
    assert_eq!(explanation.decision, table.decide(&request));
    assert!(!explanation.sentence(table).is_empty());
}
