//! What somebody is about to buy. It is a column of the session's row, as in old applications, and stays in the monolith.

mod repository;
mod routes;

use std::sync::Arc;

use boxoffice_kit::{Connection, Database, Problem};
use serde::Serialize;

pub(crate) use self::routes::routes;
use crate::{
    catalog::{self, Catalog as _},
    orders::{Item, Line},
    users::Session,
};

const LINES_MAX: usize = 20;

/// A cart with the prices of now; what is no longer on sale is not in it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cart {
    pub(crate) items: Vec<Item>,
    pub(crate) subtotal_cents: i64,
}

/// The seam of the module: it has no other side.
pub(crate) struct Local {
    pub(crate) database: Database,
    pub(crate) catalog: Arc<catalog::Local>,
}

impl Local {
    pub(crate) async fn get(&self, session: &Session) -> Result<Cart, Problem> {
        let mut connection = self.database.read.acquire().await?;
        let lines = repository::get(&mut connection, session).await?;
        self.priced(&mut connection, lines).await
    }

    /// Empties the cart: what was in it, to be ordered. Of several who do that at once, one gets it.
    pub(crate) async fn take(&self, session: &Session) -> Result<Vec<Line>, Problem> {
        let mut taken = Vec::new();
        self.change(session, |lines| taken.append(lines)).await?;
        Ok(taken)
    }

    /// Puts back what came to nothing, beside what was put in meanwhile.
    pub(crate) async fn put_back(&self, session: &Session, mut taken: Vec<Line>) -> Result<(), Problem> {
        let put_back = |lines: &mut Vec<Line>| {
            taken.retain(|line| lines.iter().all(|newer| newer.ticket_id != line.ticket_id));
            lines.splice(..0, taken);
            lines.truncate(LINES_MAX);
        };
        self.change(session, put_back).await.map(drop)
    }

    /// Sets how many of a ticket there are; none takes it out.
    async fn set(&self, session: &Session, ticket_id: i64, quantity: i64) -> Result<Cart, Problem> {
        let mut connection = self.database.read.acquire().await?;
        if quantity > 0 && self.catalog.price(&mut connection, ticket_id).await?.is_none() {
            return Err(Problem::not_found("ticket"));
        }
        drop(connection);
        let set = |lines: &mut Vec<Line>| match lines.iter_mut().find(|line| line.ticket_id == ticket_id) {
            _ if quantity == 0 => lines.retain(|line| line.ticket_id != ticket_id),
            Some(line) => line.quantity = quantity,
            None => lines.push(Line { ticket_id, quantity }),
        };
        self.change(session, set).await
    }

    async fn change(&self, session: &Session, change: impl FnOnce(&mut Vec<Line>)) -> Result<Cart, Problem> {
        let mut tx = self.database.begin().await?;
        let mut lines = repository::get(&mut tx, session).await?;
        change(&mut lines);
        if lines.len() > LINES_MAX {
            return Err(Problem::conflict("the cart is full"));
        }
        repository::set(&mut tx, session, &lines).await?;
        let cart = self.priced(&mut tx, lines).await?;
        tx.commit().await?;
        Ok(cart)
    }

    async fn priced(&self, connection: &mut Connection, lines: Vec<Line>) -> Result<Cart, Problem> {
        let mut cart = Cart::default();
        for Line { ticket_id, quantity } in lines {
            if let Some(ticket) = self.catalog.price(connection, ticket_id).await? {
                let (title, price_cents) = (ticket.title, ticket.price_cents);
                cart.subtotal_cents += price_cents * quantity;
                cart.items.push(Item { ticket_id, title, price_cents, quantity });
            }
        }
        Ok(cart)
    }
}
