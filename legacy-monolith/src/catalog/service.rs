//! The rules of the catalog.

use std::sync::Arc;

use axum::http::StatusCode;
use boxoffice_kit::{
    Connection, Database, Event, Problem, Tx, async_trait, identity::User, next_id, publish, writer,
};

use super::{Catalog, Listing, Offer, Priced, Ticket, Wanted, repository};
use crate::inventory;

const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: i64 = 20;
const TITLE_MAX: usize = 200;
/// A million: sums of orders stay far from overflow.
const PRICE_MAX_CENTS: i64 = 100_000_000;
const CAPACITY_MAX: i64 = 1_000_000;
/// Who may change every price.
const ADMINISTRATOR: i64 = 1;

/// The catalog in this process and this database.
pub(crate) struct Local {
    database: Database,
    inventory: Arc<inventory::Local>,
}

impl Local {
    pub(crate) fn new(database: Database, inventory: Arc<inventory::Local>) -> Self {
        Self { database, inventory }
    }

    async fn begin(&self) -> Result<Tx, Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "catalog").await?;
        Ok(tx)
    }

    /// One ticket; looking at it counts.
    pub(super) async fn view(&self, id: i64) -> Result<Ticket, Problem> {
        let mut tx = self.begin().await?;
        repository::count_view(&mut tx, id).await?;
        let ticket = found(repository::get(&mut tx, id).await?)?;
        tx.commit().await?;
        Ok(ticket)
    }

    pub(super) async fn create(&self, owner: &User, offer: Offer, capacity: i64) -> Result<Ticket, Problem> {
        let offer = checked(offer)?;
        if !(0..=CAPACITY_MAX).contains(&capacity) {
            return Err(Problem::invalid("capacity", "must be 0 to 1000000"));
        }
        let mut tx = self.begin().await?;
        let id = next_id(&mut tx, "tickets").await?;
        repository::insert(&mut tx, (id, owner.id), &offer, capacity).await?;
        tell(&mut tx, "ticket.created", id).await?;
        self.inventory.open(&mut tx).await?;
        let ticket = found(repository::get(&mut tx, id).await?)?;
        tx.commit().await?;
        Ok(ticket)
    }

    /// Changes a ticket; only its owner may.
    pub(super) async fn update(&self, owner: &User, id: i64, offer: Offer) -> Result<Ticket, Problem> {
        let offer = checked(offer)?;
        let mut tx = self.begin().await?;
        own(owner, &found(repository::get(&mut tx, id).await?)?)?;
        repository::update(&mut tx, id, &offer).await?;
        tell(&mut tx, "ticket.updated", id).await?;
        let ticket = found(repository::get(&mut tx, id).await?)?;
        tx.commit().await?;
        Ok(ticket)
    }

    /// Takes a ticket off sale for good; only its owner may.
    pub(super) async fn delete(&self, owner: &User, id: i64) -> Result<(), Problem> {
        let mut tx = self.begin().await?;
        own(owner, &found(repository::get(&mut tx, id).await?)?)?;
        repository::delete(&mut tx, id).await?;
        tell(&mut tx, "ticket.updated", id).await?;
        Ok(tx.commit().await?)
    }

    /// Changes every price: how many.
    pub(super) async fn reprice(&self, administrator: &User, percent: i64) -> Result<usize, Problem> {
        if administrator.id != ADMINISTRATOR {
            return Err(Problem::new(StatusCode::FORBIDDEN, "only the administrator may"));
        }
        if !(-50..=100).contains(&percent) {
            return Err(Problem::invalid("percent", "must be -50 to 100"));
        }
        let mut tx = self.begin().await?;
        let ids = repository::on_sale(&mut tx).await?;
        for id in &ids {
            repository::reprice(&mut tx, *id, percent, PRICE_MAX_CENTS).await?;
            tell(&mut tx, "ticket.updated", *id).await?;
        }
        tx.commit().await?;
        Ok(ids.len())
    }

    /// Stores what the catalog service tells of a ticket, and makes its stock.
    pub(crate) async fn replicate(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        repository::store(tx, event.data()?).await?;
        self.inventory.open(tx).await
    }

    /// Tells of the tickets `offset..offset + limit`: how many there were.
    pub(crate) async fn replay(&self, tx: &mut Connection, offset: i64, limit: i64) -> Result<i64, Problem> {
        let rows = repository::page(tx, limit, offset).await?;
        for told in &rows {
            publish(tx, "ticket.updated", (format!("ticket-{}", told.id), told.version), told).await?;
        }
        Ok(rows.len().try_into().unwrap_or(limit))
    }
}

#[async_trait]
impl Catalog for Local {
    async fn list(&self, wanted: Wanted) -> Result<Listing, Problem> {
        let page = wanted.page.unwrap_or(1).clamp(1, i64::from(i32::MAX));
        let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let status = wanted.status.unwrap_or_default();
        if !["", "on_sale", "sold_out"].contains(&status.as_str()) {
            return Err(Problem::invalid("status", "must be `on_sale` or `sold_out`"));
        }
        let part = wanted.q.unwrap_or_default();
        if part.contains(char::is_control) {
            return Err(Problem::invalid("q", "must not have control characters"));
        }
        let pattern = pattern(&part);
        let mut connection = self.database.read.acquire().await?;
        let window = (limit, (page - 1) * limit);
        let (tickets, total) = repository::list(&mut connection, (&pattern, &status), window).await?;
        Ok(Listing { tickets, page, limit, total })
    }

    async fn get(&self, id: i64) -> Result<Ticket, Problem> {
        found(repository::get(&mut *self.database.read.acquire().await?, id).await?)
    }

    async fn price(&self, connection: &mut Connection, id: i64) -> Result<Option<Priced>, Problem> {
        Ok(repository::price(connection, id).await?)
    }
}

async fn tell(tx: &mut Connection, kind: &str, id: i64) -> Result<(), Problem> {
    let told = repository::told(tx, id).await?;
    publish(tx, kind, (format!("ticket-{id}"), told.version), &told).await
}

/// For LIKE: what is looked for means itself.
fn pattern(part: &str) -> String {
    let part = part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{part}%")
}

fn found(ticket: Option<Ticket>) -> Result<Ticket, Problem> {
    ticket.ok_or_else(|| Problem::not_found("ticket"))
}

fn own(user: &User, ticket: &Ticket) -> Result<(), Problem> {
    let is_own = ticket.owner_id == user.id;
    is_own.then_some(()).ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "this ticket is somebody else's"))
}

fn checked(offer: Offer) -> Result<Offer, Problem> {
    if offer.title.trim().is_empty() || offer.title.len() > TITLE_MAX {
        return Err(Problem::invalid("title", "must have 1 to 200 characters"));
    }
    if offer.title.contains(char::is_control) {
        return Err(Problem::invalid("title", "must not have control characters"));
    }
    if !(0..=PRICE_MAX_CENTS).contains(&offer.price_cents) {
        return Err(Problem::invalid("priceCents", "must be 0 to 100000000"));
    }
    Ok(offer)
}
