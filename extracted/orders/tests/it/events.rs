//! Events that come twice, in the wrong order, late, or broken: on each database and bus.

use boxoffice_trial::{event, settings};
use serde_json::json;

use crate::{Shop, expiration, payment, ticket};

#[tokio::test]
async fn orders_follow_what_others_tell_whatever_the_bus_does() {
    for (place, carrier) in settings().await {
        let shop = Shop::open(&place, &carrier).await;
        // The newer price first.
        shop.trial.send(&ticket(1, 3_000, 3)).await;
        shop.trial.send(&ticket(1, 2_000, 2)).await;
        shop.trial.send(&ticket(2, 0, 2)).await;
        let (_, paid) = shop.order(1).await;
        assert_eq!(paid["subtotalCents"], 3_000);
        assert_eq!(shop.trial.get(0, "/api/orders/quote?item=2:1").await.0, 400, "deleted");

        // Handled but not acknowledged, so it comes again; then told again as another event.
        let payment_of_it = payment(&paid["id"], "succeeded");
        for event in [&payment_of_it, &payment_of_it, &payment(&paid["id"], "succeeded")] {
            shop.trial.send(event).await;
        }
        // Time takes no order from somebody who paid.
        shop.trial.send(&expiration(&paid["id"])).await;
        assert_eq!(shop.status(&paid["id"]).await, "complete");
        assert_eq!((shop.told("order.completed").await, shop.told("order.cancelled").await), (1, 0));

        // Paid too late: once by time, once because the buyer thought better of it.
        let (expired, regretted) = (shop.order(1).await.1, shop.order(1).await.1);
        shop.trial.send(&expiration(&expired["id"])).await;
        shop.cancel(1, &regretted["id"]).await;
        for order in [&expired, &regretted] {
            assert_eq!(shop.status(&order["id"]).await, "cancelled");
            for status in ["succeeded", "refunded", "succeeded"] {
                shop.trial.send(&payment(&order["id"], status)).await;
            }
        }
        assert_eq!((shop.told("order.cancelled").await, shop.told("order.refund_requested").await), (2, 2));

        // One that nobody can read is put aside; others pass it.
        let waiting = shop.order(1).await.1;
        let poisoned = event("payment.created", "payment-9", 1, json!({"no": "payment"}));
        tokio::join!(shop.trial.send(&poisoned), async {
            shop.trial.send(&payment(&waiting["id"], "succeeded")).await;
        });
        assert_eq!(shop.status(&waiting["id"]).await, "complete");
        assert_eq!(shop.trial.dead_letters().await, 1);
    }
}
