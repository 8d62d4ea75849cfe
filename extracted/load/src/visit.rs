//! What a virtual user does, one request at a time, and what it expects.

use std::{fmt::Arguments, time::Instant};

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    client::{Answer, Ask, POLL, server, signature},
    ledger::{self, Newcomer, Order, PAID, Payment, cart_of},
    load::Worker,
};

const TICKETS: u32 = 200;
/// With less time than this left, an order is not paid any more: the answer could be either.
const TIME_TO_PAY: SignedDuration = SignedDuration::from_secs(3);

/// A kind of visit, and its share of the whole mix in per mille.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    Browse = 299, // lists, single tickets, what is left of them
    Quote = 180,  // asks what an order would cost
    Order = 160,
    Read = 150,  // reads own orders: they must be what the books say, at once
    Cancel = 30, // a paid order must refuse
    Signup = 5,
    Cart = 50,    // fills the cart; orders and empties a full one
    Pay = 70,     // with declined and slow cards and repeated keys
    Stream = 10,  // watches an order until it is paid or cancelled
    Webhook = 15, // settles a payment as the provider does
    Notifications = 25,
    Refund = 6, // sometimes twice
}

/// Each action ends early, with `None`, after a failure, which is counted already.
impl Worker {
    pub(crate) async fn visit(&mut self) {
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
                let left = self.read::<Value>(&format!("/api/tickets/{ticket}/availability")).await?;
                let count = |name: &str| left[name].as_i64().unwrap_or(-1);
                let free = count("capacity") - count("reserved") - count("sold");
                let right = free >= 0 && free == count("available");
                return self.check(right, format_args!("ticket {ticket} is oversold: {left}"));
            }
            _ => format!("/api/tickets/{ticket}"),
        };
        self.read::<Value>(&path).await.map(drop)
    }

    async fn quote(&mut self) -> Option<()> {
        let items: Vec<_> =
            self.lines().iter().map(|(id, quantity)| format!("item={id}:{quantity}")).collect();
        self.read::<Value>(&format!("/api/orders/quote?{}", items.join("&"))).await.map(drop)
    }

    async fn order(&mut self) -> Option<Order> {
        let lines = self.lines();
        self.place(&lines).await
    }

    async fn place(&mut self, lines: &[(i64, i64)]) -> Option<Order> {
        let items = lines.iter().map(|(id, quantity)| json!({ "ticketId": id, "quantity": quantity }));
        let ask = self.ask("POST /api/orders").json(&json!({ "items": items.collect::<Vec<_>>() }));
        let Some(answer) = self.expect(&ask, &[201, 409]).await else {
            self.ledger.unanswered += 1;
            return None;
        };
        if answer.status == 409 {
            return None; // Sold out, which is nobody's fault.
        }
        let order: Order = self.parsed(&ask, answer.body)?;
        let given = order.expires_at.duration_since(order.created_at).as_secs_f64();
        let exact = self.plan.pay_within.is_none_or(|wanted| (given - wanted.as_secs_f64()).abs() <= 1.0);
        self.check(exact, format_args!("order {} may be paid for {given} s", order.id));
        self.ledger.orders.insert(order.id, order.clone());
        Some(order)
    }

    async fn read_back(&mut self) -> Option<()> {
        if self.random.bool() {
            return self.read::<Value>("/api/orders?limit=5").await.map(drop);
        }
        let Some(booked) = self.any_order(|_| true) else { return self.browse().await };
        let now: Order = self.read(&format!("/api/orders/{}", booked.id)).await?;
        self.check(self.ledger.may_be(&booked, &now), format_args!("booked {booked:?}, found {now:?}"))
    }

    async fn cancel_any(&mut self) -> Option<()> {
        let open = !self.random.u8(..).is_multiple_of(8);
        match self.any_order(|order| (order.status == "awaiting_payment") == open) {
            Some(order) => self.cancel(order).await,
            None => self.browse().await,
        }
    }

    async fn cancel(&mut self, booked: Order) -> Option<()> {
        let stands = self.ledger.payments.get(&booked.id).is_some_and(Payment::stands);
        let allowed: &[u16] = match &*booked.status {
            // Its payment without an answer may have been made.
            "awaiting_payment" if self.ledger.keys.contains_key(&booked.id) => &[200, 409],
            "awaiting_payment" | "cancelled" => &[200],
            // A complete one refuses, if it was not cancelled for its refund.
            "complete" if stands => &[409],
            _ => &[200, 409],
        };
        let ask = self.ask(format!("DELETE /api/orders/{}", booked.id));
        let Some(answer) = self.expect(&ask, allowed).await else {
            self.ledger.unsure.insert(booked.id);
            return None;
        };
        if answer.status == 200 && booked.status == "awaiting_payment" {
            let now: Order = self.parsed(&ask, answer.body)?;
            let wanted = Order { status: "cancelled".to_owned(), ..booked };
            self.check(now == wanted, format_args!("cancelled, wanted {wanted:?}, found {now:?}"));
            self.ledger.orders.insert(wanted.id, wanted);
        }
        Some(())
    }

    async fn sign_up(&mut self) -> Option<()> {
        let name = self.ledger.fresh();
        let email = format!("{name}@example.com");
        let given = json!({ "email": email, "password": "box-office-demo" });
        let answer = self.expect(&Ask::new("POST /api/users/signup", "").json(&given), &[201]).await?;
        let session = answer.session().unwrap_or_default();
        let me = Ask::new("GET /api/users/currentuser", &session);
        self.until(&me, |me| me["currentUser"]["email"] == *email).await?;
        self.ledger.newcomers.push(Newcomer { email, name: None, session: session.clone() });
        let renamed = Ask::new("PATCH /api/users/me", session).json(&json!({ "name": name }));
        self.expect(&renamed, &[200]).await?;
        self.until(&me, |me| me["currentUser"]["name"] == *name).await?;
        self.ledger.newcomers.last_mut()?.name = Some(name);
        Some(())
    }

    async fn fill_cart(&mut self) -> Option<()> {
        let found = cart_of(&self.read("/api/cart").await?);
        let booked = self.ledger.cart.take().unwrap_or_else(|| found.clone());
        self.check(booked == found, format_args!("the cart was left with {booked:?}, found {found:?}"));
        let mut cart = found;
        if cart.len() < 3 {
            let (ticket, quantity) = self.lines()[0];
            let ask =
                self.ask(format!("PUT /api/cart/items/{ticket}")).json(&json!({ "quantity": quantity }));
            self.expect(&ask, &[200]).await?;
            cart.insert(ticket, quantity);
        } else {
            self.place(&cart.clone().into_iter().collect::<Vec<_>>()).await;
            while let Some((ticket, _)) = cart.pop_first() {
                self.expect(&self.ask(format!("DELETE /api/cart/items/{ticket}")), &[200]).await?;
            }
        }
        let found = cart_of(&self.read("/api/cart").await?);
        self.check(cart == found, format_args!("the cart was filled with {cart:?}, found {found:?}"));
        self.ledger.cart = Some(cart);
        Some(())
    }

    async fn pay_any(&mut self) -> Option<()> {
        let order = self.open_order().await?;
        self.pay(order).await
    }

    /// Pays until the order reads complete. A payment without an answer is tried again later, with the same key.
    async fn pay(&mut self, order: Order) -> Option<()> {
        let dice = self.random.u32(0..100);
        let earlier = self.ledger.keys.get(&order.id).cloned();
        if dice < 15 && earlier.is_none() {
            let key = self.ledger.fresh();
            self.charge(&order, "tok_declined", &key, &[402]).await?;
        }
        let allowed: &[u16] = if earlier.is_some() { &[200, 201] } else { &[201] };
        let key = earlier.unwrap_or_else(|| self.ledger.fresh());
        self.ledger.keys.insert(order.id, key.clone());
        let token = if dice >= 96 { "tok_slow" } else { "tok_visa" };
        let paid = self.charge(&order, token, &key, allowed).await?;
        self.ledger.keys.remove(&order.id);
        let paid = paid?;
        let sum = (paid.order_id, paid.amount_cents) == (order.id, order.total_cents);
        self.check(sum && paid.stands(), format_args!("{order:?} was paid with {paid:?}"));
        self.ledger.payments.insert(order.id, paid.clone());
        let order = Order { status: PAID.to_owned(), ..order };
        self.ledger.orders.insert(order.id, order.clone());
        if (15..30).contains(&dice) {
            let again = self.charge(&order, "tok_visa", &key, &[200]).await??;
            self.check(again == paid, format_args!("paid {paid:?}, the same key gave {again:?}"));
        } else if (30..40).contains(&dice) {
            let other = self.ledger.fresh();
            self.charge(&order, "tok_visa", &other, &[409]).await?;
        }
        let ask = self.ask(format!("GET /api/orders/{}", order.id));
        let now = self.until(&ask, |now| now["status"] != "awaiting_payment").await?;
        let now: Order = self.parsed(&ask, now)?;
        self.check(self.ledger.may_be(&order, &now), format_args!("{paid:?} of {order:?} left {now:?}"))?;
        if now.status == "complete" {
            self.ledger.orders.insert(order.id, now);
        }
        Some(())
    }

    /// The payment, when one was made. 409 is in order, too, when the order may have expired by now.
    async fn charge(
        &mut self,
        order: &Order,
        token: &str,
        key: &str,
        allowed: &[u16],
    ) -> Option<Option<Payment>> {
        let body = json!({ "orderId": order.id, "token": token });
        let ask = self.ask("POST /api/payments").json(&body).with("Idempotency-Key", key);
        let answer = self.expect(&ask, &[allowed, &[409]].concat()).await?;
        let right = answer.status != 409 || allowed.contains(&409) || order.is_late();
        self.check(right, format_args!("{token} for {order:?}: {}", answer.text))?;
        if answer.status >= 400 { Some(None) } else { self.parsed(&ask, answer.body).map(Some) }
    }

    /// The stream must tell how it ended, and end.
    async fn watch(&mut self) -> Option<()> {
        let order = self.open_order().await?;
        let ask = self.ask(format!("GET /api/orders/{}/stream", order.id));
        let start = Instant::now();
        let opened = self.connection.open(&ask).await;
        let stream = opened.map_err(|error| self.report().fail(format!("{}: {error}", ask.line))).ok()?;
        let from = server(stream.headers());
        self.report().answered(self.kind, &from, start.elapsed());
        self.check(stream.status() == 200, format_args!("{}: {} from {from}", ask.line, stream.status()))?;
        let (id, reading) = (order.id, tokio::spawn(stream.text()));
        let done = if self.random.bool() { self.cancel(order).await } else { self.pay(order).await };
        done?;
        let booked = self.ledger.orders.get(&id)?;
        let read = timeout(self.plan.soon, reading).await;
        let Ok(Ok(Ok(text))) = read else {
            return self.check(false, format_args!("{}: {}, but {read:?}", ask.line, booked.status));
        };
        let last = text.lines().rev().find_map(|line| line.strip_prefix("data:")).unwrap_or_default();
        let last: Value = serde_json::from_str(last).unwrap_or_default();
        let right = last["status"] == *booked.status || booked.is_late();
        self.check(right, format_args!("{booked:?}, but the stream ended with {text:?} from {from}"))
    }

    async fn settle(&mut self) -> Option<()> {
        let Some(paid) = self.any_payment(|paid| !paid.settled) else { return self.pay_any().await };
        // Spaces that a parser would not keep: the signature is one of bytes.
        let body = format!("{{\"type\":  \"charge.settled\",\n \"payment\": {}}}", paid.id);
        let ask = Ask::new("POST /webhooks/pay", "").json(&body);
        if self.random.u8(..).is_multiple_of(8) {
            let forged = ask.clone().with("X-Pay-Signature", signature("guessed", &body));
            self.expect(&forged, &[401]).await?;
        }
        let signed = ask.with("X-Pay-Signature", signature(&self.plan.webhook_secret, &body));
        if self.expect(&signed, &[200]).await.is_none() {
            self.ledger.unsure_payments.insert(paid.id);
            return None;
        }
        self.ledger.payments.get_mut(&paid.order_id)?.settled = true;
        let ask = self.ask(format!("GET /api/payments/{}", paid.id));
        self.until(&ask, |now| now["settled"] == true).await.map(drop)
    }

    async fn refund(&mut self) -> Option<()> {
        let Some(paid) = self.any_payment(|_| true) else { return self.pay_any().await };
        for _ in 0..self.random.u32(1..=2) {
            let ask = self.ask(format!("POST /api/payments/{}/refund", paid.id));
            let Some(answer) = self.expect(&ask, &[200]).await else {
                self.ledger.unsure_payments.insert(paid.id);
                return None;
            };
            let now: Payment = self.parsed(&ask, answer.body)?;
            let wanted = Payment { status: "refunded".to_owned(), ..paid.clone() };
            self.ledger.payments.insert(paid.order_id, wanted.clone());
            self.check(now == wanted, format_args!("{paid:?} was refunded as {now:?}"));
        }
        Some(())
    }

    async fn notifications(&mut self) -> Option<()> {
        let list = self.ask("GET /api/notifications");
        let all = |list: &Value| list["notifications"].as_array().cloned().unwrap_or_default();
        if let Some(newest) = self.ledger.orders.keys().next_back() {
            let id = format!("order-{newest}-created");
            self.until(&list, |now| all(now).iter().filter(|one| one["id"] == *id).count() == 1).await?;
        }
        let deadline = Instant::now() + self.plan.soon;
        let now = loop {
            let now: Value = self.read("/api/notifications").await?;
            let count = self.read::<Value>("/api/notifications/unread-count").await?["unread"].take();
            let right = now["unread"] == count;
            if right || Instant::now() > deadline {
                self.check(
                    right,
                    format_args!("{count} notifications unread, the list says {}", now["unread"]),
                );
                break now;
            }
            sleep(POLL).await;
        };
        let unread: Vec<_> = all(&now).into_iter().filter(|one| one["read"] == false).collect();
        let id = self.random.choice(unread)?["id"].as_str()?.to_owned();
        self.expect(&self.ask(format!("POST /api/notifications/{id}/read")), &[200]).await?;
        self.until(&list, |now| all(now).iter().all(|one| one["id"] != *id || one["read"] == true)).await?;
        self.ledger.read.insert(id);
        Some(())
    }

    /// One to three different tickets, one to four of each.
    fn lines(&mut self) -> Vec<(i64, i64)> {
        let first = self.random.u32(0..TICKETS);
        let lines = self.random.u32(1..=3);
        let mut line = |n| (i64::from((first + n * 37) % TICKETS + 1), i64::from(self.random.u32(1..=4)));
        (0..lines).map(&mut line).collect()
    }

    fn any_order(&mut self, wanted: impl Fn(&Order) -> bool) -> Option<Order> {
        let known = |order: &&Order| !self.ledger.unsure.contains(&order.id) && wanted(order);
        let orders: Vec<_> = self.ledger.orders.values().rev().take(50).filter(known).collect();
        self.random.choice(orders).cloned()
    }

    /// An own order that can still be paid in time; a new one when there is none.
    async fn open_order(&mut self) -> Option<Order> {
        let soon = Timestamp::now() + TIME_TO_PAY;
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

    fn ask(&self, line: impl Into<String>) -> Ask {
        Ask::by(self.ledger.user, line)
    }

    async fn read<T: DeserializeOwned>(&mut self, path: &str) -> Option<T> {
        let ask = self.ask(format!("GET {path}"));
        let answer = self.expect(&ask, &[200]).await?;
        self.parsed(&ask, answer.body)
    }

    /// Asks until the answer is right, and fails when it is not soon.
    async fn until(&mut self, ask: &Ask, right: impl Fn(&Value) -> bool) -> Option<Value> {
        let over = |answer: &Answer| answer.status != 200 || right(&answer.body);
        let answer = self.connection.until(ask, self.plan.soon, over).await;
        self.answered(ask, answer, &[200]).map(|answer| answer.body)
    }

    fn parsed<T: DeserializeOwned>(&self, ask: &Ask, body: Value) -> Option<T> {
        ledger::parsed(&ask.line, body).map_err(|error| self.report().fail(error)).ok()
    }

    fn check(&self, right: bool, what: Arguments<'_>) -> Option<()> {
        if !right {
            self.report().fail(format!("user {}: {what}", self.ledger.user));
        }
        right.then_some(())
    }

    /// Sends and counts. Anything but an allowed status is a failure; a server's error may have written, so it
    /// counts as no answer too.
    async fn expect(&mut self, ask: &Ask, allowed: &[u16]) -> Option<Answer> {
        if let Some(pace) = &mut self.pace {
            tokio::select! { _ = pace.tick() => {}, () = self.over.cancelled() => {} }
        }
        let answer = self.connection.send(ask).await;
        self.answered(ask, answer, allowed)
    }

    fn answered(&self, ask: &Ask, answer: Result<Answer, String>, allowed: &[u16]) -> Option<Answer> {
        let mut report = self.report();
        let failed = |what: String| format!("{} as user {}: {what}", ask.line, self.ledger.user);
        match answer {
            Ok(answer) => {
                let server = server(&answer.headers);
                report.answered(self.kind, &server, answer.took);
                if allowed.contains(&answer.status) {
                    return Some(answer);
                }
                report.fail(failed(format!("{} from {server}: {}", answer.status, answer.text)));
            }
            Err(error) => {
                report.requests += 1;
                report.fail(failed(error));
            }
        }
        None
    }
}
