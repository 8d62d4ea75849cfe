//! The board, and routes over time, as a proxy tells them that really answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use banyan_control::api::{Board, BoardRow, Progress, Series};
use serde_json::Value;

use crate::browser::with;
use crate::site::{LONG, SOON, Site, ask, head, route, routes};

/// Answers 200 to everybody, for as long as the process runs.
fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
        }
    });
    address
}

/// `orders` at this percent with upstreams that answer, and `old` that nobody took out yet.
fn answering(percent: u32) -> String {
    let parts = head().replacen("127.0.0.1:9", &application().to_string(), 1);
    let parts = parts.replacen("127.0.0.1:9\"", &format!("{}\"", application()), 1);
    format!("{parts}{}{}", route("orders", percent), route("carts", 100))
}

fn start(text: &str, every: Duration) -> Site {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), text).unwrap();
    with(folder, |options| options.sample_every = every)
}

fn visit(site: &Site, name: &str, clients: u32) {
    let address = site.proxy.addresses().listen[0];
    for client in 0..clients {
        let head = format!("GET /api/{name}/7 HTTP/1.1\r\nHost: shop.example\r\nx-user-id: {client}\r\n");
        assert_eq!(ask(address, &head, "").status, 200);
    }
}

fn row(site: &Site, name: &str) -> BoardRow {
    let board: Board = site.get("/api/v1/board");
    board.rows.into_iter().find(|row| row.name == name).unwrap()
}

#[test]
fn no_data_is_told_as_none() {
    let site = start(&routes(10), Duration::from_hours(1));
    let board: Board = site.get("/api/v1/board");
    assert_eq!((board.totals.routes, board.totals.routes_off), (1, 0));
    assert_eq!((board.totals.requests_off_ratio, board.totals.requests_per_second), (None, None));
    let orders = &board.rows[0];
    assert_eq!((orders.percent.as_deref(), orders.stage.as_str()), (Some("10"), "canary"));
    assert_eq!((orders.observed_share, orders.requests_per_second, orders.mismatch), (None, None, None));
    assert_eq!((orders.legacy.error_ratio, orders.legacy.p99_seconds), (None, None));
    assert_eq!(board.rows[1].name, "default");
    let series: Series = site.get("/api/v1/series?route=orders&points=10");
    assert!(series.legacy.requests_per_second.iter().all(Option::is_none), "{series:?}");
    assert_eq!(series.problem.as_deref(), Some("no sample of this route at that time"));
}

#[test]
fn a_row_tells_both_arms_and_the_last_change() {
    let text = answering(50);
    let site = start(&text, Duration::from_millis(500));
    site.until(LONG, "a first sample", |site| row(site, "orders").requests_per_second.is_some());
    visit(&site, "orders", 40);
    site.until(LONG, "all sampled", |site| row(site, "orders").observed_requests == 40);
    let orders = row(&site, "orders");
    let (legacy, candidate) = (orders.legacy.requests, orders.candidate.requests);
    assert_eq!(legacy + candidate, 40);
    let share = orders.observed_share.unwrap();
    assert!((share - f64::from(u32::try_from(candidate).unwrap()) / 40.0).abs() < 1e-6, "{share}");
    assert_eq!((orders.legacy.error_ratio, orders.candidate.error_ratio), (Some(0.0), Some(0.0)));
    assert!(orders.candidate.p99_seconds.is_some() && orders.requests_per_second.unwrap() > 0.0);
    assert_eq!((orders.last_change, orders.trouble), (None, Vec::new()));
    assert_eq!(row(&site, "carts").legacy.requests, 0);
    let totals = site.get::<Board>("/api/v1/board").totals;
    assert_eq!((totals.routes, totals.routes_off), (2, 1));
    let off = totals.requests_off_ratio.unwrap();
    assert!((off - share).abs() < 1e-6, "{off} {share}");

    site.write("routes.toml", &text.replace("percent = 50", "percent = 60"));
    site.until(SOON, "in force", |site| row(site, "orders").percent.as_deref() == Some("60"));
    let orders = row(&site, "orders");
    assert_eq!((orders.observed_share, orders.observed_requests), (None, 0), "that was another share");
    let change = orders.last_change.unwrap();
    assert_eq!((change.generation, change.who.as_str()), (2, "file"));
    assert_eq!(change.line, "orders 50 % -> 60 % (10 % of clients move to the candidate)");
    assert_eq!(row(&site, "carts").last_change, None);
    let series: Series = site.get("/api/v1/series?route=orders&points=2000");
    assert_eq!(series.marks, [change]);
    assert!(series.configured_share.contains(&Some(0.5)), "{:?}", series.configured_share);
}

#[test]
fn everybody_is_told_the_same_board() {
    let site = start(&routes(10), Duration::from_hours(1));
    let ask_board =
        |more: &str| ask(site.admin, &format!("GET /api/v1/board HTTP/1.1\r\nHost: localhost\r\n{more}"), "");
    let first = ask_board("");
    let etag = first.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    assert!(first.head.contains("cache-control: no-cache"), "{}", first.head);
    let again = ask_board(&format!("If-None-Match: W/\"x\", {etag}\r\n"));
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert!(again.head.contains(&format!("etag: {etag}")), "{}", again.head);
    site.write("routes.toml", &routes(20));
    site.until(SOON, "another board", |_| ask_board(&format!("If-None-Match: {etag}\r\n")).status == 200);
    site.write("routes.toml", "garbage");
    site.until(SOON, "a refusal is on it", |site| {
        let board: Value = site.get("/api/v1/board");
        board["totals"]["last_reload"]["result"] == "refused"
    });
}

#[test]
fn trouble_of_an_upstream_is_told() {
    let sick = head().replace(
        "[upstreams.orders]\n",
        "[upstreams.orders]\nhealth = { path = \"/healthz\", every = \"100ms\", unhealthy_after = 1 }\n",
    );
    let site = start(&format!("{sick}{}", route("orders", 50)), Duration::from_millis(100));
    site.until(LONG, "told", |site| !row(site, "orders").trouble.is_empty());
    let trouble = row(&site, "orders").trouble.remove(0);
    assert_eq!((trouble.arm.as_str(), trouble.kind.as_str()), ("candidate", "target-unhealthy"));
    assert_eq!((trouble.upstream.as_str(), trouble.target.as_deref()), ("orders", Some("127.0.0.1:9")));
}

#[test]
fn series_begin_with_the_process_and_say_what_they_cannot() {
    let site = start(&answering(50), Duration::from_secs(1));
    visit(&site, "orders", 5);
    let series = |query: &str| -> Series { site.get(&format!("/api/v1/series?{query}")) };
    let known = |series: &Series| series.legacy.requests_per_second.iter().flatten().count();
    site.until(LONG, "two samples", |_| known(&series("route=orders&points=2000")) >= 2);
    let short = series("route=orders&points=2000");
    let length = short.times.len();
    for column in
        [&short.observed_share, &short.candidate.p99_seconds, &short.banyan.error_ratio, &short.compared]
    {
        assert_eq!(column.len(), length);
    }
    assert!(short.times.is_sorted() && short.memory_since.is_some(), "{:?}", short.memory_since);
    assert_eq!((short.problem.as_deref(), short.source.as_str()), (None, "memory"));
    let known_at = short.legacy.requests_per_second.iter().position(Option::is_some).unwrap();
    assert!(known_at > length / 2, "before the process there is nothing");
    let long = series("route=orders&from=2020-01-01T00:00:00Z");
    assert!(long.problem.unwrap().contains("--prometheus"), "what is missing is said");
    for (wrong, status) in
        [("route=gone", 404), ("", 400), ("route=orders&from=x", 400), ("route=orders&from=9&to=8", 400)]
    {
        let answer =
            ask(site.admin, &format!("GET /api/v1/series?{wrong} HTTP/1.1\r\nHost: localhost\r\n"), "");
        assert_eq!(answer.status, status, "{wrong}: {}", answer.body);
    }
}

#[test]
fn the_burn_down_survives_a_restart() {
    let site = start(&routes(10), Duration::from_millis(100));
    let progress = |site: &Site| -> Progress { site.get("/api/v1/progress") };
    let off = |site: &Site| progress(site).points.iter().map(|point| point.routes_off).collect::<Vec<_>>();
    site.until(LONG, "a first point", |site| off(site) == [0]);
    assert_eq!(progress(&site).problem, None);
    site.write("routes.toml", &routes(100));
    site.until(LONG, "a point of the change", |site| off(site) == [0, 1]);
    let Site { proxy, folder, .. } = site;
    drop(proxy);
    let mut torn =
        std::fs::OpenOptions::new().append(true).open(folder.path().join("state/progress.jsonl")).unwrap();
    torn.write_all(b"{\"at\":1,\"rou\n").unwrap();
    std::fs::write(folder.path().join("routes.toml"), routes(50)).unwrap();
    let site = with(folder, |options| options.sample_every = Duration::from_millis(100));
    site.until(LONG, "what was, and what is", |site| off(site) == [0, 1, 0]);
    let thinned: Progress = site.get("/api/v1/progress?points=1");
    assert_eq!(thinned.points.last(), progress(&site).points.last());
}

#[test]
fn without_a_state_directory_the_burn_down_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), routes(10)).unwrap();
    let site = with(folder, |options| options.state_dir = None);
    let progress: Progress = site.get("/api/v1/progress");
    assert!(progress.problem.unwrap().contains("--state-dir"));
}
