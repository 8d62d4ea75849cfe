//! What comparing says, and what it adds up to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use banyan_gateway::Compared;
use banyan_routes::Arm;

use super::{EVERYTHING, incomparable, is_quiet, result, routes, site, verdict};
use crate::client::{Client, get};
use crate::proxy::Proxy;
use crate::upstream::{Seen, Upstream};

/// The same JSON in two encodings.
const GZIP: [&str; 2] = [
    "1f8b08000100000004ffab56ca4c51b232d751ca4bcc4d55b2524a540031144a32124b14328b1572f2f3d2538b40dc3c85bcfc928cccbc74251da5cc92d4dc6225ab68431d231de3d85a004226ea7644000000",
    "1f8b08000900000002ffab56ca4c51b232d751ca4bcc4d55b2524a540031144a32124b14328b1572f2f3d2538b40dc3c85bcfc928cccbc74251da5cc92d4dc6225ab68431d231de3d85a004226ea7644000000",
];

fn bytes_of(hex: &str) -> Bytes {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn json(text: impl Into<String>) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(text.into()));
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

/// By the last part of the path.
fn arm(place: usize) -> impl Fn(&Seen) -> Response<Full<Bytes>> + Send + Sync + 'static {
    move |seen| match seen.target.rsplit('/').next().unwrap() {
        "differs" => json(format!("{{\"fee\":{place}}}")),
        "gzip" => {
            let mut answer = json("");
            answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            *answer.body_mut() = Full::new(bytes_of(GZIP[place]));
            answer
        }
        "large" => json(format!("\"{}\"", "x".repeat(2_000))),
        "events" => {
            let mut answer = json("data: 1\n\n");
            answer.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            answer
        }
        "status" => {
            let mut answer = json("{}");
            *answer.status_mut() = http::StatusCode::from_u16(if place == 0 { 200 } else { 404 }).unwrap();
            answer
        }
        _ => json("{\"id\":7}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verdict_is_counted_and_told() {
    let (legacy, candidate) = (Upstream::http(arm(0)).await, Upstream::http(arm(1)).await);
    let settings = "percent = 0\nshadow = { percent = 100, max_body = \"1KiB\" }\n\
                    compare = { recheck_after = \"1ms\" }";
    let proxy = site(&legacy, &candidate, settings);
    let follower = proxy.gateway.comparisons().follow(16);
    let mut client = Client::connect(proxy.address).await;
    for path in ["same", "gzip", "differs", "status", "large", "events"] {
        client.get(&format!("/a/{path}"), "").await;
    }
    proxy.until("all compared", || {
        ["match", "mismatch", "incomparable"].iter().map(|word| verdict(&proxy, "a", word)).sum::<u64>() == 6
    });
    assert_eq!(verdict(&proxy, "a", "match"), 2);
    assert_eq!(verdict(&proxy, "a", "mismatch"), 2);
    assert_eq!(incomparable(&proxy, "a", "too-large"), 1);
    assert_eq!(incomparable(&proxy, "a", "streaming"), 1);
    let evidence = proxy.gateway.comparisons().evidence("a").unwrap();
    assert_eq!((evidence.counts.matched, evidence.counts.mismatch, evidence.counts.incomparable), (2, 2, 2));
    let signatures: Vec<_> = evidence.signatures.iter().map(|(signature, _)| signature.as_str()).collect();
    assert!(signatures.contains(&"/fee value"), "{signatures:?}");
    let told: Vec<Compared> = follower.try_iter().collect();
    assert_eq!(told.len(), 6);
    let differs = told.iter().find(|compared| compared.request.target == "/a/differs").unwrap();
    assert_eq!(
        (&*differs.route, differs.shown, &differs.request.method),
        ("a", Arm::Legacy, &http::Method::GET)
    );
    assert_eq!(differs.request.headers["host"], "shop.test");
    assert!(
        proxy.count("banyan_shadow_queue_bytes") >= 3 * 6 * 500,
        "what waits for the follower is counted"
    );
    drop(told);
    proxy.until("quiet", || is_quiet(&proxy));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_legacy_does_not_agree_on_with_itself_is_noise() {
    let numbered = |first: u64, can_be_wrong: bool| {
        let count = AtomicU64::new(first);
        move |seen: &Seen| {
            let fee = u8::from(can_be_wrong && seen.target.ends_with("wrong"));
            json(format!("{{\"request_id\":{},\"fee\":{fee}}}", count.fetch_add(1, Ordering::Relaxed)))
        }
    };
    let legacy = Upstream::http(numbered(0, false)).await;
    let candidate = Upstream::http(numbered(1 << 40, true)).await;
    let settings = "percent = 0\nshadow = { percent = 100 }\n\
                    compare = { noise_percent = 100, recheck_after = \"1ms\" }";
    let proxy = site(&legacy, &candidate, settings);
    let mut client = Client::connect(proxy.address).await;
    for _ in 0..20 {
        client.get("/a/right", "").await;
    }
    proxy.until("learned", || verdict(&proxy, "a", "noise") > 5 && is_quiet(&proxy));
    let early = verdict(&proxy, "a", "mismatch") + verdict(&proxy, "a", "transient");
    assert_eq!(verdict(&proxy, "a", "noise") + early, 20);
    let learned = proxy.gateway.comparisons().learned("a");
    assert_eq!(
        learned.iter().map(|learned| learned.signature.as_str()).collect::<Vec<_>>(),
        ["/request_id value"]
    );
    // A fault beside the noise is none.
    let before = verdict(&proxy, "a", "mismatch");
    client.get("/a/wrong", "").await;
    proxy.until("a fault", || verdict(&proxy, "a", "mismatch") == before + 1);
    assert!(result(&proxy, "a", "asked-again") >= 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mismatch_that_is_gone_when_asked_again_is_transient() {
    let first = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&first);
    let legacy = Upstream::http(|_| json("{\"stock\":5}")).await;
    let candidate = Upstream::http(move |_| {
        let stock = if counted.fetch_add(1, Ordering::Relaxed) == 0 { 4 } else { 5 };
        json(format!("{{\"stock\":{stock}}}"))
    })
    .await;
    let settings = "percent = 0\nshadow = { percent = 100 }\ncompare = { recheck_after = \"1ms\" }";
    let proxy = site(&legacy, &candidate, settings);
    get(proxy.address, "/a/b", "").await;
    proxy.until("transient", || verdict(&proxy, "a", "transient") == 1);
    assert_eq!(verdict(&proxy, "a", "mismatch"), 0);
    let seen = legacy.seen();
    assert_eq!((seen.len(), candidate.seen().len()), (2, 2));
    assert!(!seen[0].headers.contains_key("banyan-shadow") && seen[1].headers["banyan-shadow"] == "1");
    let evidence = proxy.gateway.comparisons().evidence("a").unwrap();
    assert_eq!((evidence.counts.transient, evidence.counts.mismatch), (1, 0));
}

/// By the last part of the path.
async fn naming_its_build() -> Upstream {
    Upstream::http(|seen| {
        let build = seen.target.rsplit('/').next().unwrap().to_owned();
        Response::builder().header("banyan-build", build).body(Full::new(Bytes::from("same"))).unwrap()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_build_of_the_candidate_begins_anew() {
    let legacy = Upstream::named("same").await;
    let candidate = naming_its_build().await;
    let proxy = site(&legacy, &candidate, EVERYTHING);
    let builds = [("one", 1), ("one", 2), ("two", 1), ("two", 2)];
    for (compared, (build, expected)) in (1..).zip(builds) {
        let answer = get(proxy.address, &format!("/a/{build}"), "").await;
        assert_eq!(answer.header("banyan-build"), None);
        proxy.until("compared", || verdict(&proxy, "a", "match") == compared);
        let evidence = proxy.gateway.comparisons().evidence("a").unwrap();
        assert_eq!(evidence.counts.matched, expected, "{build}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_what_is_known_of_routes_that_stay() {
    let (legacy, candidate) = (Upstream::named("same").await, Upstream::named("same").await);
    let with = |names: &[(&str, &str)]| routes(&legacy.url(), &candidate.url(), names);
    let proxy = Proxy::start(&with(&[("a", EVERYTHING), ("b", EVERYTHING)]));
    for path in ["/a/x", "/b/x"] {
        get(proxy.address, path, "").await;
    }
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1 && verdict(&proxy, "b", "match") == 1);
    proxy.apply(&with(&[("a", EVERYTHING), ("c", EVERYTHING)]), 2);
    get(proxy.address, "/a/x", "").await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 2);
    let comparisons = proxy.gateway.comparisons();
    assert_eq!(comparisons.evidence("a").unwrap().counts.matched, 2);
    assert!(comparisons.evidence("b").is_none() && !proxy.metrics().contains("route=\"b\""));
    let kept = comparisons.export();
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a"]);
    assert!(comparisons.reset("a") && !comparisons.reset("a"));
    assert!(comparisons.evidence("a").is_none());
    comparisons.import(kept);
    get(proxy.address, "/a/x", "").await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 3);
    assert_eq!(comparisons.evidence("a").unwrap().counts.matched, 3, "it goes on from what was kept");
    proxy.apply(&with(&[("a", "percent = 0")]), 3);
    assert!(!proxy.metrics().contains("banyan_shadow_requests_total{"));
    assert_eq!(comparisons.evidence("a").unwrap().counts.matched, 3, "the route is still there");
}

/// Counts hold for one candidate, one legacy and one set of rules.
#[tokio::test(flavor = "multi_thread")]
async fn what_compares_something_else_begins_anew() {
    let (legacy, candidate) = (Upstream::named("same").await, Upstream::named("same").await);
    let (other, third) = (Upstream::named("same").await, Upstream::named("same").await);
    let at = |legacy: &Upstream, candidate: &Upstream, settings: &str| {
        routes(&legacy.url(), &candidate.url(), &[("a", settings)])
    };
    let more = "percent = 10\nshadow = { percent = 100, timeout = \"9s\" }";
    let rules = "percent = 0\nshadow = { percent = 100 }\ncompare = { ignore = [\"header:etag\"] }";
    let proxy = Proxy::start(&at(&legacy, &candidate, EVERYTHING));
    let tables = [
        (at(&legacy, &candidate, EVERYTHING), 1),
        (at(&legacy, &candidate, more), 2),
        (at(&legacy, &other, more), 1),
        (at(&third, &other, more), 1),
        (at(&third, &other, rules), 1),
        (at(&third, &other, rules), 2),
    ];
    let comparisons = proxy.gateway.comparisons();
    for (compared, (text, expected)) in (1..).zip(&tables) {
        proxy.apply(text, compared + 1);
        get(proxy.address, "/a/x", "").await;
        proxy.until("compared", || verdict(&proxy, "a", "match") == compared);
        assert_eq!(comparisons.evidence("a").unwrap().counts.matched, *expected, "table {compared}");
    }
    // And when it changed while nothing ran.
    for (text, expected) in [(&tables[5].0, 3), (&tables[1].0, 1)] {
        let next = Proxy::start(text);
        next.gateway.comparisons().import(comparisons.export());
        get(next.address, "/a/x", "").await;
        next.until("compared", || verdict(&next, "a", "match") == 1);
        assert_eq!(next.gateway.comparisons().evidence("a").unwrap().counts.matched, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_new_after_a_restart_begins_anew() {
    let legacy = Upstream::named("same").await;
    let candidate = naming_its_build().await;
    let proxy = site(&legacy, &candidate, EVERYTHING);
    get(proxy.address, "/a/one", "").await;
    proxy.until("compared", || verdict(&proxy, "a", "match") == 1);
    let kept = proxy.gateway.comparisons().export();
    for (build, expected) in [("one", 2), ("two", 1)] {
        let next = site(&legacy, &candidate, EVERYTHING);
        next.gateway.comparisons().import(kept.clone());
        get(next.address, &format!("/a/{build}"), "").await;
        next.until("compared", || verdict(&next, "a", "match") == 1);
        assert_eq!(next.gateway.comparisons().evidence("a").unwrap().counts.matched, expected, "{build}");
    }
}

/// Legacy's tag says nothing to the candidate.
#[tokio::test(flavor = "multi_thread")]
async fn a_condition_that_one_arm_finds_met_says_nothing() {
    let by_condition = |field: &'static str, status: u16| {
        move |seen: &Seen| {
            let status = if seen.headers.contains_key(field) { status } else { 200 };
            Response::builder().status(status).body(Full::default()).unwrap()
        }
    };
    let cases = [("if-none-match", 304), ("if-modified-since", 304), ("if-match", 412), ("if-range", 206)];
    for (field, status) in cases {
        let legacy = Upstream::http(by_condition(field, status)).await;
        let candidate = Upstream::http(|_| Response::new(Full::default())).await;
        let proxy = site(&legacy, &candidate, EVERYTHING);
        let mut client = Client::connect(proxy.address).await;
        client.send(format!("GET /a/b HTTP/1.1\r\nHost: shop.test\r\n{field}: \"1\"\r\n\r\n")).await;
        client.head().await;
        proxy.until(field, || incomparable(&proxy, "a", "conditional") == 1);
        assert_eq!(verdict(&proxy, "a", "mismatch") + verdict(&proxy, "a", "transient"), 0);
    }
}

/// What is compared is what the client would get.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_compared_as_seen_from_outside() {
    let redirecting = |prefix: &'static str| {
        move |seen: &Seen| {
            let own = seen.headers["host"].to_str().unwrap();
            let answer =
                Response::builder().status(302).header("location", format!("http://{own}{prefix}/next"));
            answer.header("link", format!("<{prefix}/page2>; rel=next")).body(Full::default()).unwrap()
        }
    };
    let legacy = Upstream::http(redirecting("/a")).await;
    let candidate = Upstream::http(move |seen| {
        let mut answer = redirecting("/v2")(seen);
        if seen.target.ends_with("wrong") {
            answer.headers_mut().insert("location", "/elsewhere".parse().unwrap());
        }
        answer
    })
    .await;
    let rewrite = "rewrite = { strip_prefix = \"/a\", add_prefix = \"/v2\", host = \"upstream\" }\n\
                   compare = { recheck_after = \"1ms\" }";
    for percent in [0, 100] {
        let settings = format!("percent = {percent}\nshadow = {{ percent = 100 }}\n{rewrite}");
        let proxy = site(&legacy, &candidate, &settings);
        get(proxy.address, "/a/x", "").await;
        proxy.until("compared", || verdict(&proxy, "a", "match") == 1);
        get(proxy.address, "/a/wrong", "").await;
        proxy.until("a fault", || verdict(&proxy, "a", "mismatch") == 1);
    }
}
