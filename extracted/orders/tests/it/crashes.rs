//! What is left when the process ends between two steps, or when the inventory does not answer.

use boxoffice_kit::query;
use boxoffice_trial::{Carrier, places, until};
use serde_json::Value;

use crate::{Shop, one, start};

const LONG_AGO: &str = "2020-01-01T00:00:00.000000Z";

impl Shop {
    async fn placement(&self, order_id: i64) {
        let sql = "INSERT INTO placements (order_id, created_at) VALUES ($1, $2)";
        query!(sql, order_id, LONG_AGO).execute(&self.trial.database.write).await.unwrap();
    }

    async fn is_clean(&self) -> bool {
        self.count("SELECT count(*) FROM placements").await == 0
    }
}

#[tokio::test]
async fn what_was_reserved_for_no_order_is_released() {
    for place in places().await {
        let shop = Shop::open(&place, &Carrier::Http).await;
        let kept = shop.order(1).await.1["id"].as_i64().unwrap();
        shop.placement(kept).await; // of an order that lives
        shop.placement(501).await; // ended before it reserved
        shop.stock.hold(502);
        shop.placement(502).await; // ended before it stored the order
        until("nothing is left", || shop.is_clean()).await;
        assert_eq!(shop.stock.held(), [kept]);

        // Reserved, but the answer is lost: the row stays until it is old.
        shop.stock.is_broken(true);
        assert_eq!(shop.order(1).await.0, 503);
        assert_eq!((shop.is_clean().await, shop.stock.held().len()), (false, 2));
        shop.stock.is_broken(false);
        let age = query!("UPDATE placements SET created_at = $1", LONG_AGO);
        age.execute(&shop.trial.database.write).await.unwrap();
        until("nothing is left", || shop.is_clean()).await;
        assert_eq!(shop.stock.held(), [kept]);
        assert_eq!(shop.order(1).await.1["number"], 2, "no number is missing");

        // Ended while placing an order; when it is back, the other side takes orders over at once.
        let held = shop.stock.held();
        shop.stock.hold(503);
        shop.trial.post(0, "/internal/writers/orders/give", &Value::Null).await;
        shop.placement(503).await;
        until("nothing is left", || shop.is_clean()).await;
        assert_eq!(shop.stock.held(), held);
    }
}

/// Also: an event that was lost on the way comes again.
#[tokio::test]
async fn an_order_that_nobody_was_told_of_is_told_after_a_restart() {
    for place in places().await {
        let Shop { trial, legacy, stock } = Shop::open(&place, &Carrier::Http).await;
        legacy.refuse(usize::MAX);
        assert_eq!(trial.post(1, "/api/orders", &one()).await.0, 201);
        trial.close().await;
        legacy.refuse(1);
        let trial = start(&place, &Carrier::Http, (&legacy, &stock), false).await;
        assert_eq!(trial.post(1, "/api/orders", &one()).await.0, 201, "still the writer");
        legacy.has_got("order.created", 2).await;
        let events = legacy.events("order.created");
        assert_eq!(events.iter().map(|event| &event.data["order"]["number"]).collect::<Vec<_>>(), [1, 2]);
    }
}
