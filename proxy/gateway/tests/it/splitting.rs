//! Who answers, and that it is seen.

use std::collections::BTreeSet;

use crate::client::{Client, get};
use crate::proxy::Proxy;
use crate::upstream::Upstream;

fn split(legacy: &Upstream, candidate: &Upstream, percent: &str) -> String {
    format!(
        r#"
version = 1
[defaults]
legacy = "monolith"
sticky = ["header:x-user-id"]
[upstreams.monolith]
targets = ["{}"]
[upstreams.orders]
targets = ["{}"]
[stores.orders]
mode = "shared"
[[route]]
name = "orders"
path = "/api/orders/*"
to = "orders"
percent = {percent}
store = "orders"
[[route]]
name = "gone"
path = "/v1/*"
retire = {{ link = "https://example.com/v2" }}
"#,
        legacy.url(),
        candidate.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_clients_moves_and_only_grows() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let proxy = Proxy::start(&split(&legacy, &candidate, "0"));
    let mut client = Client::connect(proxy.address).await;
    let mut moved_before = BTreeSet::new();
    for (generation, percent) in ["0", "10", "50", "100"].into_iter().enumerate() {
        proxy.apply(&split(&legacy, &candidate, percent), generation as u64 + 2);
        let mut moved = BTreeSet::new();
        for user in 1000..1400 {
            let answer = client.get("/api/orders/7", &format!("x-user-id: {user}\r\n")).await;
            assert_eq!(answer.status, 200);
            if answer.text() == "candidate" {
                moved.insert(user);
            }
        }
        assert!(moved.is_superset(&moved_before), "a client moved back at {percent} %");
        moved_before = moved;
        let expected: usize = percent.parse::<usize>().unwrap() * 4;
        let off = moved_before.len().abs_diff(expected);
        assert!(off <= 40, "{percent} % of 400 clients are {}", moved_before.len());
    }
    assert_eq!(moved_before.len(), 400);
    let decided = proxy.metric(r#"banyan_decisions_total{arm="candidate",reason="share",route="orders"}"#);
    let answered = proxy.metric(r#"banyan_requests_total{arm="candidate",code_class="2xx",route="orders"}"#);
    assert!(decided > 500.0, "{decided}");
    assert!((decided - answered).abs() < f64::EPSILON, "{decided} {answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_takes_is_answered_by_legacy() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let proxy = Proxy::start(&split(&legacy, &candidate, "100"));
    assert_eq!(get(proxy.address, "/api/ordersX", "x-user-id: 1\r\n").await.text(), "legacy");
    assert_eq!(get(proxy.address, "/api/orders", "x-user-id: 1\r\n").await.text(), "candidate");
    let unmatched = r#"banyan_decisions_total{arm="legacy",reason="unmatched",route="default"}"#;
    assert!((proxy.metric(unmatched) - 1.0).abs() < f64::EPSILON, "{}", proxy.counters());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_route_is_410_with_a_link() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let proxy = Proxy::start(&split(&legacy, &candidate, "0"));
    let answer = get(proxy.address, "/v1/anything", "").await;
    assert_eq!(answer.status, 410);
    assert_eq!(answer.header("banyan-reason"), Some("retired"));
    assert!(answer.header("link").unwrap().contains("https://example.com/v2"), "{}", answer.head);
    assert!(legacy.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_path_is_refused_and_reaches_nobody() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let proxy = Proxy::start(&split(&legacy, &candidate, "100"));
    let answer = get(proxy.address, "/static/..%2fapi/orders/7", "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (400, Some("ambiguous-path")));
    assert!(legacy.seen().is_empty() && candidate.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issued_cookie_keeps_a_client_where_it_began() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let text = split(&legacy, &candidate, "50")
        .replace(r#"sticky = ["header:x-user-id"]"#, r#"sticky = ["cookie:banyan_id"]"#)
        .replace("percent = 50", "percent = 50\nissue_cookie = true");
    let proxy = Proxy::start(&text);
    for _ in 0..30 {
        let first = get(proxy.address, "/api/orders/7", "").await;
        let cookie = first.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
        let second = get(proxy.address, "/api/orders/7", &format!("Cookie: {cookie}\r\n")).await;
        assert_eq!(first.text(), second.text());
        assert_eq!(second.header("set-cookie"), None);
    }
}
