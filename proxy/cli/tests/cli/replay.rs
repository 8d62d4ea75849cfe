//! `replay` against two applications that answer what they are told to and remember what they were asked.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use banyan_control::api::{SampleRequest, StoredRequests};
use serde_json::{Value, json};

use crate::banyan;
use crate::scripted::{Scripted, read};

/// An application that remembers what it was asked.
struct Application {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// Head and body.
type Asked = (String, Vec<u8>);

/// Status, content type and body.
type Answer = (u16, &'static str, Vec<u8>);

impl Application {
    fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(client, &seen, &*answer));
            }
        });
        Self { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request per connection.
fn serve(mut client: TcpStream, seen: &Mutex<Vec<Asked>>, answer: &dyn Fn(&str) -> Answer) {
    let Some((head, body)) = read(&client) else { return };
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push((head, body));
    let (status, kind, body) = answer(&target);
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // The command may have gone: nothing to do about it.
    let _ = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&body));
}

fn shop(fee: impl Fn(usize) -> f64 + Send + Sync + 'static) -> Application {
    Application::start(move |target| {
        let number: usize = target.rsplit('/').next().unwrap().parse().unwrap_or(0);
        let order = json!({ "id": number, "lines": [{ "sku": "a" }, { "sku": "b", "fee": fee(number) }] });
        (200, "application/json", order.to_string().into_bytes())
    })
}

/// A fee that is wrong in every 20th order.
fn planted() -> (Application, Application) {
    (shop(|_| 1.5), shop(|number| if number % 20 == 7 { 1.75 } else { 1.5 }))
}

struct Run {
    folder: tempfile::TempDir,
    legacy: String,
    candidate: String,
}

impl Run {
    fn new(legacy: &Application, candidate: &Application) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, legacy: legacy.url(), candidate: candidate.url() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn orders(&self, count: usize) -> PathBuf {
        let line = |number| json!({ "request": { "method": "GET", "target": format!("/orders/{number}") } });
        let lines: Vec<String> = (0..count).map(|number| line(number).to_string()).collect();
        self.file("orders.jsonl", &lines.join("\n"))
    }

    /// Exit code, the JSON, and what was said.
    fn replay(&self, arguments: &[&str]) -> (i32, Value, String) {
        let fixed = ["replay", "--legacy", &self.legacy, "--candidate", &self.candidate, "--json"];
        let ended = banyan().args(fixed).args(arguments).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        let value = serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null);
        (ended.status.code().unwrap(), value, said)
    }
}

#[test]
fn a_planted_difference_is_found_at_its_place() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let file = run.orders(100);
    let (code, told, said) = run.replay(&["--jsonl", file.to_str().unwrap()]);
    assert_eq!((code, told["passed"].as_bool()), (1, Some(false)), "{said}");
    assert_eq!(told["counts"]["compared"], 100);
    assert_eq!(told["counts"]["mismatch"], 5);
    assert_eq!(told["signatures"][0]["signature"], "/lines/*/fee value");
    assert_eq!(told["signatures"][0]["example"], "GET /orders/7");
    assert!(told["mismatch_ratio"]["upper"].as_f64().unwrap() > 0.05);
    assert!(said.contains("5 of 100 requests differ or were not answered: 5.0 %, more than 0.0 %"), "{said}");
    assert_eq!((legacy.asked().len(), candidate.asked().len()), (100, 100));
}

#[test]
fn a_ratio_may_be_allowed() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let file = run.orders(40);
    let with = |ratio| run.replay(&["--jsonl", file.to_str().unwrap(), "--fail-over", ratio]).0;
    assert_eq!((with("0.05"), with("0.049"), with("5")), (0, 1, 2));
}

/// A route `orders` with one more line.
fn routes(line: &str) -> String {
    format!(
        "version = 1\n[defaults]\nlegacy = \"old\"\nsticky = [\"client-ip\"]\n[upstreams.old]\n\
         targets = [\"http://127.0.0.1:9\"]\n[upstreams.new]\ntargets = [\"http://127.0.0.1:9\"]\n\
         [[route]]\nname = \"orders\"\npath = \"/orders/*\"\nto = \"new\"\npercent = 0\n\
         shadow = {{ percent = 10 }}\n{line}\n"
    )
}

#[test]
fn rules_of_a_route_count() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let routes = routes("compare = { ignore = [\"/lines/*/fee\"] }");
    let (orders, routes) = (run.orders(40), run.file("routes.toml", &routes));
    let (orders, routes) = (orders.to_str().unwrap(), routes.to_str().unwrap());
    let (code, told, said) = run.replay(&["--jsonl", orders, "--routes", routes, "--route", "orders"]);
    assert_eq!((code, told["counts"]["ignored"].as_u64()), (0, Some(2)), "{said}");
}

#[test]
fn writes_are_asked_only_when_told_and_bodies_arrive_byte_by_byte() {
    let answer = || Application::start(|_| (201, "application/json", b"{}".to_vec()));
    let (legacy, candidate) = (answer(), answer());
    let run = Run::new(&legacy, &candidate);
    let har = json!({ "log": { "entries": [
        { "request": { "method": "GET", "url": "https://shop.test/a?b=1#c", "headers": [
            { "name": ":authority", "value": "shop.test" }, { "name": "Host", "value": "shop.test" },
            { "name": "x-user-id", "value": "1" }, { "name": "Connection", "value": "x-hop" },
            { "name": "x-hop", "value": "1" } ] } },
        { "request": { "method": "POST", "url": "https://shop.test/a", "headers": [], "postData":
            { "mimeType": "application/octet-stream", "encoding": "base64", "text": "AAH/gA==" } } },
        { "request": { "method": "PUT", "url": "https://shop.test/f", "postData":
            { "mimeType": "application/x-www-form-urlencoded", "params": [{ "name": "a", "value": "1" }, { "name": "b", "value": "2" }] } } },
    ] } });
    let file = run.file("shop.har", &har.to_string());
    let file = file.to_str().unwrap();
    let (code, told, _) = run.replay(&["--har", file]);
    assert_eq!((code, told["asked"].as_u64(), told["skipped_unsafe"].as_u64()), (0, Some(1), Some(2)));
    let (code, told, said) = run.replay(&["--har", file, "--writes", "-H", "x-user-id: 7", "-H", "a: b"]);
    assert_eq!((code, told["asked"].as_u64()), (0, Some(3)), "{said}");
    for asked in [legacy.asked(), candidate.asked()] {
        let (head, body) = &asked[2];
        assert!(head.starts_with("POST /a HTTP/1.1\r\n"), "{head}");
        assert_eq!(body, &[0, 1, 255, 128]);
        assert_eq!(asked[3].1, b"a=1&b=2");
        let (first, again) = (asked[0].0.to_ascii_lowercase(), asked[1].0.to_ascii_lowercase());
        assert!(first.starts_with("get /a?b=1 http/1.1") && first.contains("x-user-id: 1\r\n"), "{first}");
        assert!(!first.contains("shop.test") && !first.contains("x-hop"), "{first}");
        assert!(again.contains("x-user-id: 7\r\n") && again.contains("a: b\r\n"), "{again}");
    }
}

/// A single request that is not safe must not be asked of both, whatever its method says.
#[test]
fn what_has_effects_by_its_route_or_by_a_field_is_a_write() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let with = |name: &str| json!({ "method": "GET", "target": "/orders/2", "headers": [[name, "DELETE"]] });
    let requests = [
        json!({ "method": "GET", "target": "/orders/1", "safe": false }),
        with("X-HTTP-Method-Override"),
        with("x-http-method"),
        with("X-Method-Override"),
        json!({ "method": "POST", "target": "/orders/3", "safe": true }),
        json!({ "method": "GET", "target": "/orders/4", "safe": true }),
    ];
    let lines = requests.map(|request| json!({ "request": request }).to_string());
    let file = run.file("orders.jsonl", &lines.join("\n"));
    let file = file.to_str().unwrap();
    let (code, told, said) = run.replay(&["--jsonl", file]);
    assert_eq!((code, told["skipped_unsafe"].as_u64()), (0, Some(5)), "{said}");
    for asked in [legacy.asked(), candidate.asked()] {
        let heads: Vec<_> = asked.iter().map(|(head, _)| head.lines().next().unwrap()).collect();
        assert_eq!(heads, ["GET /orders/4 HTTP/1.1"]);
    }
    let (_, told, _) = run.replay(&["--jsonl", file, "--writes"]);
    assert_eq!(told["asked"], 6);
    let (code, told, _) = run.replay(&["--jsonl", file, "-H", "X-HTTP-Method-Override: PUT"]);
    assert_eq!((code, told["asked"].as_u64()), (1, Some(0)));
}

#[test]
fn the_route_that_is_named_says_whether_its_requests_have_effects() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let routes = routes("side_effects = true");
    let (orders, routes) = (run.orders(3), run.file("routes.toml", &routes));
    let (orders, routes) = (orders.to_str().unwrap(), routes.to_str().unwrap());
    let (code, told, said) = run.replay(&["--jsonl", orders, "--routes", routes, "--route", "orders"]);
    assert_eq!((code, told["skipped_unsafe"].as_u64()), (1, Some(3)), "{said}");
    assert!(legacy.asked().is_empty() && candidate.asked().is_empty());
}

/// Also where the proxy is older than the command and does not say it.
#[test]
fn samples_are_asked_only_where_they_are_known_to_be_safe() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let request = |number: usize| json!({ "method": "GET", "target": format!("/orders/{number}"), "headers": [], "body": null, "whole": true });
    let mut requests = [request(1), request(2), request(3)];
    requests[0]["safe"] = json!(true);
    requests[1]["safe"] = json!(false);
    let stored = json!({ "version": 1, "route": "orders", "requests": requests });
    let admin = Scripted::start(vec![("/mismatches/orders/requests", 200, stored.to_string())]);
    let (code, told, said) = run.replay(&["--stored", "orders", "--admin", &admin.admin()]);
    assert_eq!((code, told["skipped_unsafe"].as_u64()), (0, Some(2)), "{said}");
    assert_eq!((legacy.asked().len(), candidate.asked().len()), (1, 1));
}

#[test]
fn bodies_and_statuses_are_told_apart() {
    let legacy = Application::start(|target| match target {
        "/big" => (200, "text/plain", vec![b'x'; 2_000]),
        "/gone" => (404, "text/plain", b"gone".to_vec()),
        _ => (200, "text/plain", b"same".to_vec()),
    });
    let candidate = Application::start(|target| match target {
        "/big" => (200, "text/plain", vec![b'y'; 2_000]),
        "/gone" => (302, "text/plain", b"gone".to_vec()),
        _ => (200, "text/plain", b"same".to_vec()),
    });
    let run = Run::new(&legacy, &candidate);
    let lines = ["/big", "/gone", "/same"]
        .map(|target| format!("{{\"request\":{{\"method\":\"GET\",\"target\":\"{target}\"}}}}"));
    let file = run.file("all.jsonl", &lines.join("\n"));
    let (code, told, _) = run.replay(&["--jsonl", file.to_str().unwrap(), "--max-body", "1KiB"]);
    assert_eq!(code, 1);
    assert_eq!(told["incomparable"]["too-large"], 1);
    assert_eq!(told["signatures"][0]["signature"], "status 404 -> 302");
    assert_eq!(told["counts"]["match"], 1);
}

/// Else a candidate that is down for half of the requests would pass.
#[test]
fn what_the_candidate_does_not_answer_counts_against_it() {
    let legacy = Application::start(|_| (200, "text/plain", b"same".to_vec()));
    let candidate = Application::start(|target| {
        assert!(target != "/down", "closes the connection without an answer");
        (200, "text/plain", b"same".to_vec())
    });
    let run = Run::new(&legacy, &candidate);
    let lines = ["/up", "/down"]
        .map(|target| format!("{{\"request\":{{\"method\":\"GET\",\"target\":\"{target}\"}}}}"));
    let file = run.file("all.jsonl", &lines.join("\n"));
    let (code, told, _) = run.replay(&["--jsonl", file.to_str().unwrap(), "--fail-over", "0.4"]);
    assert_eq!(
        (code, told["unanswered"].as_u64(), told["counts"]["mismatch"].as_u64()),
        (1, Some(1), Some(0))
    );
    assert_eq!(told["failed_ratio"], 0.5);
}

/// Legacy gave a whole answer, so it is the candidate that is broken.
#[test]
fn an_answer_of_the_candidate_alone_that_cannot_be_compared_counts_against_it() {
    let legacy = Application::start(|_| (200, "text/plain", b"same".to_vec()));
    let candidate = Application::start(|target| match target {
        "/broken" => (200, "text/plain\r\nTransfer-Encoding: chunked", b"4\r\nsa".to_vec()),
        "/coded" => (200, "text/plain\r\nContent-Encoding: gzip", b"same".to_vec()),
        "/big" => (200, "text/plain", vec![b'x'; 2_000]),
        "/stream" => (200, "text/event-stream", b"data: 1\n\n".to_vec()),
        _ => (200, "text/plain", b"same".to_vec()),
    });
    let run = Run::new(&legacy, &candidate);
    let lines = ["/same", "/broken", "/coded", "/big", "/stream"]
        .map(|target| format!("{{\"request\":{{\"method\":\"GET\",\"target\":\"{target}\"}}}}"));
    let file = run.file("all.jsonl", &lines.join("\n"));
    let (code, told, said) =
        run.replay(&["--jsonl", file.to_str().unwrap(), "--max-body", "1KiB", "--fail-over", "0.79"]);
    assert_eq!(told["incomparable"]["broken"], 1, "{told}");
    assert_eq!(told["incomparable"]["decode-failed"], 1, "{told}");
    assert_eq!(
        (code, told["unanswered"].as_u64(), told["failed_ratio"].as_f64()),
        (1, Some(4), Some(0.8)),
        "{said}"
    );
}

#[test]
fn samples_of_a_running_proxy_are_asked() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let request = |target: &str, whole| SampleRequest {
        method: "GET".to_owned(),
        target: target.to_owned(),
        headers: vec![("authorization".to_owned(), "[redacted]".to_owned())],
        body: None,
        whole,
        safe: true,
    };
    let requests = vec![request("/orders/7", true), request("/orders/8?token=[redacted]", false)];
    let stored = StoredRequests { version: 1, route: "orders".to_owned(), requests };
    let admin =
        Scripted::start(vec![("/mismatches/orders/requests", 200, serde_json::to_string(&stored).unwrap())]);
    let (code, told, said) = run.replay(&["--stored", "orders", "--admin", &admin.admin()]);
    assert_eq!((code, told["skipped_not_whole"].as_u64()), (1, Some(1)), "{said}");
    assert!(!candidate.asked()[0].0.to_ascii_lowercase().contains("authorization"));
}

#[test]
fn people_see_the_place_and_where_it_was_first() {
    let (legacy, candidate) = planted();
    let run = Run::new(&legacy, &candidate);
    let file = run.orders(40);
    let arguments =
        ["replay", "--legacy", &run.legacy, "--candidate", &run.candidate, "--jsonl", file.to_str().unwrap()];
    let ended = banyan().args(arguments).output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    let without_times: Vec<&str> = text.lines().filter(|line| !line.starts_with("  latency")).collect();
    assert_eq!(
        without_times.join("\n"),
        "40 requests asked of both, 0 left out\n  mismatch      2, 5.0 % (1.4 % to 16.5 %)\n  \
         else          38 match, 0 ignored\n  incomparable  0\n\n\
         DIFFERENCE          SHARE  MISMATCHES  FIRST IN\n/lines/*/fee value  5.0 %  2           GET /orders/7"
    );
}

/// U+009B begins a command of a terminal as ESC [ does, and U+202E turns text around.
#[test]
fn no_answer_and_no_file_steers_the_terminal() {
    let answer = |key: &'static str| {
        Application::start(move |_| (200, "application/json", json!({ key: 1 }).to_string().into_bytes()))
    };
    let (legacy, candidate) = (answer("a"), answer("\u{9b}2J\u{202e}\u{7f}"));
    let run = Run::new(&legacy, &candidate);
    let orders = run.orders(1);
    let fixed = ["replay", "--legacy", &run.legacy, "--candidate", &run.candidate, "--jsonl"];
    let text_of = |file: &std::path::Path, more: &[&str]| {
        let ended = banyan().args(fixed).arg(file).args(more).output().unwrap();
        String::from_utf8(ended.stdout).unwrap() + std::str::from_utf8(&ended.stderr).unwrap()
    };
    let json = text_of(&orders, &["--json"]);
    assert!(json.contains("\\u202e"), "{json:?}");
    let people = text_of(&orders, &[]);
    assert!(people.contains("\\u{9b}2J\\u{202e}\\u{7f}"), "{people:?}");
    let refused = [
        "{\"request\":{\"method\":\"GET\",\"target\":\"\u{9b}2J\u{202e}\"}}",
        "{\"request\":{\"method\":\"\u{9b}2J\u{202e}\",\"target\":\"/\"}}",
        "{\"request\":{\"method\":\"GET\",\"target\":\"/\",\"headers\":[[\"\u{9b}2J\u{202e}\",\"\"]]}}",
    ];
    for line in refused {
        let text = text_of(&run.file("steering.jsonl", line), &[]);
        assert!(text.contains("\\u{9b}2J\\u{202e}"), "{text:?}");
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{text:?}");
    }
    let har = json!({ "log": { "entries": [{ "request": { "method": "GET", "url": "\u{9b}2J" } }] } });
    let har = run.file("steering.har", &har.to_string());
    let arguments = ["replay", "--legacy", &run.legacy, "--candidate", &run.candidate, "--har"];
    let ended = banyan().args(arguments).arg(har).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(said.contains("\\u{9b}2J") && !said.contains('\u{9b}'), "{said:?}");
    assert!(
        !json.contains(['\u{9b}', '\u{202e}', '\u{7f}'])
            && !people.contains(['\u{9b}', '\u{202e}', '\u{7f}'])
    );
}

/// RFC 9110 5.5 lets values have bytes above 127, and browsers send them.
#[test]
fn a_field_beyond_ascii_is_asked_as_it_was_written() {
    let (legacy, candidate) = (shop(|_| 1.5), shop(|_| 1.5));
    let run = Run::new(&legacy, &candidate);
    let line =
        json!({ "request": { "method": "GET", "target": "/orders/1", "headers": [["x-city", "Málaga"]] } });
    let file = run.file("one.jsonl", &line.to_string());
    let (code, _, said) = run.replay(&["--jsonl", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    for asked in [legacy.asked(), candidate.asked()] {
        assert!(asked[0].0.contains("x-city: Málaga\r\n"), "{:?}", asked[0].0);
    }
}
