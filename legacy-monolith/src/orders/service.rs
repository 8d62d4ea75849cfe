//! The rules of ordering.

use std::{collections::HashSet, sync::Arc};

use boxoffice_kit::{Connection, Database, Problem, async_trait, next_id};
use jiff::{SignedDuration, Timestamp};

use super::{Item, Line, Listing, Order, Orders, Quote, Wanted, fee, repository};
use crate::{
    catalog::Catalog,
    inventory::{Inventory, Outcome},
    users::User,
};

const LINES_MAX: usize = 20;
const QUANTITY_MAX: i64 = 10;
const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: i64 = 20;
/// How long an unpaid order holds its tickets.
const PAY_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// Orders in this process and this database.
pub(crate) struct Local {
    database: Database,
    catalog: Arc<dyn Catalog>,
    inventory: Arc<dyn Inventory>,
}

impl Local {
    pub(crate) fn new(database: Database, catalog: Arc<dyn Catalog>, inventory: Arc<dyn Inventory>) -> Self {
        Self { database, catalog, inventory }
    }

    async fn priced(&self, connection: &mut Connection, lines: &[Line]) -> Result<Vec<Item>, Problem> {
        let mut items = Vec::with_capacity(lines.len());
        for (place, line) in lines.iter().enumerate() {
            let ticket = self.catalog.price(connection, line.ticket_id).await?;
            let ticket = ticket
                .ok_or_else(|| Problem::invalid(format!("items[{place}].ticketId"), "no such ticket"))?;
            items.push(Item {
                ticket_id: line.ticket_id,
                title: ticket.title,
                price_cents: ticket.price_cents,
                quantity: line.quantity,
            });
        }
        Ok(items)
    }
}

#[async_trait]
impl Orders for Local {
    async fn quote(&self, lines: Vec<Line>) -> Result<Quote, Problem> {
        let lines = checked(lines)?;
        let mut connection = self.database.read.acquire().await?;
        let items = self.priced(&mut connection, &lines).await?;
        Ok(Quote { sums: fee::sums(&items), items })
    }

    async fn create(&self, buyer: &User, lines: Vec<Line>) -> Result<Order, Problem> {
        let lines = checked(lines)?;
        let mut transaction = self.database.begin().await?;
        let items = self.priced(&mut transaction, &lines).await?;
        let id = next_id(&mut transaction, "orders").await?;
        self.inventory.reserve(&mut transaction, id, &lines).await?;
        let now = Timestamp::now();
        let until = now.checked_add(PAY_WITHIN).map_err(|error| Problem::internal(&error))?;
        let new = repository::NewOrder { id, buyer: buyer.id, sums: fee::sums(&items), items, now, until };
        let order = repository::insert(&mut transaction, new).await?;
        transaction.commit().await?;
        Ok(order)
    }

    async fn list(&self, buyer: &User, wanted: Wanted) -> Result<Listing, Problem> {
        let page = wanted.page.unwrap_or(1).clamp(1, i64::from(i32::MAX));
        let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let mut connection = self.database.read.acquire().await?;
        let orders = repository::list(&mut connection, buyer.id, limit, (page - 1) * limit).await?;
        let total = repository::count(&mut connection, buyer.id).await?;
        Ok(Listing { orders, page, limit, total })
    }

    async fn get(&self, buyer: &User, id: i64) -> Result<Order, Problem> {
        let mut connection = self.database.read.acquire().await?;
        let order = repository::get(&mut connection, buyer.id, id).await?;
        order.ok_or_else(|| Problem::not_found("order"))
    }

    async fn cancel(&self, buyer: &User, id: i64) -> Result<Order, Problem> {
        let mut transaction = self.database.begin().await?;
        let changed = repository::cancel(&mut transaction, buyer.id, id).await?;
        let order = repository::get(&mut transaction, buyer.id, id).await?;
        let order = order.ok_or_else(|| Problem::not_found("order"))?;
        if changed {
            self.inventory.settle(&mut transaction, id, Outcome::Released).await?;
        }
        transaction.commit().await?;
        Ok(order)
    }
}

fn checked(lines: Vec<Line>) -> Result<Vec<Line>, Problem> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Problem::invalid("items", "must have 1 to 20 lines"));
    }
    let mut seen = HashSet::new();
    for (place, line) in lines.iter().enumerate() {
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            return Err(Problem::invalid(format!("items[{place}].quantity"), "must be 1 to 10"));
        }
        if !seen.insert(line.ticket_id) {
            return Err(Problem::invalid(format!("items[{place}].ticketId"), "is there twice"));
        }
    }
    Ok(lines)
}
