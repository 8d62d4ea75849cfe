//! Every write the shop acknowledged to one user, and the check that the shop still knows them.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde::Deserialize;

use crate::client::Connection;

const PAGE: usize = 100;

/// An order as the API tells it, as far as the books go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) number: i64,
    pub(crate) status: String,
    pub(crate) total_cents: i64,
}

/// The books of one virtual user.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) user: u32,
    /// Acknowledged orders by id.
    pub(crate) orders: BTreeMap<i64, Order>,
    /// Orders whose cancellation got no answer: they may be in either state.
    pub(crate) unsure: BTreeSet<i64>,
    /// Orders sent that got no answer: each may have been written once.
    pub(crate) unanswered: usize,
    /// The user's newest order before the run.
    before: i64,
}

#[derive(Deserialize)]
struct Listed {
    orders: Vec<Order>,
}

impl Ledger {
    /// Opens the books: what the shop already has is not ours.
    pub(crate) async fn open(connection: &Connection, user: u32) -> Result<Self, String> {
        let listed = page(connection, user, 1, 1).await?;
        let before = listed.first().map_or(0, |order| order.id);
        Ok(Self { user, orders: BTreeMap::new(), unsure: BTreeSet::new(), unanswered: 0, before })
    }

    /// Compares the books with what the shop lists now: one line per difference.
    pub(crate) async fn check(&self, connection: &Connection) -> Result<Vec<String>, String> {
        let mut problems = Vec::new();
        let mut found = BTreeMap::new();
        for order in self.all_listed(connection).await? {
            if let Some(twin) = found.insert(order.id, order) {
                problems.push(format!("user {}: order {} is listed twice", self.user, twin.id));
            }
        }
        for order in self.orders.values() {
            match found.remove(&order.id) {
                None => problems
                    .push(format!("user {}: order {} was acknowledged and is lost", self.user, order.id)),
                Some(now) if !self.agrees(order, &now) => {
                    problems.push(format!("user {}: acknowledged {order:?}, found {now:?}", self.user));
                }
                Some(_) => {}
            }
        }
        if found.len() > self.unanswered {
            let ids: Vec<_> = found.keys().collect();
            problems.push(format!(
                "user {}: orders {ids:?} were written without being acknowledged; {} requests got no answer",
                self.user, self.unanswered
            ));
        }
        Ok(problems)
    }

    fn agrees(&self, booked: &Order, now: &Order) -> bool {
        let status = booked.status == now.status || self.unsure.contains(&now.id);
        status && (booked.number, booked.total_cents) == (now.number, now.total_cents)
    }

    async fn all_listed(&self, connection: &Connection) -> Result<Vec<Order>, String> {
        let mut all = Vec::new();
        for number in 1.. {
            let listed = page(connection, self.user, number, PAGE).await?;
            let last = listed.len() < PAGE || listed.iter().any(|order| order.id <= self.before);
            all.extend(listed.into_iter().filter(|order| order.id > self.before));
            if last {
                break;
            }
        }
        Ok(all)
    }
}

async fn page(connection: &Connection, user: u32, page: usize, limit: usize) -> Result<Vec<Order>, String> {
    let path = format!("/api/orders?page={page}&limit={limit}");
    let answer = connection.send(user, Method::GET, &path, None).await?;
    if answer.status != StatusCode::OK {
        return Err(format!("GET {path} as user {user}: {} from {}", answer.status, answer.server));
    }
    let listed: Listed =
        serde_json::from_value(answer.body).map_err(|error| format!("GET {path}: {error}"))?;
    Ok(listed.orders)
}
