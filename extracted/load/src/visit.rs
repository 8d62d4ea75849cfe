//! What a virtual user does, one request at a time, and what it expects.

use std::time::{Duration, Instant};

use reqwest::{Method, header::SET_COOKIE};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Answer, Ask, Connection, server, session_of, signature},
    ledger::{self, Ledger, Newcomer, Order, PAID, Payment, cart_of},
    load::Plan,
    report::Tally,
};

const TICKETS: u32 = 200;
pub(crate) const POLL: Duration = Duration::from_millis(100);
/// With less time than this left, an order is not paid any more: the answer could be either.
const TIME_TO_PAY_SECONDS: i64 = 3;

/// A kind of visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Lists, single tickets, what is left of them.
    Browse,
    /// Asks what an order would cost.
    Quote,
    /// Places an order.
    Order,
    /// Reads own orders: they must be what the books say, at once.
    Read,
    /// Cancels an order; a paid one must refuse.
    Cancel,
    /// Signs up as somebody new.
    Signup,
    /// Fills the cart; orders and empties a full one.
    Cart,
    /// Pays, with declined and slow cards and repeated keys.
    Pay,
    /// Watches an order until it is paid or cancelled.
    Stream,
    /// Settles a payment as the provider does.
    Webhook,
    /// Reads notifications.
    Notifications,
    /// Wants the money back, sometimes twice.
    Refund,
}

impl Kind {
    /// Every kind with its share of the whole mix, in per mille.
    pub const MIX: [(Self, u32); 12] = [
        (Self::Browse, 300),
        (Self::Quote, 180),
        (Self::Order, 160),
        (Self::Read, 150),
        (Self::Cancel, 30),
        (Self::Signup, 5),
        (Self::Cart, 50),
        (Self::Pay, 70),
        (Self::Stream, 10),
        (Self::Webhook, 15),
        (Self::Notifications, 25),
        (Self::Refund, 5),
    ];

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A virtual user at work.
pub(crate) struct Visit<'a> {
    pub(crate) kind: Kind,
    pub(crate) connection: &'a Connection,
    pub(crate) tally: &'a Tally,
    pub(crate) plan: &'a Plan,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) random: &'a mut fastrand::Rng,
    pub(crate) pace: &'a mut Option<Interval>,
    pub(crate) over: &'a CancellationToken,
}

/// Each action ends early, with `None`, after a failure, which is counted already.
impl Visit<'_> {
    pub(crate) async fn go(&mut self) {
        let _ = match self.kind {
            Kind::Browse => self.browse().await,
            Kind::Quote => self.quote().await,
            Kind::Order => self.order().await.map(drop),
            Kind::Read => self.read_back().await,
            Kind::Cancel => self.cancel_any().await,
            Kind::Signup => self.sign_up().await,
            Kind::Cart => self.fill_cart().await,
            Kind::Pay => self.pay_any().await,
            Kind::Stream => self.watch().await,
            Kind::Webhook => self.settle().await,
            Kind::Notifications => self.notifications().await,
            Kind::Refund => self.refund().await,
        };
    }

    async fn browse(&mut self) -> Option<()> {
        let ticket = self.random.u32(1..=TICKETS);
        let path = match self.random.u32(0..10) {
            0..3 => "/api/tickets?limit=20".to_owned(),
            3 => format!("/api/tickets?q=jazz&page={}&limit=5", ticket % 5 + 1),
            4 => "/api/tickets?status=on_sale&limit=10".to_owned(),
            5 => format!("/api/v0/tickets?page={}&limit=20", ticket % 10 + 1),
            6 => {
                let left = self.read(&format!("/api/tickets/{ticket}/availability")).await?;
                let count = |name: &str| left[name].as_i64().unwrap_or(-1);
                let available = count("capacity") - count("reserved") - count("sold");
                return self.check(available >= 0 && available == count("available"), || {
                    format!("ticket {ticket} is oversold: {left}")
                });
            }
            _ => format!("/api/tickets/{ticket}"),
        };
        self.read(&path).await.map(drop)
    }

    async fn quote(&mut self) -> Option<()> {
        let lines = self.lines();
        let items: Vec<_> = lines.iter().map(|(id, quantity)| format!("item={id}:{quantity}")).collect();
        self.read(&format!("/api/orders/quote?{}", items.join("&"))).await.map(drop)
    }

    async fn order(&mut self) -> Option<Order> {
        let lines = self.lines();
        self.place(&lines).await
    }

    async fn place(&mut self, lines: &[(i64, i64)]) -> Option<Order> {
        let items: Vec<_> =
            lines.iter().map(|(id, quantity)| json!({ "ticketId": id, "quantity": quantity })).collect();
        let ask = self.ask(Method::POST, "/api/orders").json(&json!({ "items": items }));
        let Some(answer) = self.expect(ask, &[201, 409]).await else {
            self.ledger.unanswered += 1;
            return None;
        };
        if answer.status == 409 {
            return None; // Sold out, which is nobody's fault.
        }
        let order: Order = self.parsed("POST /api/orders", answer.body)?;
        let given = order.expires_at.duration_since(order.created_at).as_secs_f64();
        let exact = self.plan.pay_within.is_none_or(|wanted| (given - wanted.as_secs_f64()).abs() <= 1.0);
        self.check(exact, || format!("order {} may be paid for {given} s", order.id));
        self.ledger.orders.insert(order.id, order.clone());
        Some(order)
    }

    async fn read_back(&mut self) -> Option<()> {
        if self.random.bool() {
            return self.read("/api/orders?limit=5").await.map(drop);
        }
        let Some(booked) = self.any_order(|_| true) else { return self.browse().await };
        let path = format!("/api/orders/{}", booked.id);
        let answer = self.read(&path).await?;
        let now = self.parsed(&path, answer)?;
        self.check(self.ledger.may_be(&booked, &now), || {
            format!("GET {path}: booked {booked:?}, found {now:?}")
        })
    }

    async fn cancel_any(&mut self) -> Option<()> {
        let sure = !self.random.u8(..).is_multiple_of(8);
        match self.any_order(|order| (order.status == "awaiting_payment") == sure) {
            Some(open) if sure => self.cancel(open).await,
            Some(closed) => {
                // A cancelled one stays so; a complete one refuses, if it was not cancelled for its refund.
                let stands = self.ledger.payments.get(&closed.id).is_some_and(Payment::stands);
                let wanted: &[u16] = match &*closed.status {
                    "cancelled" => &[200],
                    "complete" if stands => &[409],
                    _ => &[200, 409],
                };
                let ask = self.ask(Method::DELETE, &format!("/api/orders/{}", closed.id));
                self.expect(ask, wanted).await.map(drop)
            }
            None => self.browse().await,
        }
    }

    async fn cancel(&mut self, booked: Order) -> Option<()> {
        let path = format!("/api/orders/{}", booked.id);
        // Its payment without an answer may have been made.
        let paid = self.ledger.keys.contains_key(&booked.id);
        let ask = self.ask(Method::DELETE, &path);
        let Some(answer) = self.expect(ask, if paid { &[200, 409] } else { &[200] }).await else {
            self.ledger.unsure.insert(booked.id);
            return None;
        };
        if answer.status == 200 {
            let now: Order = self.parsed(&path, answer.body)?;
            let wanted = Order { status: "cancelled".to_owned(), ..booked.clone() };
            self.check(now == wanted, || format!("DELETE {path}: booked {booked:?}, cancelled {now:?}"));
            self.ledger.orders.insert(wanted.id, wanted);
        }
        Some(())
    }

    async fn sign_up(&mut self) -> Option<()> {
        let name = self.ledger.fresh();
        let email = format!("{name}@example.com");
        let given = json!({ "email": email, "password": "box-office-demo" });
        let ask = Ask::new(Method::POST, "/api/users/signup", "").json(&given);
        let answer = self.expect(ask, &[201]).await?;
        let cookie =
            answer.headers.get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
        let session = cookie.split(';').next().and_then(|pair| pair.strip_prefix("session="));
        let session = session.unwrap_or_default().to_owned();
        let me = Ask::new(Method::GET, "/api/users/currentuser", &session);
        self.until(&me, |me| me["currentUser"]["email"] == *email).await?;
        self.ledger.newcomers.push(Newcomer { email, name: None, session: session.clone() });
        let renamed = Ask::new(Method::PATCH, "/api/users/me", session).json(&json!({ "name": name }));
        self.expect(renamed, &[200]).await?;
        self.until(&me, |me| me["currentUser"]["name"] == *name).await?;
        self.ledger.newcomers.last_mut()?.name = Some(name);
        Some(())
    }

    async fn fill_cart(&mut self) -> Option<()> {
        let found = cart_of(&self.read("/api/cart").await?);
        let cart = self.ledger.cart.take().unwrap_or_else(|| found.clone());
        self.check(cart == found, || format!("the cart was left with {cart:?}, found {found:?}"));
        let mut cart = found;
        if cart.len() < 3 {
            let (ticket, quantity) = self.lines()[0];
            let ask = self.ask(Method::PUT, &format!("/api/cart/items/{ticket}"));
            self.expect(ask.json(&json!({ "quantity": quantity })), &[200]).await?;
            cart.insert(ticket, quantity);
        } else {
            self.place(&cart.clone().into_iter().collect::<Vec<_>>()).await;
            while let Some((ticket, _)) = cart.pop_first() {
                let ask = self.ask(Method::DELETE, &format!("/api/cart/items/{ticket}"));
                self.expect(ask, &[200]).await?;
            }
        }
        let found = cart_of(&self.read("/api/cart").await?);
        self.check(cart == found, || format!("the cart was filled with {cart:?}, found {found:?}"));
        self.ledger.cart = Some(cart);
        Some(())
    }

    async fn pay_any(&mut self) -> Option<()> {
        match self.open_order().await {
            Some(order) => self.pay(order).await,
            None => None,
        }
    }

    /// Pays until the order reads complete. A payment without an answer is tried again later, with the same key.
    async fn pay(&mut self, order: Order) -> Option<()> {
        let dice = self.random.u32(0..100);
        if dice < 15 && !self.ledger.keys.contains_key(&order.id) {
            let key = self.ledger.fresh();
            self.charge(&order, "tok_declined", &key, &[402]).await?;
        }
        let retried = self.ledger.keys.contains_key(&order.id);
        let key = self.ledger.keys.get(&order.id).cloned().unwrap_or_else(|| self.ledger.fresh());
        self.ledger.keys.insert(order.id, key.clone());
        let token = if dice >= 96 { "tok_slow" } else { "tok_visa" };
        let answer = self.charge(&order, token, &key, if retried { &[200, 201] } else { &[201] }).await?;
        self.ledger.keys.remove(&order.id);
        if answer.status == 409 {
            return None;
        }
        let paid: Payment = self.parsed("POST /api/payments", answer.body)?;
        let sum = (paid.order_id, paid.amount_cents) == (order.id, order.total_cents);
        self.check(sum && paid.status == "succeeded", || format!("{order:?} was paid with {paid:?}"));
        self.ledger.payments.insert(order.id, paid.clone());
        let order = Order { status: PAID.to_owned(), ..order };
        self.ledger.orders.insert(order.id, order.clone());
        if (15..30).contains(&dice) {
            let again = self.charge(&order, "tok_visa", &key, &[200]).await?;
            let again: Payment = self.parsed("POST /api/payments", again.body)?;
            self.check(again == paid, || format!("paid {paid:?}, the same key gave {again:?}"));
        } else if (30..40).contains(&dice) {
            let other = self.ledger.fresh();
            self.charge(&order, "tok_visa", &other, &[409]).await?;
        }
        let ask = self.ask(Method::GET, &format!("/api/orders/{}", order.id));
        let now = self.until(&ask, |now| now["status"] != "awaiting_payment").await?;
        let now: Order = self.parsed("order", now)?;
        self.check(self.ledger.may_be(&order, &now), || format!("{paid:?} of {order:?} left {now:?}"))?;
        if now.status == "complete" {
            self.ledger.orders.insert(order.id, now);
        }
        Some(())
    }

    /// 409 is in order, too, when the order may have expired by now.
    async fn charge(&mut self, order: &Order, token: &str, key: &str, wanted: &[u16]) -> Option<Answer> {
        let body = json!({ "orderId": order.id, "token": token });
        let ask = self.ask(Method::POST, "/api/payments").json(&body).with("Idempotency-Key", key);
        let answer = self.expect(ask, &[wanted, &[409]].concat()).await?;
        let right = answer.status != 409 || wanted.contains(&409) || order.is_late();
        self.check(right, || format!("{token} for {order:?}: {}", answer.text))?;
        Some(answer)
    }

    /// The stream must tell how it ended, and end.
    async fn watch(&mut self) -> Option<()> {
        let order = self.open_order().await?;
        let path = format!("/api/orders/{}/stream", order.id);
        let ask = self.ask(Method::GET, &path);
        let start = Instant::now();
        let opened = self.connection.open(&ask).await;
        let stream = opened.map_err(|error| self.failed(&ask, error)).ok()?;
        let from = server(stream.headers());
        self.tally.answered(self.kind.name(), &path, from.clone(), start.elapsed());
        self.check(stream.status() == 200, || format!("GET {path}: {} from {from}", stream.status()))?;
        let reading = tokio::spawn(stream.text());
        let id = order.id;
        let done = if self.random.bool() { self.cancel(order).await } else { self.pay(order).await };
        done?;
        let booked = self.ledger.orders.get(&id)?.status.clone();
        let read = timeout(self.plan.soon, reading).await;
        let Ok(Ok(Ok(text))) = read else {
            return self.check(false, || format!("GET {path}: {booked}, but {read:?}"));
        };
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data:")).unwrap_or_default();
        let last: Value = serde_json::from_str(last).unwrap_or_default();
        self.check(last["status"] == *booked || self.ledger.orders[&id].is_late(), || {
            format!("GET {path} from {from}: {booked}, but the stream ended with {text:?}")
        })
    }

    async fn settle(&mut self) -> Option<()> {
        let Some(paid) = self.any_payment(|paid| !paid.settled) else { return self.pay_any().await };
        // Spaces that a parser would not keep: the signature is one of bytes.
        let body = format!("{{\"type\":  \"charge.settled\",\n \"payment\": {}}}", paid.id);
        let ask = Ask { body: body.clone(), ..Ask::new(Method::POST, "/webhooks/pay", "") }
            .with("Content-Type", "application/json");
        if self.random.u8(..).is_multiple_of(8) {
            let forged = ask.clone().with("X-Pay-Signature", signature("guessed", &body));
            self.expect(forged, &[401]).await?;
        }
        let signed = ask.with("X-Pay-Signature", signature(&self.plan.webhook_secret, &body));
        if self.expect(signed, &[200]).await.is_none() {
            self.ledger.unsure_payments.insert(paid.id);
            return None;
        }
        self.ledger.payments.get_mut(&paid.order_id)?.settled = true;
        let ask = self.ask(Method::GET, &format!("/api/payments/{}", paid.id));
        self.until(&ask, |now| now["settled"] == true).await.map(drop)
    }

    async fn refund(&mut self) -> Option<()> {
        let Some(paid) = self.any_payment(|_| true) else { return self.pay_any().await };
        for _ in 0..self.random.u32(1..=2) {
            let ask = self.ask(Method::POST, &format!("/api/payments/{}/refund", paid.id));
            let Some(answer) = self.expect(ask, &[200]).await else {
                self.ledger.unsure_payments.insert(paid.id);
                return None;
            };
            let now: Payment = self.parsed("refund", answer.body)?;
            let wanted = Payment { status: "refunded".to_owned(), ..paid.clone() };
            self.ledger.payments.insert(paid.order_id, wanted.clone());
            self.check(now == wanted, || format!("{paid:?} was refunded as {now:?}"));
        }
        Some(())
    }

    async fn notifications(&mut self) -> Option<()> {
        let list = self.ask(Method::GET, "/api/notifications");
        let all = |list: &Value| list["notifications"].as_array().cloned().unwrap_or_default();
        if let Some(newest) = self.ledger.orders.keys().next_back() {
            let id = format!("order-{newest}-created");
            self.until(&list, |now| all(now).iter().filter(|one| one["id"] == *id).count() == 1).await?;
        }
        let deadline = Instant::now() + self.plan.soon;
        let now = loop {
            let now = self.read(&list.path).await?;
            let unread = self.read("/api/notifications/unread-count").await?;
            let right = now["unread"] == unread["unread"];
            if right || Instant::now() > deadline {
                self.check(right, || {
                    format!("{unread} notifications unread, the list says {}", now["unread"])
                });
                break now;
            }
            sleep(POLL).await;
        };
        let unread: Vec<_> = all(&now).into_iter().filter(|one| one["read"] == false).collect();
        let id = self.random.choice(unread)?["id"].as_str()?.to_owned();
        let ask = self.ask(Method::POST, &format!("/api/notifications/{id}/read"));
        self.expect(ask, &[200]).await?;
        self.until(&list, |now| all(now).iter().all(|one| one["id"] != *id || one["read"] == true)).await?;
        self.ledger.read.insert(id);
        Some(())
    }

    /// One to three different tickets, one to four of each.
    fn lines(&mut self) -> Vec<(i64, i64)> {
        let first = self.random.u32(0..TICKETS);
        let lines = self.random.u32(1..=3);
        (0..lines)
            .map(|n| (i64::from((first + n * 37) % TICKETS + 1), i64::from(self.random.u32(1..=4))))
            .collect()
    }

    fn any_order(&mut self, wanted: impl Fn(&Order) -> bool) -> Option<Order> {
        let known = |order: &&Order| !self.ledger.unsure.contains(&order.id) && wanted(order);
        let orders: Vec<_> = self.ledger.orders.values().rev().take(50).filter(known).collect();
        self.random.choice(orders).cloned()
    }

    /// An own order that can still be paid in time; a new one when there is none.
    async fn open_order(&mut self) -> Option<Order> {
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(TIME_TO_PAY_SECONDS);
        match self.any_order(|order| order.status == "awaiting_payment" && order.expires_at > soon) {
            None => self.order().await,
            found => found,
        }
    }

    /// An own payment that is known to stand.
    fn any_payment(&mut self, wanted: impl Fn(&Payment) -> bool) -> Option<Payment> {
        let unsure = &self.ledger.unsure_payments;
        let known = |paid: &&Payment| paid.stands() && !unsure.contains(&paid.id) && wanted(paid);
        let payments: Vec<_> = self.ledger.payments.values().rev().take(50).filter(known).collect();
        self.random.choice(payments).cloned()
    }

    fn ask(&self, method: Method, path: &str) -> Ask {
        Ask::new(method, path, session_of(self.ledger.user))
    }

    async fn read(&mut self, path: &str) -> Option<Value> {
        let ask = self.ask(Method::GET, path);
        self.expect(ask, &[200]).await.map(|answer| answer.body)
    }

    /// Asks until the answer is right, and fails when it is not soon.
    async fn until(&mut self, ask: &Ask, right: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + self.plan.soon;
        loop {
            let found = self.expect(ask.clone(), &[200]).await?.body;
            if right(&found) {
                return Some(found);
            }
            if Instant::now() > deadline {
                self.failed(ask, format!("not right after {:?}: {found}", self.plan.soon));
                return None;
            }
            sleep(POLL).await;
        }
    }

    fn parsed<T: DeserializeOwned>(&self, what: &str, body: Value) -> Option<T> {
        ledger::parsed(what, body).map_err(|error| self.tally.fail(error)).ok()
    }

    fn check(&self, right: bool, what: impl FnOnce() -> String) -> Option<()> {
        if !right {
            self.tally.fail(format!("user {}: {}", self.ledger.user, what()));
        }
        right.then_some(())
    }

    /// Sends and counts. Anything but an allowed status is a failure; a server's error may have written, so it
    /// counts as no answer too.
    async fn expect(&mut self, ask: Ask, allowed: &[u16]) -> Option<Answer> {
        if let Some(pace) = self.pace {
            tokio::select! { _ = pace.tick() => {}, () = self.over.cancelled() => {} }
        }
        match self.connection.send(&ask).await {
            Ok(answer) => {
                let server = server(&answer.headers);
                self.tally.answered(self.kind.name(), &ask.path, server.clone(), answer.took);
                if allowed.contains(&answer.status) {
                    return Some(answer);
                }
                self.failed(&ask, format!("{} from {server}: {}", answer.status, answer.text));
            }
            Err(error) => {
                self.tally.lost();
                self.failed(&ask, error);
            }
        }
        None
    }

    fn failed(&self, ask: &Ask, what: impl std::fmt::Display) {
        self.tally.fail(format!("{} {} as user {}: {what}", ask.method, ask.path, self.ledger.user));
    }
}
