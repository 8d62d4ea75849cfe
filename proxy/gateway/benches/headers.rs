//! Time of rewriting the header fields of a request and of an answer: those of a browser, and those of a program that
//! sends few.

// A benchmark that cannot run may panic where it stands; its entry points are made by macros.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use banyan_gateway::{Head, Rewriting};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};

const PROGRAM: &[(&str, &str)] = &[("host", "shop.example.com"), ("x-user-id", "user-4711")];
const BROWSER: &[(&str, &str)] = &[
    ("host", "shop.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.com/orders"),
    ("connection", "keep-alive"),
    ("cookie", "session=7c9e6679f7425de944be07fc1f90ae7; theme=light"),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
];
const ANSWER: &[(&str, &str)] = &[
    ("server", "nginx"),
    ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-length", "5120"),
    ("connection", "keep-alive"),
    ("keep-alive", "timeout=60"),
    ("cache-control", "no-store"),
    ("vary", "Accept-Encoding"),
];

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |&(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    lines.iter().map(field).collect()
}

fn headers(criterion: &mut Criterion) {
    let rewriting = Rewriting::new("192.0.2.7:4711".parse().unwrap());
    let mut group = criterion.benchmark_group("headers");
    for (name, lines) in [("request of a program", PROGRAM), ("request of a browser", BROWSER)] {
        let sent = Head::from(&fields(lines));
        group.bench_function(name, |bencher| {
            let rewrite = |head: &mut Head| rewriting.request(black_box(head));
            bencher.iter_batched_ref(|| sent.clone(), rewrite, BatchSize::SmallInput);
        });
    }
    let sent = Head::from(&fields(ANSWER));
    group.bench_function("answer", |bencher| {
        let rewrite = |head: &mut Head| rewriting.answer(black_box(head));
        bencher.iter_batched_ref(|| sent.clone(), rewrite, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, headers);
criterion_main!(benches);
