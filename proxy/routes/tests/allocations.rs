//! A decision allocates nothing. Alone in its binary, because counting replaces the allocator.

// A test that fails may panic where it stands.
#![allow(clippy::unwrap_used)]

use banyan_routes::{FileSet, RequestParts, RouteTable, SourceFile, Variables};
use http::{HeaderMap, HeaderValue, Method};

const TEXT: &str = r#"
version = 1
[defaults]
legacy = "monolith"
[upstreams.monolith]
targets = ["http://127.0.0.1:3000"]
[upstreams.orders]
targets = ["http://127.0.0.1:4001"]
[[route]]
name = "orders"
host = "*.example.com"
path = "/api/orders/{id}"
methods = ["GET"]
when = [{ header = "x-a", regex = "[a-z]+" }, { query = "q", equals = "a b" }, { cookie = "c", prefix = "1" }]
to = "orders"
percent = 50
sticky = ["cookie:visitor", "header:x-user-id", "client-ip"]
pin = [{ client_ip = true, within = ["10.0.0.0/8"], to = "candidate" }]
[[route]]
name = "loose"
path = "/Loose/*"
path_case = "insensitive"
trailing_slash = "ignore"
methods = ["GET"]
to = "orders"
percent = 50
sticky = ["cookie:visitor"]
issue_cookie = true
[[route]]
name = "regex"
path_regex = "/r/[0-9]+"
"#;

#[test]
fn a_decision_allocates_nothing() {
    let main = SourceFile { name: "routes.toml".to_owned(), text: TEXT.to_owned() };
    let files = FileSet { main, included: Vec::new() };
    let (table, report) = RouteTable::parse(&files, &Variables::new());
    let table = table.unwrap_or_else(|| panic!("{report:?}"));
    let mut headers = HeaderMap::new();
    headers.insert("x-a", HeaderValue::from_static("abc"));
    headers.append("cookie", HeaderValue::from_static("a=1; c=12"));
    headers.append("cookie", HeaderValue::from_static("d=1"));
    for (target, route) in [
        ("/api/orders/7?x=y&q=a%20b", "orders"),
        ("//api/./orders/%37?q=a+b", "orders"),
        ("/api/orders/a%2fb;x?q=a+b", "default"),
        ("/LOOSE/deep/down/", "loose"),
        ("/r/123", "regex"),
        ("/nothing", "default"),
        ("/%00", "default"),
    ] {
        for client in ["192.0.2.1", "2001:db8::1", "10.0.0.1"] {
            let (method, host, client) = (&Method::GET, "A.Example.com:8080", client.parse().unwrap());
            let request = RequestParts { method, host, target, headers: &headers, client, fresh_id: 7 };
            // The first use of a regular expression makes its cache.
            let warm = table.decide(&request);
            let mut decision = warm;
            let counted = allocation_counter::measure(|| decision = table.decide(&request));
            assert_eq!(counted.count_total, 0, "{target}: {} bytes", counted.bytes_total);
            assert_eq!(decision, warm);
            let name = decision.route.map_or("default", |index| table.route(index).name.as_str());
            assert_eq!(name, route, "{target}");
        }
    }
}
