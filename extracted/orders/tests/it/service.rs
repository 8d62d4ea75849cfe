//! What the service has of its own: health, metrics, its need of the monolith.

use boxoffice_orders::Database;
use reqwest::Method;

use crate::pair::Pair;

#[tokio::test]
async fn health_and_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::open(folder.path()).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(pair.send(&pair.orders, 0, Method::GET, path, "").await.0, 200, "{path}");
    }
    pair.order(&pair.orders, 1, 1).await;
    pair.send(&pair.orders, 0, Method::GET, "/api/orders/1", "").await;
    pair.send(&pair.orders, 0, Method::GET, "/no/such/page", "").await;
    let metrics = pair.send(&pair.orders, 0, Method::GET, "/metrics", "").await.2;
    for line in [
        r#"boxoffice_orders_requests_total{code_class="2xx",method="POST",route="/api/orders"} 1"#,
        r#"boxoffice_orders_requests_total{code_class="4xx",method="GET",route="/api/orders/{id}"} 1"#,
        r#"boxoffice_orders_requests_total{code_class="4xx",method="GET",route="none"} 1"#,
        r#"boxoffice_orders_request_duration_seconds_count{route="/api/orders"} 1"#,
    ] {
        assert!(metrics.contains(line), "no `{line}` in\n{metrics}");
    }
}

#[tokio::test]
async fn without_the_monolith_nobody_is_signed_in_or_out() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::open(folder.path()).await;
    pair.monolith_server.abort();
    let (status, _, body) = pair.send(&pair.orders, 5, Method::GET, "/api/orders", "").await;
    assert_eq!(
        (status, body.as_str()),
        (503, r#"{"errors":[{"message":"sessions cannot be checked now"}]}"#)
    );
    let quote = pair.send(&pair.orders, 0, Method::GET, "/api/orders/quote?item=1:1", "").await;
    assert_eq!(quote.0, 200, "needs nobody");
}

#[tokio::test]
async fn a_database_the_monolith_did_not_make_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Database::open(&folder.path().join("none.sqlite")).await.unwrap_err().to_string();
    assert!(
        refused.contains("none.sqlite") && refused.contains("hint: the monolith makes this file"),
        "{refused}"
    );
}
