//! What a virtual user does, one request at a time, and what it expects.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Connection},
    ledger::{Ledger, Order},
    tally::Tally,
};

const TICKETS: u32 = 200;

/// A virtual user at work.
pub(crate) struct Visit<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) tally: &'a Tally,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) random: &'a mut fastrand::Rng,
}

impl Visit<'_> {
    /// Makes one request of the mix: 35 % browsing, 20 % quotes, 20 % orders, 20 % own orders, 5 % cancelling.
    pub(crate) async fn step(&mut self) {
        match self.random.u32(0..100) {
            0..15 => self.read("/api/tickets?limit=20").await,
            15..35 => self.look().await,
            35..55 => self.quote().await,
            55..75 => self.order().await,
            75..85 => self.read("/api/orders?limit=5").await,
            85..95 => self.read_back().await,
            _ => self.cancel().await,
        }
    }

    /// A GET whose answer is of no further interest.
    async fn read(&self, path: &str) {
        // What failed is counted already.
        let _ = self.expect(Method::GET, path, None, &[StatusCode::OK]).await;
    }

    async fn look(&mut self) {
        let path = format!("/api/tickets/{}", self.random.u32(1..=TICKETS));
        self.read(&path).await;
    }

    async fn quote(&mut self) {
        let lines = self.lines();
        let items: Vec<_> = lines.iter().map(|(id, quantity)| format!("item={id}:{quantity}")).collect();
        let path = format!("/api/orders/quote?{}", items.join("&"));
        self.read(&path).await;
    }

    async fn order(&mut self) {
        let items: Vec<_> =
            self.lines().iter().map(|(id, n)| json!({ "ticketId": id, "quantity": n })).collect();
        let body = json!({ "items": items });
        let allowed = [StatusCode::CREATED, StatusCode::CONFLICT];
        match self.expect(Method::POST, "/api/orders", Some(&body), &allowed).await {
            Ok(answer) if answer.status == StatusCode::CREATED => {
                if let Some(order) = self.parsed("POST /api/orders", answer.body) {
                    self.ledger.orders.insert(order.id, order);
                }
            }
            Ok(_sold_out) => {}
            Err(Unanswered) => self.ledger.unanswered += 1,
        }
    }

    /// Reads one of the own orders: it must be what the books say.
    async fn read_back(&mut self) {
        let Some(booked) = self.any_order(|_| true) else { return self.look().await };
        let path = format!("/api/orders/{}", booked.id);
        let Ok(answer) = self.expect(Method::GET, &path, None, &[StatusCode::OK]).await else { return };
        let Some(now) = self.parsed(&path, answer.body) else { return };
        if now != booked && !self.ledger.unsure.contains(&now.id) {
            let user = self.ledger.user;
            self.tally.fail(format!(
                "GET {path} as user {user}: booked {booked:?}, {} says {now:?}",
                answer.server
            ));
        }
    }

    async fn cancel(&mut self) {
        let Some(booked) = self.any_order(|order| order.status == "awaiting_payment") else {
            return self.look().await;
        };
        let path = format!("/api/orders/{}", booked.id);
        match self.expect(Method::DELETE, &path, None, &[StatusCode::OK]).await {
            Ok(answer) => {
                if let Some(order) = self.parsed(&path, answer.body) {
                    if order != (Order { status: "cancelled".to_owned(), ..booked.clone() }) {
                        self.tally.fail(format!("DELETE {path}: booked {booked:?}, cancelled {order:?}"));
                    }
                    self.ledger.orders.insert(booked.id, Order { status: order.status, ..booked });
                }
            }
            Err(Unanswered) => {
                self.ledger.unsure.insert(booked.id);
            }
        }
    }

    /// One to three different tickets, one to four of each.
    fn lines(&mut self) -> Vec<(u32, u32)> {
        let first = self.random.u32(0..TICKETS);
        let lines = self.random.u32(1..=3);
        (0..lines).map(|n| ((first + n * 37) % TICKETS + 1, self.random.u32(1..=4))).collect()
    }

    fn any_order(&mut self, wanted: impl Fn(&Order) -> bool) -> Option<Order> {
        let orders: Vec<_> =
            self.ledger.orders.values().rev().take(50).filter(|order| wanted(order)).collect();
        self.random.choice(orders).cloned()
    }

    fn parsed(&self, what: &str, body: Value) -> Option<Order> {
        serde_json::from_value(body)
            .map_err(|error| self.tally.fail(format!("{what}: the answer is no order: {error}")))
            .ok()
    }

    /// Sends and counts. Anything but an allowed status is a failure; a server's error may have written, so it
    /// counts as no answer too.
    async fn expect(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        allowed: &[StatusCode],
    ) -> Result<Answer, Unanswered> {
        let user = self.ledger.user;
        match self.connection.send(user, method.clone(), path, body).await {
            Ok(answer) => {
                self.tally.answered(path, &answer);
                if allowed.contains(&answer.status) {
                    return Ok(answer);
                }
                let (status, server) = (answer.status, &answer.server);
                self.tally
                    .fail(format!("{method} {path} as user {user}: {status} from {server}: {}", answer.body));
            }
            Err(error) => {
                self.tally.lost();
                self.tally.fail(format!("{method} {path} as user {user}: {error}"));
            }
        }
        Err(Unanswered)
    }
}

/// The request got no answer that says what became of it.
struct Unanswered;
