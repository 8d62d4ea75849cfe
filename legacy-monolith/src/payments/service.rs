//! The rules of paying.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use boxoffice_kit::{
    Connection, Database, Event, Problem, database::Flag, identity::User, next_id, publish, writer,
};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use serde_json::json;

use super::{Paid, Payment, Wanted, provider::Card, repository};
use crate::{
    notifications::{self, Note},
    orders::{self, Order, Orders},
    seam::Seam,
};

/// A try that did not end within this time never will: its process is gone. Shorter than any order may wait.
const BROKEN_OFF: SignedDuration = SignedDuration::from_secs(10);
/// How long somebody waits for another one's try.
const WAIT: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const KEY_MAX: usize = 200;

/// Payments in this process and this database.
#[derive(Clone)]
pub(crate) struct Local {
    database: Database,
    orders: Seam<orders::Local, dyn Orders>,
    notifications: Arc<notifications::Local>,
    webhook_secret: hmac::Key,
}

/// What a buyer finds.
enum Turn {
    /// The same as before.
    Paid(Payment),
    /// A row of one's own: go and charge.
    Mine(Try),
    /// Somebody else's try goes on.
    Wait,
}

/// A charge on its way.
#[derive(Clone, Copy)]
pub(super) struct Try {
    pub(super) id: i64,
    pub(super) order_id: i64,
    pub(super) user_id: i64,
    pub(super) amount_cents: i64,
}

impl Local {
    pub(crate) fn new(
        database: Database,
        orders: Seam<orders::Local, dyn Orders>,
        notifications: Arc<notifications::Local>,
        webhook_secret: &str,
    ) -> Self {
        let webhook_secret = hmac::Key::new(hmac::HMAC_SHA256, webhook_secret.as_bytes());
        Self { database, orders, notifications, webhook_secret }
    }

    /// Pays an order: the payment, and whether it is a new one. The provider is slow, so it is asked between two
    /// transactions; the row of the first keeps everybody else away meanwhile.
    pub(crate) async fn pay(
        &self,
        buyer: &User,
        key: &str,
        wanted: Wanted,
    ) -> Result<(bool, Payment), Problem> {
        let card = Card::of(&wanted.token)?;
        if key.is_empty() || key.len() > KEY_MAX {
            return Err(Problem::invalid("Idempotency-Key", "must have 1 to 200 characters"));
        }
        let since = Instant::now();
        let order = self.orders.now().await?.get(buyer, wanted.order_id).await?;
        let mine = loop {
            match self.turn(buyer, (key, &wanted.token), &order).await? {
                Turn::Paid(payment) => return Ok((false, payment)),
                Turn::Mine(mine) => break mine,
                Turn::Wait if since.elapsed() < WAIT => tokio::time::sleep(LOOK_EVERY).await,
                Turn::Wait => return Err(Problem::conflict("the order is being paid")),
            }
        };
        // Whether or not the buyer waits: what is charged is written down.
        let payments = self.clone();
        let charge = tokio::spawn(async move { payments.charge(mine, card).await });
        Ok((true, charge.await.map_err(|error| Problem::internal(&error))??))
    }

    async fn charge(&self, mine: Try, card: Card) -> Result<Payment, Problem> {
        if card.charge(mine.order_id, mine.amount_cents).await {
            return self.succeed(mine.id).await;
        }
        self.fail(mine).await?;
        Err(Problem::new(StatusCode::PAYMENT_REQUIRED, "the card was declined").at("token"))
    }

    /// Charges once more what a crash broke off, where payments are written: for the provider it is the same charge.
    pub(crate) async fn finish_broken_off(&self) -> Result<(), Problem> {
        let then = Timestamp::now().checked_sub(BROKEN_OFF).map_err(|error| Problem::internal(&error))?;
        let mut connection = self.database.read.acquire().await?;
        let tries = repository::broken_off(&mut connection, &format!("{then:.6}")).await?;
        drop(connection);
        for (broken_off, token) in tries {
            writer::hold(&mut *self.database.begin().await?, "payments").await?;
            match self.charge(broken_off, Card::of(&token)?).await {
                Err(problem) if !problem.is_callers() => return Err(problem),
                ended => tracing::info!("payment {} was broken off: {:?}", broken_off.id, ended.is_ok()),
            }
        }
        Ok(())
    }

    async fn turn(&self, buyer: &User, (key, token): (&str, &str), order: &Order) -> Result<Turn, Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "payments").await?;
        let now = Timestamp::now();
        for Paid { user_id, idempotency_key, payment, .. } in
            repository::alike(&mut tx, order.id, (buyer.id, key)).await?
        {
            let begun: Timestamp = payment.created_at.parse().map_err(|error| Problem::internal(&error))?;
            let is_same = user_id == buyer.id && idempotency_key == key;
            match payment.status.as_str() {
                _ if payment.order_id != order.id => {
                    return Err(Problem::conflict("the key is another order's").at("Idempotency-Key"));
                }
                "failed" => repository::forget(&mut tx, payment.id).await?,
                "pending" if now.duration_since(begun) > BROKEN_OFF => {
                    repository::forget(&mut tx, payment.id).await?;
                }
                "pending" => return Ok(Turn::Wait),
                _ if is_same => return Ok(Turn::Paid(payment)),
                _ => return Err(Problem::conflict("the order is paid already")),
            }
        }
        if order.status != "awaiting_payment" {
            return Err(Problem::conflict(format!("the order is {}", order.status)));
        }
        let id = next_id(&mut tx, "payments").await?;
        let payment = Payment {
            id,
            order_id: order.id,
            amount_cents: order.sums.total_cents,
            status: "pending".to_owned(),
            settled: Flag(false),
            created_at: format!("{now:.6}"),
        };
        let paid = Paid {
            user_id: buyer.id,
            idempotency_key: key.to_owned(),
            refund_wanted: Flag(false),
            payment,
            version: 1,
        };
        if !repository::insert(&mut tx, &paid).await? {
            return Err(Problem::internal(&format_args!("there is a payment {id} already")));
        }
        repository::keep_token(&mut tx, id, token).await?;
        tx.commit().await?;
        let (order_id, amount_cents) = (order.id, order.sums.total_cents);
        Ok(Turn::Mine(Try { id, order_id, user_id: buyer.id, amount_cents }))
    }

    /// The money is there. Where orders are written here too, the order is complete with it.
    async fn succeed(&self, id: i64) -> Result<Payment, Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "payments").await?;
        let paid = repository::end(&mut tx, id, "succeeded").await?;
        let paid = paid.ok_or_else(|| Problem::conflict("the payment took too long"))?;
        tell(&mut tx, &paid).await?;
        let stands = self.complete(&mut tx, paid.payment.order_id).await?;
        tx.commit().await?;
        if stands {
            Ok(paid.payment)
        } else {
            Err(Problem::conflict("the order was cancelled; the money goes back"))
        }
    }

    async fn fail(&self, Try { id, order_id, user_id, .. }: Try) -> Result<(), Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "payments").await?;
        if repository::end(&mut tx, id, "failed").await?.is_some() {
            let data = json!({ "userId": user_id, "orderId": order_id });
            publish(&mut tx, "payment.failed", (format!("payment-{id}"), 1), &data).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Where orders are written here: completes the order of a payment that stands. `false` when it is cancelled.
    async fn complete(&self, tx: &mut Connection, order_id: i64) -> Result<bool, Problem> {
        if !writer::is_here(tx, "orders").await? || self.orders.local.paid(tx, order_id).await? {
            return Ok(true);
        }
        self.want_refund(tx, order_id).await?;
        Ok(false)
    }

    /// The user's payment; what is only tried is none yet.
    pub(crate) async fn get(&self, user: &User, id: i64) -> Result<Payment, Problem> {
        Self::of(user, repository::get(&mut *self.database.read.acquire().await?, id).await?)
    }

    fn of(user: &User, paid: Option<Paid>) -> Result<Payment, Problem> {
        paid.filter(|paid| paid.user_id == user.id && is_final(&paid.payment))
            .map(|paid| paid.payment)
            .ok_or_else(|| Problem::not_found("payment"))
    }

    /// Gives the money back. Twice is the same as once.
    pub(crate) async fn refund(&self, user: &User, id: i64) -> Result<Payment, Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "payments").await?;
        let before = Self::of(user, repository::get(&mut tx, id).await?)?;
        let after = self.give_back(&mut tx, id).await?.map_or(before, |paid| paid.payment);
        tx.commit().await?;
        Ok(after)
    }

    async fn give_back(&self, tx: &mut Connection, id: i64) -> Result<Option<Paid>, Problem> {
        let Some(paid) = repository::refund(tx, id).await? else { return Ok(None) };
        self.note(tx, &paid).await?;
        tell(tx, &paid).await?;
        Ok(Some(paid))
    }

    async fn note(&self, tx: &mut Connection, Paid { user_id, payment, .. }: &Paid) -> Result<(), Problem> {
        let Payment { id, amount_cents: cents, .. } = payment;
        let note = Note {
            id: format!("payment-{id}-refunded"),
            user_id: *user_id,
            kind: "payment.refunded".to_owned(),
            subject: "Your payment is refunded".to_owned(),
            body: format!("{}.{:02} are on their way back to you.", cents / 100, cents % 100),
        };
        self.notifications.note(tx, note).await
    }

    /// Whether the provider signed these bytes: every one of them, as they came.
    pub(crate) fn is_from_provider(&self, body: &[u8], signature: &str) -> bool {
        hex::decode(signature).is_ok_and(|given| hmac::verify(&self.webhook_secret, body, &given).is_ok())
    }

    /// The provider says that the money arrived. Twice is the same as once.
    pub(crate) async fn settle(&self, id: i64) -> Result<(), Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "payments").await?;
        if let Some(paid) = repository::settle(&mut tx, id).await? {
            tell(&mut tx, &paid).await?;
        } else {
            let known = repository::get(&mut tx, id).await?.is_some_and(|paid| is_final(&paid.payment));
            known.then_some(()).ok_or_else(|| Problem::not_found("payment"))?;
        }
        Ok(tx.commit().await?)
    }

    /// An order was cancelled: its money, if there was any, goes back by whoever writes payments.
    pub(crate) async fn want_refund(&self, tx: &mut Connection, order_id: i64) -> Result<(), Problem> {
        if let Some(id) = repository::want_refund(tx, order_id).await?
            && writer::is_here(tx, "payments").await?
        {
            self.give_back(tx, id).await?;
        }
        Ok(())
    }

    /// Keeps what the service tells of a payment, and completes its order.
    pub(crate) async fn heard(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let paid: Paid = event.data()?;
        repository::upsert(tx, &paid).await?;
        if paid.payment.status == "refunded" {
            return self.note(tx, &paid).await;
        }
        self.complete(tx, paid.payment.order_id).await.map(drop)
    }

    /// Payments are written here from now on: what was to go back meanwhile goes back.
    pub(crate) async fn take_over(&self, tx: &mut Connection) -> Result<(), Problem> {
        let cancelled = self.orders.local.ids(tx, "cancelled").await?;
        for (order_id, refund_wanted) in repository::standing(tx).await? {
            if refund_wanted == 1 || cancelled.contains(&order_id) {
                self.want_refund(tx, order_id).await?;
            }
        }
        Ok(())
    }

    /// Orders are written here from now on: those that were paid meanwhile are complete.
    pub(crate) async fn complete_orders(&self, tx: &mut Connection) -> Result<(), Problem> {
        let standing = repository::standing(tx).await?;
        for status in ["awaiting_payment", "cancelled"] {
            let incomplete = self.orders.local.ids(tx, status).await?;
            for (order_id, _) in standing.iter().filter(|(id, _)| incomplete.contains(id)) {
                self.complete(tx, *order_id).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn replay(&self, tx: &mut Connection, offset: i64, limit: i64) -> Result<i64, Problem> {
        let all = repository::all(tx, offset, limit).await?;
        for paid in &all {
            tell(tx, paid).await?;
        }
        Ok(i64::try_from(all.len()).unwrap_or(limit))
    }
}

fn is_final(payment: &Payment) -> bool {
    matches!(payment.status.as_str(), "succeeded" | "refunded")
}

/// Also when the money has arrived: the event carries the whole row, and its version says what is newer.
async fn tell(tx: &mut Connection, paid: &Paid) -> Result<(), Problem> {
    let kind = if paid.payment.status == "refunded" { "payment.refunded" } else { "payment.created" };
    publish(tx, kind, (format!("payment-{}", paid.payment.id), paid.version), paid).await
}
