//! The rules of the stock.

use boxoffice_kit::{Connection, Database, Event, Problem, async_trait, publish, writer};
use serde::Serialize;

use super::{
    Availability, Inventory, Line, Outcome,
    repository::{self, Stock},
};

/// The stock in this process and this database.
pub(crate) struct Local {
    database: Database,
}

/// A part of `stock.changed`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reservation {
    pub(super) order_id: i64,
    #[serde(flatten)]
    pub(super) line: Line,
    pub(super) state: String,
}

/// The data of `stock.changed`.
#[derive(Serialize)]
struct Changed<'a> {
    #[serde(flatten)]
    stock: &'a Stock,
    reservation: Option<Reservation>,
}

impl Local {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Stores what the inventory service tells.
    pub(crate) async fn replicate(&self, _tx: &mut Connection, _event: &Event) -> Result<(), Problem> {
        Ok(())
    }

    /// Does what was left to do.
    pub(crate) async fn take_over(&self, _tx: &mut Connection) -> Result<(), Problem> {
        Ok(())
    }

    /// Tells of the stocks, then of the reservations.
    pub(crate) async fn replay(
        &self,
        _tx: &mut Connection,
        _offset: i64,
        _limit: i64,
    ) -> Result<i64, Problem> {
        Ok(0)
    }
}

#[async_trait]
impl Inventory for Local {
    async fn availability(&self, ticket_id: i64) -> Result<Availability, Problem> {
        let mut connection = self.database.read.acquire().await?;
        let found = repository::availability(&mut connection, ticket_id).await?;
        found.ok_or_else(|| Problem::not_found("ticket"))
    }

    async fn reserve(&self, tx: &mut Connection, order_id: i64, lines: &[Line]) -> Result<(), Problem> {
        writer::hold(tx, "inventory").await?;
        let before = repository::states(tx, order_id).await?;
        if before.iter().any(|state| state == "released") {
            return Err(Problem::conflict("the reservation was taken back"));
        }
        if !before.is_empty() {
            return Ok(());
        }
        // By ticket, and told only then: transactions that lock rows in one order never wait for each other in a ring.
        let mut lines: Vec<(usize, Line)> = lines.iter().copied().enumerate().collect();
        lines.sort_by_key(|(_, line)| line.ticket_id);
        let mut taken = Vec::with_capacity(lines.len());
        for (place, line) in lines {
            let stock = repository::take(tx, line).await?.ok_or_else(|| {
                Problem::conflict("not enough tickets left").at(format!("items[{place}].quantity"))
            })?;
            repository::insert(tx, order_id, line).await?;
            taken.push((stock, line));
        }
        for (stock, line) in taken {
            tell(tx, &stock, Some(Reservation { order_id, line, state: "held".to_owned() })).await?;
        }
        Ok(())
    }

    async fn settle(&self, tx: &mut Connection, order_id: i64, outcome: Outcome) -> Result<(), Problem> {
        writer::hold(tx, "inventory").await?;
        let mut given = Vec::new();
        for line in repository::end(tx, order_id, outcome).await? {
            given.push((repository::give(tx, line, outcome).await?, line));
        }
        for (stock, line) in given {
            tell(tx, &stock, Some(Reservation { order_id, line, state: outcome.text().to_owned() })).await?;
        }
        Ok(())
    }

    async fn undo(&self, _order_id: i64) -> Result<(), Problem> {
        Ok(())
    }

    async fn open(&self, tx: &mut Connection, ticket_id: i64) -> Result<(), Problem> {
        if writer::is_here(tx, "inventory").await?
            && let Some(stock) = repository::open(tx, ticket_id).await?
        {
            tell(tx, &stock, None).await?;
        }
        Ok(())
    }
}

impl Outcome {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Sold => "sold",
            Self::Released => "released",
        }
    }
}

pub(super) async fn tell(
    tx: &mut Connection,
    stock: &Stock,
    reservation: Option<Reservation>,
) -> Result<(), Problem> {
    let aggregate = (format!("stock-{}", stock.ticket_id), stock.version);
    publish(tx, "stock.changed", aggregate, &Changed { stock, reservation }).await
}
