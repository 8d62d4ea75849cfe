//! What the admin listener says of comparisons before there is one, and whom it lets forget.

use banyan_control::api::{Mismatches, Recorded, Refusal, Reset, RouteEvidence, StoredRequests};

use crate::site::{Answer, Site, ask, head, options, route, routes};

fn get(site: &Site, path: &str) -> Answer {
    ask(site.admin, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n"), "")
}

fn refusal(answer: &Answer) -> (u16, String) {
    let refusal: Refusal = serde_json::from_str(&answer.body).expect(&answer.body);
    (answer.status, refusal.code)
}

fn shadowing(name: &str) -> String {
    format!("{}{}shadow = {{ percent = 10 }}\n", head(), route(name, 0))
}

#[test]
fn no_comparison_is_no_ratio() {
    let site = Site::start(&shadowing("orders"));
    let all: Mismatches = site.get("/api/v1/mismatches");
    assert_eq!(
        (all.routes.len(), all.routes[0].mismatch_ratio, all.routes[0].since.clone()),
        (1, None, None)
    );
    assert!(all.routes[0].shadows);
    let one: RouteEvidence = site.get("/api/v1/mismatches/orders");
    assert_eq!((one.counts.compared, one.mismatch_ratio, one.latency), (0, None, None));
    assert_eq!((one.suggestion, one.signatures.len()), (None, 0));
    let stored: StoredRequests = site.get("/api/v1/mismatches/orders/requests");
    assert!(stored.requests.is_empty());
}

/// A route without `shadow` has nothing, and is known all the same.
#[test]
fn routes_are_known_by_the_name_as_it_is_written() {
    let site = Site::start(&routes(0));
    let all: Mismatches = site.get("/api/v1/mismatches");
    assert!(all.routes.is_empty());
    let one: RouteEvidence = site.get("/api/v1/mismatches/%6frders");
    assert!(!one.shadows && one.route == "orders");
    for path in
        ["/api/v1/mismatches/order", "/api/v1/mismatches/order/requests", "/api/v1/record?route=order"]
    {
        assert_eq!(refusal(&get(&site, path)), (404, "no-such-route".to_owned()), "{path}");
    }
    let answer = site.post("/api/v1/mismatches/a%2Fb/reset", "{}");
    assert_eq!(refusal(&answer), (404, "no-such-route".to_owned()));
    assert!(answer.body.contains("`a/b`"), "{}", answer.body);
    let answer = get(&site, "/api/v1/mismatches/orders/samples/1");
    assert_eq!(refusal(&answer), (404, "no-such-sample".to_owned()));
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let site = Site::start(&routes(0));
    for path in ["/api/v1/record?count=x", "/api/v1/record?rout=a", "/api/v1/mismatches/orders/samples/x"] {
        let answer = get(&site, path);
        assert_eq!((answer.status, refusal(&answer).0), (400, 400), "{path}");
    }
    assert_eq!(refusal(&site.post("/api/v1/mismatches/orders/reset", "{\"x\":1}")).0, 400);
    assert_eq!(refusal(&get(&site, "/api/v1/mismatches/orders/reset")).0, 405);
}

#[test]
fn recording_begins_where_it_is() {
    let site = Site::start(&shadowing("orders"));
    let begun: Recorded = site.get("/api/v1/record?route=orders&count=5");
    assert_eq!((begun.requests.len(), begun.next, begun.lost), (0, 0, 0));
}

#[test]
fn only_who_may_change_something_resets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), shadowing("orders")).unwrap();
    let mut options = options(folder.path());
    (options.admin.token, options.admin.read_token) = (Some("write".to_owned()), Some("read".to_owned()));
    let proxy = banyan_control::Proxy::start(options, &banyan_control::Registry::new()).unwrap();
    let admin = proxy.addresses().admin;
    let reset = |token: &str| {
        let head = format!(
            "POST /api/v1/mismatches/orders/reset HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
        );
        ask(admin, &head, "{}")
    };
    assert_eq!(refusal(&reset("read")), (403, "read-only".to_owned()));
    assert_eq!(refusal(&reset("other")).0, 401);
    let done: Reset = serde_json::from_str(&reset("write").body).unwrap();
    assert_eq!((done.had_counts, done.samples), (false, 0));
    let head = "GET /api/v1/mismatches/orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer read\r\n";
    assert_eq!(ask(admin, head, "").status, 200);
}

#[test]
fn a_state_directory_is_where_it_is_kept() {
    let site = Site::start(&shadowing("orders"));
    let all: Mismatches = site.get("/api/v1/mismatches");
    assert_eq!((all.kept.place.as_str(), all.kept.problem), ("disk", None));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), shadowing("orders")).unwrap();
    let mut options = options(folder.path());
    options.state_dir = None;
    let proxy = banyan_control::Proxy::start(options, &banyan_control::Registry::new()).unwrap();
    let answer = ask(proxy.addresses().admin, "GET /api/v1/mismatches HTTP/1.1\r\nHost: localhost\r\n", "");
    let all: Mismatches = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(all.kept.place, "memory");
}
