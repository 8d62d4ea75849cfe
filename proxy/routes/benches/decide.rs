//! Time of one decision with 1 to 10 000 routes: exact paths, templates and prefixes in turn, a sticky header.

// A benchmark that cannot run may panic where it stands; its entry points are made by macros.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use banyan_routes::{FileSet, RequestParts, RouteTable, SourceFile, Variables};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};

fn table(routes: usize) -> RouteTable {
    let mut text = "version = 1\n[defaults]\nlegacy = \"m\"\nsticky = [\"header:x-user-id\"]\n[upstreams.m]\ntargets = [\"http://127.0.0.1:1\"]\n".to_owned();
    for number in 0..routes {
        let path = match number % 3 {
            0 => "*",
            1 => "items/{id}/lines",
            _ => "status",
        };
        writeln!(
            text,
            "[[route]]\nname = \"r{number}\"\npath = \"/api/v1/service-{number}/{path}\"\nmethods = [\"GET\"]\nto = \"m\"\npercent = 50"
        )
        .unwrap();
    }
    let main = SourceFile { name: "routes.toml".to_owned(), text };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    table.unwrap_or_else(|| panic!("{report:?}"))
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decide");
    for routes in [1, 100, 1_000, 10_000] {
        let table = table(routes);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "shop.example.com"),
            ("accept", "*/*"),
            ("user-agent", "bench/1.0"),
            ("x-user-id", "user-4711"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // Of each kind one from the middle, and one path that nothing takes.
        let middle = routes / 2;
        let targets: Vec<String> = (middle..middle + 3)
            .map(|number| match number % 3 {
                0 => format!("/api/v1/service-{number}/some/thing?x=1"),
                1 => format!("/api/v1/service-{number}/items/4711/lines"),
                _ => format!("/api/v1/service-{number}/status"),
            })
            .chain(["/static/app.js".to_owned()])
            .collect();
        let mut turn = 0;
        group.bench_with_input(BenchmarkId::from_parameter(routes), &table, |bencher, table| {
            bencher.iter(|| {
                turn = (turn + 1) % targets.len();
                let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
                let (method, target) = (&Method::GET, targets[turn].as_str());
                let request = RequestParts {
                    method,
                    host: "shop.example.com",
                    target,
                    headers: &headers,
                    client,
                    fresh_id: 7,
                };
                black_box(table.decide(black_box(&request)))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decide);
criterion_main!(benches);
