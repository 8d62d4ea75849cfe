//! The rules of the stock.

use boxoffice_kit::{Connection, Database, Event, Problem, async_trait, publish, writer};
use serde::{Deserialize, Serialize};

use super::{
    Inventory, Line, Outcome,
    repository::{self, Availability, Reservation, Stock},
};

const HELD: &str = "held";

/// The stock in this process and this database.
pub(crate) struct Local {
    pub(super) database: Database,
}

/// The data of `stock.changed`.
#[derive(Serialize, Deserialize)]
struct Changed {
    #[serde(flatten)]
    stock: Stock,
    reservation: Option<Reservation>,
}

impl Changed {
    async fn tell(&self, tx: &mut Connection) -> Result<(), Problem> {
        let aggregate = (format!("stock-{}", self.stock.ticket_id), self.stock.version);
        publish(tx, "stock.changed", aggregate, self).await
    }
}

impl Local {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    pub(super) async fn availability(&self, ticket_id: i64) -> Result<Availability, Problem> {
        let found = repository::availability(&mut *self.database.read.acquire().await?, ticket_id).await?;
        found.ok_or_else(|| Problem::not_found("ticket"))
    }

    /// Ends what an order holds, if it still does.
    pub(crate) async fn settle(
        &self,
        tx: &mut Connection,
        order_id: i64,
        outcome: Outcome,
    ) -> Result<(), Problem> {
        writer::hold(tx, "inventory").await?;
        for held in repository::end(tx, order_id, outcome).await? {
            let stock = repository::give(tx, &held).await?;
            Changed { stock, reservation: Some(held) }.tell(tx).await?;
        }
        Ok(())
    }

    /// Takes back what a service holds for an order. One that is still on its way will be refused: nobody would ever take
    /// that back. The word for it is a reservation of no ticket.
    pub(super) async fn release(&self, order_id: i64) -> Result<(), Problem> {
        let mut tx = self.database.begin().await?;
        self.settle(&mut tx, order_id, Outcome::Released).await?;
        let state = Outcome::Released.text().to_owned();
        repository::store(&mut tx, &Reservation { order_id, ticket_id: 0, quantity: 1, state }).await?;
        Ok(tx.commit().await?)
    }

    /// Makes stocks for new tickets, whose rows have their capacity; where stocks are written.
    pub(crate) async fn open(&self, tx: &mut Connection) -> Result<(), Problem> {
        if writer::is_here(tx, "inventory").await? {
            for stock in repository::open(tx).await? {
                Changed { stock, reservation: None }.tell(tx).await?;
            }
        }
        Ok(())
    }

    /// Orders that hold something.
    pub(crate) async fn holding(&self, tx: &mut Connection) -> Result<Vec<i64>, Problem> {
        Ok(repository::holding(tx).await?)
    }

    /// Stores what the inventory service tells: whether that is a new reservation, come so late that it is for us to settle.
    pub(crate) async fn replicate(&self, tx: &mut Connection, event: &Event) -> Result<bool, Problem> {
        let Changed { stock, reservation } = event.data()?;
        repository::store_stock(tx, &stock).await?;
        let Some(reservation) = reservation else { return Ok(false) };
        let is_new = repository::store(tx, &reservation).await?;
        Ok(is_new && reservation.state == HELD && writer::is_here(tx, "inventory").await?)
    }

    /// Tells of the stocks, then of the reservations, each with its stock.
    pub(crate) async fn replay(&self, tx: &mut Connection, offset: i64, limit: i64) -> Result<i64, Problem> {
        let mut told = 0;
        for stock in repository::stocks(tx, limit, offset).await? {
            Changed { stock, reservation: None }.tell(tx).await?;
            told += 1;
        }
        let before = repository::count_stocks(tx).await?;
        for held in repository::all_reservations(tx, limit - told, (offset - before).max(0)).await? {
            let stock = repository::stock(tx, held.ticket_id).await?;
            Changed { stock, reservation: Some(held) }.tell(tx).await?;
            told += 1;
        }
        Ok(told)
    }
}

#[async_trait]
impl Inventory for Local {
    async fn reserve(&self, tx: &mut Connection, order_id: i64, lines: &[Line]) -> Result<(), Problem> {
        writer::hold(tx, "inventory").await?;
        let before = repository::reservations(tx, order_id).await?;
        if before.iter().any(|before| before.state == Outcome::Released.text()) {
            return Err(Problem::conflict("the reservation was taken back"));
        }
        if !before.is_empty() {
            return Ok(());
        }
        for (place, &line) in lines.iter().enumerate() {
            let field = || format!("items[{place}].quantity");
            if line.quantity < 1 {
                return Err(Problem::invalid(field(), "must be 1 or more"));
            }
            let stock = repository::take(tx, line).await?;
            let stock = stock.ok_or_else(|| Problem::conflict("not enough tickets left").at(field()))?;
            let Line { ticket_id, quantity } = line;
            let held = Reservation { order_id, ticket_id, quantity, state: HELD.to_owned() };
            repository::store(tx, &held).await?;
            Changed { stock, reservation: Some(held) }.tell(tx).await?;
        }
        Ok(())
    }

    async fn undo(&self, _order_id: i64) -> Result<(), Problem> {
        Ok(())
    }
}
