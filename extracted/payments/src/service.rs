//! The rules of paying. A charge takes its time, so no transaction spans it: one claims the order, the next one writes
//! down what became of it. In between nobody else charges that order.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use boxoffice_kit::{
    Connection, Problem,
    identity::User,
    publish,
    service::{Kit, internal},
    writer::{State, hold},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    MODULE,
    provider::{TOKENS, charge},
    repository::{self, Order, Payment, Placed},
};

/// How long somebody waits for another one's charge.
const WAIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const FINISH_EVERY: Duration = Duration::from_secs(1);
const KEY_MAX: usize = 200;

/// What a buyer wants to pay, and how.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Wanted {
    order_id: i64,
    token: String,
}

/// What a buyer finds.
enum Turn {
    /// The same as before.
    Paid(Payment),
    /// The order is claimed: go and charge.
    Mine,
    /// Somebody else's charge is on its way.
    Wait,
}

/// Charges an order, once: whether it was now, and the payment.
pub(crate) async fn pay(
    kit: &Kit,
    buyer: &User,
    key: &str,
    wanted: Wanted,
) -> Result<(bool, Payment), Problem> {
    if !TOKENS.contains(&&*wanted.token) {
        return Err(Problem::invalid("token", "must be `tok_visa`, `tok_declined` or `tok_slow`"));
    }
    if key.is_empty() || key.len() > KEY_MAX {
        return Err(Problem::invalid("Idempotency-Key", "must have 1 to 200 characters"));
    }
    let (since, owned) = (Instant::now(), (wanted.order_id, buyer.id));
    let order = known_order(kit, owned).await?;
    loop {
        match turn(kit, owned, (key, &wanted.token)).await? {
            Turn::Paid(payment) => return Ok((false, payment)),
            Turn::Mine => break,
            Turn::Wait if since.elapsed() < WAIT => tokio::time::sleep(LOOK_EVERY).await,
            Turn::Wait => return Err(Problem::conflict("the order is being paid")),
        }
    }
    // Whether or not the buyer waits: what is charged is written down.
    let (kit, key) = (kit.clone(), key.to_owned());
    let charge = tokio::spawn(async move {
        let charged = charge(&wanted.token).await;
        end(&kit, owned, &key, charged.then_some(order.total_cents)).await
    });
    Ok((true, charge.await.map_err(|error| Problem::internal(&error))??))
}

/// The buyer's own order. One so new that nothing was heard of it yet is asked for.
async fn known_order(kit: &Kit, (order_id, user_id): (i64, i64)) -> Result<Order, Problem> {
    let mut connection = kit.database.read.acquire().await?;
    if let Some(order) = repository::order(&mut connection, order_id, user_id).await? {
        return Ok(order);
    }
    drop(connection);
    let other = kit.writers.other(MODULE)?.as_str().trim_end_matches('/');
    let asked = internal(kit.client.get(format!("{other}/internal/orders/{order_id}"))).send().await;
    let placed: Placed = match asked.and_then(reqwest::Response::error_for_status) {
        Ok(answer) => answer.json().await.map_err(|error| Problem::internal(&error))?,
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {
            return Err(Problem::not_found("order"));
        }
        Err(error) => {
            tracing::warn!("cannot ask for order {order_id}: {error}");
            return Err(Problem::unavailable("the order cannot be looked up now"));
        }
    };
    let mut tx = kit.database.begin().await?;
    repository::store_order(&mut tx, &placed).await?;
    let order = repository::order(&mut tx, order_id, user_id).await?;
    tx.commit().await?;
    order.ok_or_else(|| Problem::not_found("order"))
}

/// Claims the order for a charge, or finds what was paid with this key.
async fn turn(kit: &Kit, owned: (i64, i64), (key, token): (&str, &str)) -> Result<Turn, Problem> {
    let (order_id, user_id) = owned;
    let mut tx = kit.database.begin().await?;
    hold(&mut tx, MODULE).await?;
    if let Some(payment) = repository::of_key(&mut tx, user_id, key).await? {
        let other = || Problem::conflict("the key is another order's").at("Idempotency-Key");
        return (payment.order_id == order_id).then_some(Turn::Paid(payment)).ok_or_else(other);
    }
    if repository::of_order(&mut tx, order_id).await?.is_some() {
        return Err(Problem::conflict("the order is paid already"));
    }
    let order =
        repository::order(&mut tx, order_id, user_id).await?.ok_or_else(|| Problem::not_found("order"))?;
    if order.status != "awaiting_payment" {
        return Err(Problem::conflict(format!("the order is {}", order.status)));
    }
    if !repository::attempt(&mut tx, owned, (key, token)).await? {
        return Ok(Turn::Wait);
    }
    tx.commit().await?;
    Ok(Turn::Mine)
}

/// Writes down what became of a charge. When the order was cancelled meanwhile, the money goes back at once.
async fn end(kit: &Kit, owned: (i64, i64), key: &str, paid: Option<i64>) -> Result<Payment, Problem> {
    let (order_id, user_id) = owned;
    let mut tx = kit.database.begin().await?;
    hold(&mut tx, MODULE).await?;
    repository::end_attempt(&mut tx, order_id).await?;
    // Somebody may have tried again who thought this charge broken off: for the provider it is the same one.
    if repository::of_order(&mut tx, order_id).await?.is_none() {
        let Some(amount_cents) = paid else {
            let data = json!({ "userId": user_id, "orderId": order_id });
            publish(&mut tx, "payment.failed", (format!("order-{order_id}"), 1), &data).await?;
            tx.commit().await?;
            return Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "the card was declined").at("token"));
        };
        repository::insert(&mut tx, owned, key, amount_cents).await?;
        refund_due(&mut tx, (order_id, order_id)).await?;
    }
    let payment =
        repository::of_order(&mut tx, order_id).await?.ok_or_else(|| Problem::not_found("payment"))?;
    tx.commit().await?;
    let stands = payment.status == "succeeded";
    stands.then_some(payment).ok_or_else(|| Problem::conflict("the order was cancelled; the money goes back"))
}

/// Charges once more what a crash broke off, where payments are written: for the provider it is the same charge.
pub(crate) async fn keep_finishing(kit: Kit) {
    while !kit.stop.is_cancelled() {
        match finish_broken_off(&kit).await {
            Err(problem) if !problem.is_elsewhere() => tracing::warn!("a charge is broken off: {problem}"),
            _ => {}
        }
        tokio::select! { () = kit.stop.cancelled() => {}, () = tokio::time::sleep(FINISH_EVERY) => {} }
    }
}

async fn finish_broken_off(kit: &Kit) -> Result<(), Problem> {
    if kit.writers.state(MODULE).await? != State::Here {
        return Ok(());
    }
    let abandoned = repository::abandoned(&mut *kit.database.read.acquire().await?).await?;
    for (order_id, user_id, key, token, cents) in abandoned {
        let paid = charge(&token).await.then_some(cents);
        match end(kit, (order_id, user_id), &key, paid).await {
            Err(problem) if !problem.is_callers() => return Err(problem),
            ended => tracing::info!("the charge of order {order_id} was broken off: {}", ended.is_ok()),
        }
    }
    Ok(())
}

/// Gives back what is wanted back of these orders.
pub(crate) async fn refund_due(tx: &mut Connection, orders: (i64, i64)) -> Result<(), Problem> {
    for order_id in repository::refunds_due(tx, orders).await? {
        repository::refund(tx, order_id).await?;
    }
    Ok(())
}

/// Gives the buyer's money back. Twice is the same as once.
pub(crate) async fn refund(kit: &Kit, buyer: &User, id: i64) -> Result<Payment, Problem> {
    let missing = || Problem::not_found("payment");
    let mut tx = kit.database.begin().await?;
    hold(&mut tx, MODULE).await?;
    let payment = repository::get(&mut tx, id, buyer.id).await?.ok_or_else(missing)?;
    repository::refund(&mut tx, payment.order_id).await?;
    let payment = repository::get(&mut tx, id, buyer.id).await?.ok_or_else(missing)?;
    tx.commit().await?;
    Ok(payment)
}
