//! Ranges longer than a day: asked of a Prometheus that is slow, talks nonsense, or is not there. A real one is asked in the
//! tests of the whole program.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use banyan_control::PrometheusOptions;
use banyan_control::api::Series;

use crate::browser::with;
use crate::site::{Site, routes};

/// A proxy whose Prometheus is there.
fn asking(prometheus: SocketAddr) -> Site {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), routes(10)).unwrap();
    let agent = ureq::Agent::config_builder().build().into();
    with(folder, |options| {
        options.prometheus = Some(PrometheusOptions { url: format!("http://{prometheus}"), agent });
    })
}

/// Whoever asks gets this after a while.
fn answering(answer: &'static str, after: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                thread::sleep(after);
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    address
}

fn two_days(site: &Site) -> Series {
    let series: Series =
        site.get("/api/v1/series?route=orders&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z&points=50");
    assert_eq!(series.source, "prometheus");
    assert!(series.times.len() <= 50 && series.times.len() > 40, "{}", series.times.len());
    assert_eq!(series.legacy.requests_per_second, vec![None; series.times.len()], "no data is no zero");
    series
}

#[test]
fn one_that_is_down_is_said() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let problem = two_days(&asking(nobody)).problem.unwrap();
    assert!(problem.starts_with("Prometheus does not answer: "), "{problem}");
}

#[test]
fn one_that_is_slow_costs_ten_seconds_and_no_more() {
    let site = asking(answering("", Duration::from_mins(1)));
    let began = Instant::now();
    let problem = two_days(&site).problem.unwrap();
    let took = began.elapsed();
    assert!(problem.starts_with("Prometheus does not answer: "), "{problem}");
    assert!((Duration::from_secs(9)..Duration::from_secs(20)).contains(&took), "{took:?}");
}

#[test]
fn one_that_refuses_is_quoted() {
    let refusal = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n\
        {\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"exceeded maximum resolution\"}";
    let problem = two_days(&asking(answering(refusal, Duration::ZERO))).problem.unwrap();
    assert_eq!(problem, "Prometheus refuses: exceeded maximum resolution");
}

#[test]
fn what_is_no_prometheus_is_said() {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n<html>hello</html>";
    let problem = two_days(&asking(answering(page, Duration::ZERO))).problem.unwrap();
    assert_eq!(problem, "Prometheus does not answer: status 200, and no answer of Prometheus");
    let empty = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n\
        {\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}";
    let problem = two_days(&asking(answering(empty, Duration::ZERO))).problem.unwrap();
    assert_eq!(problem, "Prometheus knows nothing of this route at that time");
}

/// The last day is the proxy's own, whatever Prometheus does.
#[test]
fn the_last_day_is_asked_of_nobody() {
    let site = asking(answering("", Duration::from_mins(1)));
    let series: Series = site.get("/api/v1/series?route=orders");
    assert_eq!(series.source, "memory");
}
