//! Every write the shop acknowledged to one user, and the check that the shop still knows them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::client::{Ask, Connection, server};

const PAGE: usize = 100;
/// The shop's clock and ours are the same within this.
const EDGE_MS: i64 = 1_000;

/// The status in the books of an order whose payment was acknowledged and that was not seen complete yet.
pub(crate) const PAID: &str = "paid";

/// An order as the API tells it, as far as the books go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) number: i64,
    pub(crate) status: String,
    pub(crate) total_cents: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A payment as the API tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) id: i64,
    pub(crate) order_id: i64,
    pub(crate) amount_cents: i64,
    pub(crate) status: String,
    pub(crate) settled: bool,
}

/// Somebody who signed up during the run.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    pub(crate) session: String,
}

/// The books of one virtual user.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) user: u32,
    /// Acknowledged orders by id.
    pub(crate) orders: BTreeMap<i64, Order>,
    /// Orders sent that got no answer: each may have been written once.
    pub(crate) unanswered: usize,
    /// Orders whose cancellation got no answer: they may be in either state.
    pub(crate) unsure: BTreeSet<i64>,
    /// Acknowledged payments by order.
    pub(crate) payments: BTreeMap<i64, Payment>,
    /// Payments whose refund or settling got no answer.
    pub(crate) unsure_payments: BTreeSet<i64>,
    /// Keys of payments that got no answer, by order: each may have been made once.
    pub(crate) keys: BTreeMap<i64, String>,
    /// Quantities by ticket; unknown after a write without an answer.
    pub(crate) cart: Option<BTreeMap<i64, i64>>,
    pub(crate) newcomers: Vec<Newcomer>,
    /// Notifications acknowledged as read.
    pub(crate) read: BTreeSet<String>,
    /// Paid orders that expired before they were complete; the shop gave the money back.
    pub(crate) too_late: usize,
    /// The user's newest order before the run.
    before: i64,
    /// What makes names unlike those of any other run.
    stamp: String,
    names: u32,
}

impl Order {
    /// Whether its time to be paid may be over.
    pub(crate) fn is_late(&self) -> bool {
        Timestamp::now().as_millisecond() > self.expires_at.as_millisecond() - EDGE_MS
    }
}

impl Payment {
    /// Whether the money was not given back.
    pub(crate) fn stands(&self) -> bool {
        self.status == "succeeded"
    }
}

impl Ledger {
    /// Opens the books: what the shop already has is not ours.
    pub(crate) async fn open(connection: &Connection, user: u32, stamp: String) -> Result<Self, String> {
        let books = Self { user, stamp, ..Self::default() };
        let before = books.page(connection, 1, 1).await?.first().map_or(0, |order| order.id);
        Ok(Self { before, ..books })
    }

    /// A name that nobody used before.
    pub(crate) fn fresh(&mut self) -> String {
        self.names += 1;
        format!("load-{}-{}-{}", self.stamp, self.user, self.names)
    }

    /// Compares the books with what the shop says now: one line per difference.
    pub(crate) async fn check(&mut self, connection: &Connection) -> Result<Vec<String>, String> {
        let (mut problems, mut found) = (Vec::new(), BTreeMap::new());
        for order in self.all_listed(connection).await? {
            if let Some(twin) = found.insert(order.id, order) {
                problems.push(format!("order {} is listed twice", twin.id));
            }
        }
        self.too_late = 0;
        for (id, booked) in &self.orders {
            let now = found.remove(id);
            match &now {
                Some(now) if self.may_be(booked, now) => {}
                Some(now) => problems.push(format!("acknowledged {booked:?}, found {now:?}")),
                None => problems.push(format!("order {id} was acknowledged and is lost")),
            }
            let Some(paid) = self.payments.get(id) else { continue };
            let payment = match self.get::<Payment>(connection, &format!("/api/payments/{}", paid.id)).await {
                Ok(payment) => payment,
                Err(error) => {
                    problems.push(format!("acknowledged {paid:?}: {error}"));
                    continue;
                }
            };
            let too_late = paid.stands() && now.is_some_and(|now| now.status == "cancelled");
            self.too_late += usize::from(too_late);
            let unsure = self.unsure_payments.contains(&paid.id);
            let seen = if unsure { &payment } else { paid };
            let status = if too_late && !unsure { "refunded" } else { &seen.status };
            let wanted = Payment { status: status.to_owned(), settled: seen.settled, ..paid.clone() };
            if payment != wanted {
                problems.push(format!("acknowledged {paid:?}, found {payment:?}, too late: {too_late}"));
            }
        }
        if found.len() > self.unanswered {
            let (ids, requests) = (found.keys(), self.unanswered);
            let without = "were written without being acknowledged";
            problems.push(format!("orders {ids:?} {without}; {requests} requests got no answer"));
        }
        self.check_the_rest(connection, &mut problems).await?;
        Ok(problems.into_iter().map(|problem| format!("user {}: {problem}", self.user)).collect())
    }

    async fn check_the_rest(
        &self,
        connection: &Connection,
        problems: &mut Vec<String>,
    ) -> Result<(), String> {
        if let Some(cart) = &self.cart {
            let now = cart_of(&self.get(connection, "/api/cart").await?);
            if now != *cart {
                problems.push(format!("the cart was left with {cart:?}, found {now:?}"));
            }
        }
        if !self.read.is_empty() {
            let list: Value = self.get(connection, "/api/notifications").await?;
            let unread =
                list["notifications"].as_array().into_iter().flatten().filter(|one| one["read"] != true);
            let ids = unread.filter_map(|one| one["id"].as_str()).filter(|id| self.read.contains(*id));
            problems.extend(ids.map(|id| format!("notification {id} was read and is not")));
        }
        for newcomer in &self.newcomers {
            let ask = Ask::new("GET /api/users/currentuser", &newcomer.session);
            let now = connection.send(&ask).await?.body["currentUser"].take();
            let named = newcomer.name.as_ref().is_none_or(|name| now["name"] == **name);
            if !named || now["email"] != *newcomer.email {
                problems.push(format!("{newcomer:?} signed up; found {now}"));
            }
        }
        Ok(())
    }

    /// Whether a booked order may look like this now.
    pub(crate) fn may_be(&self, booked: &Order, now: &Order) -> bool {
        let refunded = self.payments.get(&booked.id).is_some_and(|paid| !paid.stands());
        let status = booked.status == now.status
            || self.unsure.contains(&now.id)
            || match (&*booked.status, &*now.status) {
                ("awaiting_payment", "complete") => self.keys.contains_key(&now.id),
                ("awaiting_payment", "cancelled") => booked.is_late(),
                (PAID, "complete") => true,
                // Heard of too late: whether the money was given back is another question.
                (PAID, "cancelled") => booked.is_late() || refunded,
                ("complete", "cancelled") => refunded,
                _ => false,
            };
        status && (booked.number, booked.total_cents) == (now.number, now.total_cents)
    }

    async fn all_listed(&self, connection: &Connection) -> Result<Vec<Order>, String> {
        let mut all = Vec::new();
        for number in 1.. {
            let listed = self.page(connection, number, PAGE).await?;
            let last = listed.len() < PAGE || listed.iter().any(|order| order.id <= self.before);
            all.extend(listed.into_iter().filter(|order| order.id > self.before));
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// Orders newest first.
    async fn page(&self, connection: &Connection, page: usize, limit: usize) -> Result<Vec<Order>, String> {
        let path = format!("/api/orders?page={page}&limit={limit}");
        let mut listed: Value = self.get(connection, &path).await?;
        parsed(&path, listed["orders"].take())
    }

    async fn get<T: DeserializeOwned>(&self, connection: &Connection, path: &str) -> Result<T, String> {
        let answer = connection.send(&Ask::by(self.user, format!("GET {path}"))).await?;
        if answer.status == 200 {
            return parsed(path, answer.body);
        }
        Err(format!("GET {path}: {} from {}", answer.status, server(&answer.headers)))
    }
}

/// What is in the cart, as far as the books go.
pub(crate) fn cart_of(cart: &Value) -> BTreeMap<i64, i64> {
    let items = cart["items"].as_array().into_iter().flatten();
    items.filter_map(|item| Some((item["ticketId"].as_i64()?, item["quantity"].as_i64()?))).collect()
}

pub(crate) fn parsed<T: DeserializeOwned>(what: &str, body: Value) -> Result<T, String> {
    serde_json::from_value(body).map_err(|error| format!("{what}: unexpected answer: {error}"))
}
