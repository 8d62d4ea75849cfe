//! Time of one comparison of JSON bodies of 1 KiB, 100 KiB and 1 MiB: the same bytes, the same document written
//! differently (so that it is read and walked), and with one difference in the middle.

// A benchmark that cannot run may panic where it stands; its entry points are made by macros.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use banyan_compare::{Answer, Body, Observation, Rules, compare};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, StatusCode};

/// A list of orders of about so many bytes; `space` stands after each colon.
fn orders(bytes: usize, space: &str) -> String {
    let mut text = "{\"orders\":[".to_owned();
    for id in 0.. {
        if text.len() > bytes {
            break;
        }
        let comma = if id > 0 { "," } else { "" };
        write!(
            text,
            "{comma}{{\"id\":{space}{id},\"customer\":{space}\"Zoë Müller {id}\",\"total\":{space}{}.{:02},\"paid\":{space}true,\"note\":{space}null,\"lines\":[{{\"sku\":\"A-{id}\",\"count\":{}}}]}}",
            id * 7 % 900, id % 100, id % 5
        )
        .unwrap();
    }
    text + "]}"
}

fn answered(body: String) -> Observation {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let (status, elapsed) = (StatusCode::OK, Duration::ZERO);
    Observation::Answered(Answer { status, headers, body: Body::Complete(Bytes::from(body)), elapsed })
}

fn comparing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compare");
    let (rules, today) = (Rules::default(), jiff::civil::date(2026, 1, 1));
    for (name, bytes) in [("1KiB", 1 << 10), ("100KiB", 100 << 10), ("1MiB", 1 << 20)] {
        let text = orders(bytes, "");
        let mut other = text.clone();
        let middle = other[text.len() / 2..].find("true").unwrap() + text.len() / 2;
        other.replace_range(middle..middle + 4, "false");
        let legacy = answered(text.clone());
        group.throughput(Throughput::Bytes(text.len() as u64));
        for (kind, candidate) in
            [("same-bytes", text), ("equal", orders(bytes, " ")), ("one-difference", other)]
        {
            let candidate = answered(candidate);
            group.bench_with_input(BenchmarkId::new(kind, name), &candidate, |bencher, candidate| {
                bencher.iter(|| compare(black_box(&legacy), black_box(candidate), &rules, today));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, comparing);
criterion_main!(benches);
