//! Requests that want nothing to be kept.

use boxoffice_trial::{Carrier, places};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Shop, one};

impl Shop {
    async fn dry_run(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.trial.request(method, path).header("banyan-shadow", "dry-run");
        let answer = request.header("cookie", "session=user-1").json(body).send().await.unwrap();
        assert_eq!(answer.headers()["banyan-shadow"], "honoured");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// A number that any row or counter changes.
    async fn everything(&self) -> i64 {
        let sql =
            "SELECT CAST(sum(value) + 1000000 * (SELECT count(*) + coalesce(sum(version), 0) FROM orders)
                               + 1000000 * (SELECT count(*) FROM placements) AS BIGINT) FROM counters";
        self.count(sql).await
    }
}

fn without_times((status, mut order): (u16, Value)) -> (u16, Value) {
    for time in ["createdAt", "expiresAt"] {
        order[time].take();
    }
    (status, order)
}

#[tokio::test]
async fn a_dry_run_answers_as_the_real_one_would_and_keeps_nothing() {
    for place in places().await {
        let shop = Shop::open(&place, &Carrier::Http).await;
        let before = shop.everything().await;
        assert_eq!(shop.dry_run(Method::OPTIONS, "/api/orders", &Value::Null).await.0, 204);
        let would = shop.dry_run(Method::POST, "/api/orders", &one()).await;
        assert_eq!((would.0, shop.everything().await, shop.stock.held().len()), (201, before, 0));
        let order = shop.order(1).await;
        assert_eq!(without_times(would), without_times(order.clone()));

        let (id, before) = (&order.1["id"], shop.everything().await);
        let would = shop.dry_run(Method::DELETE, &format!("/api/orders/{id}"), &Value::Null).await;
        assert_eq!(shop.everything().await, before);
        assert_eq!(shop.cancel(1, id).await, would);

        let ten = json!({"items": [{"ticketId": 1, "quantity": 10}]});
        let refused = shop.dry_run(Method::POST, "/api/orders", &ten).await;
        assert_eq!(refused, shop.trial.post(1, "/api/orders", &ten).await, "sold out");
        assert_eq!(refused.0, 409);
    }
}
