//! One of several targets dies: it is taken out, and comes back slowly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::task::JoinSet;

use crate::client::{Client, get};
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::{Upstream, nobody_yet};

fn two(one: &str, other: &str) -> String {
    legacy_at(one).replace("targets = [", &format!("targets = [\"{other}\", "))
}

fn is_ejected(proxy: &Proxy, target: std::net::SocketAddr) -> bool {
    proxy.gateway.targets().iter().any(|it| it.ejected && it.target == target.to_string())
}

async fn answers(name: &'static str, address: std::net::SocketAddr) -> Upstream {
    Upstream::http_at(address, move |_| Response::new(Full::new(Bytes::from(name)))).await
}

const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_dies_under_load_and_comes_back_slowly() {
    let (well, dying) = (Upstream::named("well").await, Upstream::named("dying").await);
    let address = dying.address;
    let proxy = Proxy::start(&two(&well.url(), &dying.url()));
    let (stop, failed, asked) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (stop, failed, asked, to) =
            (Arc::clone(&stop), Arc::clone(&failed), Arc::clone(&asked), proxy.address);
        clients.spawn(async move {
            let mut client = Client::connect(to).await;
            while !stop.load(Ordering::Relaxed) {
                client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
                failed.fetch_add(u32::from(client.answer().await.status != 200), Ordering::Relaxed);
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }
    proxy.until("both serve", || well.seen().len() > 20 && dying.seen().len() > 20);
    drop(dying);
    proxy.until("taken out", || is_ejected(&proxy, address));
    let before = asked.load(Ordering::Relaxed);
    proxy.until("going on", || asked.load(Ordering::Relaxed) > before + 200);
    // Each client had at most one request there, and those on idle connections that died are resets, too.
    let lost = failed.load(Ordering::Relaxed);
    assert!(lost as usize <= 2 * CLIENTS, "{lost} of {}", asked.load(Ordering::Relaxed));
    let ejections = format!(r#"banyan_upstream_ejections_total{{upstream="legacy",target="{address}"}}"#);
    assert!(proxy.metric(&ejections) >= 1.0, "{}", proxy.counters());

    let back = answers("back", address).await;
    proxy.until("asked again", || !back.seen().is_empty());
    assert!(!is_ejected(&proxy, address));
    let (at_well, at_back) = (well.seen().len(), back.seen().len());
    proxy.until("some traffic", || well.seen().len() + back.seen().len() > at_well + at_back + 300);
    let (at_well, at_back) = (well.seen().len() - at_well, back.seen().len() - at_back);
    assert!(at_back * 3 < at_well, "{at_back} against {at_well} in the first moments");
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert_eq!(failed.load(Ordering::Relaxed), lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_is_asked_whatever_it_did() {
    let (one, other) = (nobody_yet(), nobody_yet());
    let proxy = Proxy::start(&two(&format!("http://{one}"), &format!("http://{other}")));
    for _ in 0..40 {
        assert_eq!(get(proxy.address, "/", "").await.status, 502);
    }
    let ejected = proxy.gateway.targets().iter().filter(|target| target.ejected).count();
    assert!(ejected <= 1, "{ejected}");
    let _back = (answers("one", one).await, answers("other", other).await);
    assert_eq!(get(proxy.address, "/", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_alone_is_never_taken_out() {
    let alone = nobody_yet();
    let proxy = Proxy::start(&legacy_at(&format!("http://{alone}")));
    for _ in 0..20 {
        assert_eq!(get(proxy.address, "/", "").await.status, 502);
    }
    assert!(!is_ejected(&proxy, alone));
    assert!(!proxy.metrics().contains("banyan_upstream_ejected{"), "{}", proxy.metrics());
    let _back = answers("alone", alone).await;
    assert_eq!(get(proxy.address, "/", "").await.status, 200);
}
