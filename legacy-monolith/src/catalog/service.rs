//! The rules of the catalog.

use async_trait::async_trait;
use axum::http::StatusCode;
use sqlx::SqliteConnection;

use super::{Catalog, Listing, Offer, Priced, Ticket, Wanted, repository};
use crate::{database::Database, problem::Problem, users::User};

const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: i64 = 20;
const TITLE_MAX: usize = 200;
/// A million: sums of orders stay far from overflow.
const PRICE_MAX_CENTS: i64 = 100_000_000;
const CAPACITY_MAX: i64 = 1_000_000;

/// The catalog in this process and this database.
pub(crate) struct Local {
    database: Database,
}

impl Local {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Catalog for Local {
    async fn list(&self, wanted: Wanted) -> Result<Listing, Problem> {
        let page = wanted.page.unwrap_or(1).clamp(1, i64::from(i32::MAX));
        let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let part = wanted.q.unwrap_or_default();
        let tickets = repository::list(&self.database.read, &part, limit, (page - 1) * limit).await?;
        let total = repository::count(&self.database.read, &part).await?;
        Ok(Listing { tickets, page, limit, total })
    }

    async fn view(&self, id: i64) -> Result<Ticket, Problem> {
        let ticket = repository::view(&self.database.write, id).await?;
        ticket.ok_or_else(|| Problem::not_found("ticket"))
    }

    async fn create(&self, owner: &User, offer: Offer, capacity: i64) -> Result<Ticket, Problem> {
        let offer = checked(offer)?;
        if !(0..=CAPACITY_MAX).contains(&capacity) {
            return Err(Problem::invalid("capacity", "must be 0 to 1000000"));
        }
        Ok(repository::insert(&self.database.write, owner.id, &offer, capacity).await?)
    }

    async fn update(&self, owner: &User, id: i64, offer: Offer) -> Result<Ticket, Problem> {
        let offer = checked(offer)?;
        if let Some(ticket) = repository::update(&self.database.write, id, owner.id, &offer).await? {
            return Ok(ticket);
        }
        let mut connection = self.database.read.acquire().await?;
        match repository::price(&mut connection, id).await? {
            Some(_) => Err(Problem::new(StatusCode::FORBIDDEN, "this ticket is somebody else's")),
            None => Err(Problem::not_found("ticket")),
        }
    }

    async fn price(&self, connection: &mut SqliteConnection, id: i64) -> Result<Option<Priced>, Problem> {
        Ok(repository::price(connection, id).await?)
    }
}

fn checked(offer: Offer) -> Result<Offer, Problem> {
    if offer.title.trim().is_empty() || offer.title.len() > TITLE_MAX {
        return Err(Problem::invalid("title", "must have 1 to 200 characters"));
    }
    if !(0..=PRICE_MAX_CENTS).contains(&offer.price_cents) {
        return Err(Problem::invalid("priceCents", "must be 0 to 100000000"));
    }
    Ok(offer)
}
