//! The rules of ordering.

use std::collections::HashSet;

use boxoffice_kit::{Connection, Database, Problem, dry_run::DryRun, identity::User, next_id};
use jiff::Timestamp;

use crate::{
    Settings, events, fee,
    inventory::Inventory,
    order::{Item, Line, Listing, Order, Placed, Quote, Wanted},
    placements, repository,
};

const LINES_MAX: usize = 20;
const QUANTITY_MAX: i64 = 10;
const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: i64 = 20;

/// Orders in this database, stock at the inventory.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) database: Database,
    pub(crate) inventory: Inventory,
    pub(crate) settings: Settings,
}

impl Orders {
    /// What the lines would cost, nothing reserved.
    pub(crate) async fn quote(&self, lines: Vec<Line>) -> Result<Quote, Problem> {
        let items = self.priced(lines).await?;
        Ok(Quote { sums: fee::sums(&items, self.settings.planted_fee_bug), items })
    }

    /// Reserves, then numbers and stores an order.
    pub(crate) async fn create(&self, buyer: &User, lines: Vec<Line>) -> Result<Order, Problem> {
        let items = self.priced(lines).await?;
        let id = self.place().await?;
        if let Err(problem) = self.inventory.reserve(id, &items).await {
            // No answer may mean a late one: then the row stays, and what is held is released when it is old.
            if problem.is_callers() {
                self.forget(id).await?;
            }
            return Err(problem);
        }
        let stored = self.store(Some(id), buyer, items).await;
        if stored.is_err()
            && let Err(problem) = self.undo(id).await
        {
            tracing::warn!("order {id} holds tickets until it is abandoned: {problem}");
        }
        stored
    }

    /// What [`Orders::create`] would answer. It asks what is available: without that, every order for something sold
    /// out would differ from an answer that was meant.
    pub(crate) async fn would_create(&self, buyer: &User, lines: Vec<Line>) -> Result<Order, Problem> {
        let items = self.priced(lines).await?;
        self.inventory.would_reserve(&items).await?;
        self.store(None, buyer, items).await
    }

    /// Keeps the order only when it has got its identifier before.
    async fn store(&self, id: Option<i64>, buyer: &User, items: Vec<Item>) -> Result<Order, Problem> {
        let dry_run = DryRun(id.is_none());
        let mut tx = self.database.begin().await?;
        dry_run.hold(&mut tx, "orders").await?;
        let id = match id {
            Some(id) if placements::arrive(&mut tx, id).await? => id,
            Some(_) => return Err(Problem::unavailable("placing the order took too long")),
            None => next_id(&mut tx, "orders").await?,
        };
        let now = Timestamp::now();
        let until = now.checked_add(self.settings.pay_within).map_err(|error| Problem::internal(&error))?;
        let order = Order {
            id,
            number: next_id(&mut tx, "order_numbers").await?,
            status: "awaiting_payment".to_owned(),
            sums: fee::sums(&items, self.settings.planted_fee_bug),
            items,
            version: 1,
            created_at: moment(now),
            expires_at: moment(until),
        };
        let placed = Placed { user_id: buyer.id, order };
        if !repository::store(&mut tx, &placed).await? {
            return Err(Problem::internal(&format_args!("order {id} is there already")));
        }
        events::tell(&mut tx, &placed).await?;
        dry_run.end(tx).await?;
        Ok(placed.order)
    }

    pub(crate) async fn list(&self, buyer: &User, wanted: Wanted) -> Result<Listing, Problem> {
        let page = wanted.page.unwrap_or(1).clamp(1, i64::from(i32::MAX));
        let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let mut connection = self.database.read.acquire().await?;
        let (orders, total) =
            repository::list(&mut connection, buyer.id, (limit, (page - 1) * limit)).await?;
        Ok(Listing { orders, page, limit, total })
    }

    /// The buyer's own order; somebody else's is not found.
    pub(crate) async fn get(&self, buyer: &User, id: i64) -> Result<Order, Problem> {
        own(&mut *self.database.read.acquire().await?, buyer, id).await
    }

    /// Anybody's order.
    pub(crate) async fn of_anybody(&self, id: i64) -> Result<Placed, Problem> {
        let placed = repository::get(&mut *self.database.read.acquire().await?, id).await?;
        placed.ok_or_else(|| Problem::not_found("order"))
    }

    /// Cancels. Twice is the same as once; what is paid is not cancelled. The inventory releases by the event; there is
    /// none in the shared database, so there it is asked to.
    pub(crate) async fn cancel(&self, dry_run: DryRun, buyer: &User, id: i64) -> Result<Order, Problem> {
        let mut tx = self.database.begin().await?;
        dry_run.hold(&mut tx, "orders").await?;
        if own(&mut tx, buyer, id).await?.status == "complete" {
            return Err(Problem::conflict("a complete order cannot be cancelled"));
        }
        let release = events::end(&mut tx, id, "cancelled").await? && self.settings.shared;
        if release {
            placements::insert(&mut tx, id, "").await?;
        }
        let order = own(&mut tx, buyer, id).await?;
        dry_run.end(tx).await?;
        if release && let Err(problem) = self.undo(id).await {
            tracing::warn!("cancelled order {id} holds tickets a little longer: {problem}");
        }
        Ok(order)
    }

    async fn priced(&self, lines: Vec<Line>) -> Result<Vec<Item>, Problem> {
        let lines = checked(lines)?;
        let mut connection = self.database.read.acquire().await?;
        let mut items = Vec::with_capacity(lines.len());
        for (place, line) in lines.iter().enumerate() {
            let item = repository::item(&mut connection, *line).await?;
            let missing = || Problem::invalid(format!("items[{place}].ticketId"), "no such ticket");
            items.push(item.ok_or_else(missing)?);
        }
        Ok(items)
    }
}

/// Always of the same length, so that texts sort as the times they mean.
pub(crate) fn moment(time: Timestamp) -> String {
    format!("{time:.6}")
}

async fn own(connection: &mut Connection, buyer: &User, id: i64) -> Result<Order, Problem> {
    let placed = repository::get(connection, id).await?.filter(|placed| placed.user_id == buyer.id);
    placed.map(|placed| placed.order).ok_or_else(|| Problem::not_found("order"))
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
