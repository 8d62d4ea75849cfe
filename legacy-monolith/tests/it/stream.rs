//! The status stream, seen through one shop while another one on the same file writes.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::shop::Shop;

#[tokio::test]
async fn a_stream_tells_the_status_and_ends_with_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let (shop, other) = (Shop::open(folder.path()).await, Shop::open(folder.path()).await);
    let order = shop.post(1, "/api/orders", &json!({"items": [{"ticketId": 3, "quantity": 1}]})).await.1;
    let path = format!("/api/orders/{}", order["id"]);
    let mut stream = shop.request(1, Method::GET, &format!("{path}/stream")).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let first = stream.chunk().await.unwrap().unwrap();
    assert_eq!(first, "event: status\ndata: {\"status\":\"awaiting_payment\",\"version\":1}\n\n");
    other.ask(other.request(1, Method::DELETE, &path)).await;
    let rest = timeout(Duration::from_secs(20), stream.text()).await.unwrap().unwrap();
    assert_eq!(rest, "event: status\ndata: {\"status\":\"cancelled\",\"version\":2}\n\n");
    let (status, _) = shop.get(2, &format!("{path}/stream")).await;
    assert_eq!(status, 404, "somebody else's order");
}
