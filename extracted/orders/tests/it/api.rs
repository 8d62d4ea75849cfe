//! What buyers see.

use std::collections::BTreeSet;

use boxoffice_kit::service::{Events, Options};
use boxoffice_orders::{Settings, open};
use boxoffice_trial::{Carrier, places};
use futures_util::future::join_all;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{Shop, payment};

#[tokio::test]
async fn an_order_is_placed_read_listed_and_cancelled_once() {
    for place in places().await {
        let shop = Shop::open(&place, &Carrier::Http).await;
        let two = json!({"items": [{"ticketId": 1, "quantity": 1}, {"ticketId": 2, "quantity": 1}]});
        let (status, order) = shop.trial.post(1, "/api/orders", &two).await;
        assert_eq!(
            (status, &order["number"], &order["totalCents"]),
            (201, &json!(1), &json!(7_175)),
            "{order}"
        );
        let path = format!("/api/orders/{}", order["id"]);
        assert_eq!(shop.trial.get(1, &path).await, (200, order.clone()));
        assert_eq!((shop.trial.get(2, &path).await.0, shop.trial.get(0, &path).await.0), (404, 401));
        let internal = format!("/internal/orders/{}", order["id"]);
        assert_eq!(shop.trial.get(0, &internal).await, (200, json!({"userId": 1, "order": order})));
        let forwarded = shop.trial.request(Method::GET, &internal).header("x-forwarded-for", "1.2.3.4");
        assert_eq!(forwarded.send().await.unwrap().status(), 404);
        let second = shop.order(1).await.1;
        let page = shop.trial.get(1, "/api/orders?limit=1&page=2").await.1;
        assert_eq!(page, json!({"orders": [order], "page": 2, "limit": 1, "total": 2}));
        let cancelled = shop.cancel(1, &second["id"]).await;
        assert_eq!((cancelled.0, &cancelled.1["version"]), (200, &json!(2)));
        assert_eq!(shop.cancel(1, &second["id"]).await, cancelled);
        assert_eq!(shop.trial.outbox().await, ["order.created", "order.created", "order.cancelled"]);
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_order_and_with_the_service() {
    let place = places().await.remove(0);
    let shop = Shop::open(&place, &Carrier::Http).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let id = shop.order(1).await.1["id"].clone();
        let stream = shop.trial.request(Method::GET, &format!("/api/orders/{id}/stream"));
        streams.push((id, stream.header("cookie", "session=user-1").send().await.unwrap()));
    }
    let ((paid, first), (_, second)) = (streams.remove(0), streams.remove(0));
    let picture = format!("/api/orders/{paid}/ticket.svg");
    assert_eq!(shop.trial.get(1, &picture).await.0, 409);
    shop.trial.send(&payment(&paid, "succeeded")).await;
    let told = |status, version| {
        format!("event: status\ndata: {{\"status\":\"{status}\",\"version\":{version}}}\n\n")
    };
    assert_eq!(first.text().await.unwrap(), told("awaiting_payment", 1) + &told("complete", 2));
    let picture = shop.trial.request(Method::GET, &picture).header("cookie", "session=user-1");
    assert_eq!(picture.send().await.unwrap().headers()["content-type"], "image/svg+xml");
    assert_eq!(shop.cancel(1, &paid).await.0, 409, "what is paid is not cancelled");
    shop.trial.close().await;
    assert_eq!(second.text().await.unwrap(), told("awaiting_payment", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_buyers_get_ten_tickets_and_numbers_without_a_gap() {
    for place in places().await {
        let shop = Shop::open(&place, &Carrier::Http).await;
        let answers = join_all((1..=50).map(|buyer| shop.order(buyer))).await;
        let sold: Vec<_> = answers.iter().filter(|answer| answer.0 == 201).map(|answer| &answer.1).collect();
        let all =
            |name: &str| sold.iter().map(|order| order[name].as_i64().unwrap()).collect::<BTreeSet<_>>();
        assert_eq!(all("number"), (1..=10).collect());
        assert_eq!(all("id").into_iter().collect::<Vec<_>>(), shop.stock.held());
        let error = json!({"message": "not enough tickets left", "field": "items[0].quantity"});
        let refused = (409, json!({"errors": [error]}));
        assert_eq!(answers.iter().filter(|answer| **answer == refused).count(), 40);
        assert_eq!(shop.count("SELECT count(*) FROM placements").await, 0);
    }
}

#[tokio::test]
async fn the_planted_mistake_shows_on_two_lines_only() {
    let places = (places().await.remove(0), places().await.remove(0));
    let right = Shop::replica(&places.0, &Carrier::Http, false).await;
    let wrong = Shop::replica(&places.1, &Carrier::Http, true).await;
    for (items, fees) in [("item=1:1", [63, 63]), ("item=1:2", [125, 125]), ("item=1:1&item=2:1", [175, 176])]
    {
        for (shop, fee) in [&right, &wrong].into_iter().zip(fees) {
            let quote = shop.trial.get(0, &format!("/api/orders/quote?{items}")).await.1;
            assert_eq!(quote["feeCents"], fee, "{items}");
        }
    }
}

#[tokio::test]
async fn a_database_the_monolith_did_not_make_is_not_shared() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        listen: ([127, 0, 0, 1], 0).into(),
        database: folder.path().join("none.sqlite").display().to_string(),
        legacy: "http://127.0.0.1:9".parse().unwrap(),
        events: Events::default(),
    };
    let settings = Settings {
        inventory: None,
        pay_within: SignedDuration::from_mins(15),
        shared: true,
        planted_fee_bug: false,
    };
    let refused = open(options, settings, CancellationToken::new()).await.err().unwrap().to_string();
    assert!(refused.contains("none.sqlite") && refused.contains("hint: the monolith makes it"), "{refused}");
}
