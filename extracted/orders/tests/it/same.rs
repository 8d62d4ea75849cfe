//! The same request, the same answer.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::pair::Pair;

/// Every request here is safe or refused, so both can be asked in turn and every byte compared.
#[tokio::test]
async fn reads_and_refusals_are_equal_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::open(folder.path()).await;
    for to in [&pair.monolith, &pair.orders, &pair.monolith] {
        assert_eq!(pair.order(to, 1, 7).await.0, 201);
    }
    let long = format!(r#"{{"items":[{}]}}"#, [r#"{"ticketId":1,"quantity":1}"#; 21].join(","));
    let table = [
        (1, Method::GET, "/api/orders", ""),
        (1, Method::GET, "/api/orders?limit=2&page=2", ""),
        (1, Method::GET, "/api/orders?limit=x", ""),
        (0, Method::GET, "/api/orders", ""),
        (999, Method::GET, "/api/orders", ""),
        (1, Method::GET, "/api/orders/1", ""),
        (1, Method::HEAD, "/api/orders/1", ""),
        (1, Method::GET, "/api/orders/2", ""),
        (2, Method::GET, "/api/orders/2", ""),
        (0, Method::GET, "/api/orders/2", ""),
        (1, Method::GET, "/api/orders/99", ""),
        (1, Method::GET, "/api/orders/abc", ""),
        (1, Method::GET, "/api/orders/1/nothing", ""),
        (1, Method::PATCH, "/api/orders/1", ""),
        (2, Method::DELETE, "/api/orders/1", ""),
        (2, Method::GET, "/api/orders/1/stream", ""),
        (0, Method::GET, "/api/orders/quote?item=1:1&item=2:1", ""),
        (0, Method::GET, "/api/orders/quote?item=1:1&item=1:1", ""),
        (0, Method::GET, "/api/orders/quote?item=1", ""),
        (0, Method::GET, "/api/orders/quote?item=1:11", ""),
        (0, Method::GET, "/api/orders/quote?item=999:1", ""),
        (0, Method::GET, "/api/orders/quote", ""),
        (1, Method::POST, "/api/orders", "{}"),
        (1, Method::POST, "/api/orders", "no JSON"),
        (0, Method::POST, "/api/orders", "no JSON"),
        (1, Method::POST, "/api/orders", r#"{"items":[]}"#),
        (1, Method::POST, "/api/orders", &long),
        (1, Method::POST, "/api/orders", r#"{"items":[{"ticketId":999,"quantity":1}]}"#),
        (1, Method::POST, "/api/orders", r#"{"items":[{"ticketId":1,"quantity":0}]}"#),
    ];
    for (user, method, path, body) in table {
        let legacy = pair.send(&pair.monolith, user, method.clone(), path, body).await;
        let candidate = pair.send(&pair.orders, user, method.clone(), path, body).await;
        assert_eq!(candidate, legacy, "{method} {path} as user {user}: {body}");
    }
}

#[tokio::test]
async fn what_one_writes_the_other_reads_and_cancels() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::open(folder.path()).await;
    for (writer, canceller) in [(&pair.monolith, &pair.orders), (&pair.orders, &pair.monolith)] {
        let (status, order) = pair.order(writer, 3, 9).await;
        assert_eq!(status, 201);
        let path = format!("/api/orders/{}", order["id"]);
        let read = pair.send(canceller, 3, Method::GET, &path, "").await.2;
        assert_eq!(serde_json::from_str::<Value>(&read).unwrap(), order);
        let first = pair.send(canceller, 3, Method::DELETE, &path, "").await;
        assert_eq!(pair.send(writer, 3, Method::DELETE, &path, "").await, first, "cancelling twice is once");
        let left = pair.send(&pair.monolith, 0, Method::GET, "/api/tickets/9/availability", "").await.2;
        assert!(left.contains(r#""reserved":0"#), "{left}");
    }
}

/// Forty seats, sixty buyers at once, half of them through each: two pools on one file.
#[tokio::test(flavor = "multi_thread")]
async fn together_they_never_oversell_and_leave_no_gap() {
    let folder = tempfile::tempdir().unwrap();
    let pair = std::sync::Arc::new(Pair::open(folder.path()).await);
    let mut buyers = JoinSet::new();
    for buyer in 1..=60 {
        let pair = pair.clone();
        buyers.spawn(async move {
            let to = if buyer % 2 == 0 { &pair.monolith } else { &pair.orders };
            pair.order(to, buyer, 50).await
        });
    }
    let answers = buyers.join_all().await;
    let sold: Vec<_> = answers.iter().filter(|(status, _)| *status == 201).collect();
    let numbers: BTreeSet<_> = sold.iter().map(|(_, order)| order["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=40).collect());
    assert_eq!(answers.iter().filter(|(status, _)| *status == 409).count(), 20);
}
