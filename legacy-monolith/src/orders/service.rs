//! The rules of ordering.

use std::{collections::HashSet, sync::Arc};

use boxoffice_kit::{Connection, Database, Problem, async_trait, identity::User, next_id, publish, writer};
use jiff::{SignedDuration, Timestamp};

use super::{Item, LIMIT_DEFAULT, Line, Listing, Order, Orders, Placed, Quote, Wanted, fee, repository};
use crate::{
    catalog::{self, Catalog},
    inventory::{self, Inventory, Outcome},
    notifications::{self, Note},
    seam::Seam,
};

const LINES_MAX: usize = 20;
const QUANTITY_MAX: i64 = 10;
const LIMIT_MAX: i64 = 100;

/// Orders in this process and this database.
pub(crate) struct Local {
    pub(crate) database: Database,
    pub(crate) catalog: Arc<catalog::Local>,
    pub(crate) inventory: Seam<inventory::Local, dyn Inventory>,
    pub(crate) notifications: Arc<notifications::Local>,
    /// How long an unpaid order holds its tickets.
    pub(crate) pay_within: SignedDuration,
}

impl Local {
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

    /// What the lines would cost, nothing reserved.
    pub(crate) async fn quote(&self, lines: Vec<Line>) -> Result<Quote, Problem> {
        let lines = checked(lines)?;
        let mut connection = self.database.read.acquire().await?;
        let items = self.priced(&mut connection, &lines).await?;
        Ok(Quote { sums: fee::sums(&items), items })
    }

    /// One transaction over five modules: what is held and what it costs, the number, the order, what is told of it.
    async fn place(&self, buyer: &User, id: i64, lines: &[Line], is_held: bool) -> Result<Order, Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "orders").await?;
        let items = self.priced(&mut tx, lines).await?;
        if !is_held {
            self.inventory.local.reserve(&mut tx, id, lines).await?;
        }
        let now = Timestamp::now();
        let until = now.checked_add(self.pay_within).map_err(|error| Problem::internal(&error))?;
        let order = Order {
            id,
            number: next_id(&mut tx, "order_numbers").await?,
            status: "awaiting_payment".to_owned(),
            sums: fee::sums(&items),
            items,
            version: 1,
            created_at: moment(now),
            expires_at: moment(until),
        };
        let placed = Placed { user_id: buyer.id, order };
        if !repository::upsert(&mut tx, &placed).await? {
            return Err(Problem::internal(&format_args!("there is an order {id} already")));
        }
        self.note(&mut tx, &placed).await?;
        tell(&mut tx, &placed).await?;
        tx.commit().await?;
        Ok(placed.order)
    }

    /// Cancels and gives the tickets back. Cancelling twice is the same as once.
    pub(crate) async fn cancel(&self, buyer: &User, id: i64) -> Result<Order, Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "orders").await?;
        let before =
            repository::get(&mut tx, id).await?.ok_or_else(|| Problem::not_found("order"))?.of(buyer)?;
        let after = match before.status.as_str() {
            "complete" => return Err(Problem::conflict("a complete order cannot be cancelled")),
            "cancelled" => before,
            _ => self.close(&mut tx, id, "cancelled").await?.map_or(before, |placed| placed.order),
        };
        tx.commit().await?;
        Ok(after)
    }

    /// Ends an order that still waits: what it became, `None` when it waits no more.
    async fn close(&self, tx: &mut Connection, id: i64, status: &str) -> Result<Option<Placed>, Problem> {
        if !repository::close(tx, id, status).await? {
            return Ok(None);
        }
        let placed = repository::get(tx, id).await?.ok_or_else(|| Problem::not_found("order"))?;
        self.settle(tx, &placed).await?;
        self.note(tx, &placed).await?;
        tell(tx, &placed).await?;
        Ok(Some(placed))
    }

    /// Sells or gives back what the order holds, where the stock is written here; elsewhere the order's event does it.
    async fn settle(&self, tx: &mut Connection, Placed { order, .. }: &Placed) -> Result<(), Problem> {
        let outcome = match order.status.as_str() {
            "complete" => Outcome::Sold,
            "cancelled" => Outcome::Released,
            _ => return Ok(()),
        };
        if writer::is_here(tx, "inventory").await? {
            self.inventory.local.settle(tx, order.id, outcome).await?;
        }
        Ok(())
    }

    async fn note(&self, tx: &mut Connection, Placed { user_id, order }: &Placed) -> Result<(), Problem> {
        let (what, number) = (what(order), order.number);
        let cents = order.sums.total_cents;
        let body = match what {
            "completed" => "Thank you. Your tickets are ready.".to_owned(),
            "cancelled" => "Your tickets were given back.".to_owned(),
            _ => format!("Please pay {}.{:02} before {}.", cents / 100, cents % 100, order.expires_at),
        };
        let id = format!("order-{}-{what}", order.id);
        let (kind, subject) = (format!("order.{what}"), format!("Order {number} is {what}"));
        self.notifications.note(tx, Note { id, user_id: *user_id, kind, subject, body }).await
    }

    /// Completes the order of a payment; where orders are written. `false` when the order is cancelled: then the money
    /// is asked back.
    pub(crate) async fn paid(&self, tx: &mut Connection, id: i64) -> Result<bool, Problem> {
        if self.close(tx, id, "complete").await?.is_some() {
            return Ok(true);
        }
        let placed = repository::get(tx, id).await?.ok_or_else(|| Problem::not_found("order"))?;
        let complete = placed.order.status == "complete";
        if !complete {
            publish(tx, "order.refund_requested", (format!("order-{id}"), placed.order.version), &placed)
                .await?;
        }
        Ok(complete)
    }

    /// Cancels an order that was not paid in time; where orders are written.
    pub(crate) async fn expire(&self, tx: &mut Connection, id: i64) -> Result<(), Problem> {
        self.close(tx, id, "cancelled").await.map(drop)
    }

    /// Orders whose time to be paid is over.
    pub(crate) async fn overdue(&self, limit: i64) -> Result<Vec<i64>, Problem> {
        let mut connection = self.database.read.acquire().await?;
        Ok(repository::overdue(&mut connection, &moment(Timestamp::now()), limit).await?)
    }

    /// The ids of all orders of a status, for whoever knows what was paid.
    pub(crate) async fn ids(&self, tx: &mut Connection, status: &str) -> Result<HashSet<i64>, Problem> {
        Ok(repository::ids(tx, status).await?.into_iter().collect())
    }

    /// Anybody's order, for the other programs of the shop.
    pub(crate) async fn placed(&self, id: i64) -> Result<Placed, Problem> {
        let placed = repository::get(&mut *self.database.read.acquire().await?, id).await?;
        placed.ok_or_else(|| Problem::not_found("order"))
    }

    /// Keeps what another program tells of an order.
    pub(crate) async fn heard(&self, tx: &mut Connection, placed: &Placed) -> Result<(), Problem> {
        repository::upsert(tx, placed).await?;
        self.note(tx, placed).await?;
        self.settle(tx, placed).await
    }

    pub(crate) async fn replay(&self, tx: &mut Connection, offset: i64, limit: i64) -> Result<i64, Problem> {
        let all = repository::all(tx, offset, limit).await?;
        for placed in &all {
            tell(tx, placed).await?;
        }
        Ok(i64::try_from(all.len()).unwrap_or(limit))
    }
}

#[async_trait]
impl Orders for Local {
    async fn create(&self, buyer: &User, lines: Vec<Line>) -> Result<Order, Problem> {
        // What is wrong is refused before anything is taken.
        self.quote(lines.clone()).await?;
        let id = next_id(&mut *self.database.write.acquire().await?, "orders").await?;
        let Some(stock) = self.inventory.elsewhere().await? else {
            return self.place(buyer, id, &lines, false).await;
        };
        // Another program cannot join the transaction: it is asked before, and told when the order came to nothing. Not of
        // its own refusal: it holds nothing then, and what is taken back is remembered against the next order of this id.
        let held = stock.reserve(&mut *self.database.read.acquire().await?, id, &lines).await;
        let is_refused = held.as_ref().is_err_and(Problem::is_callers);
        let placed = match held {
            Ok(()) => self.place(buyer, id, &lines, true).await,
            Err(problem) => Err(problem),
        };
        if placed.is_err()
            && !is_refused
            && let Err(problem) = stock.undo(id).await
        {
            tracing::warn!("what order {id} would have held is not taken back: {problem}");
        }
        placed
    }

    async fn list(&self, buyer: &User, wanted: Wanted) -> Result<Listing, Problem> {
        let page = wanted.page.unwrap_or(1).clamp(1, i64::from(i32::MAX));
        let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
        let mut connection = self.database.read.acquire().await?;
        let orders = repository::list(&mut connection, buyer.id, limit, (page - 1) * limit).await?;
        let total = repository::count(&mut connection, buyer.id).await?;
        Ok(Listing { orders: orders.into_iter().map(|placed| placed.order).collect(), page, limit, total })
    }

    async fn get(&self, buyer: &User, id: i64) -> Result<Order, Problem> {
        self.placed(id).await?.of(buyer)
    }
}

impl Placed {
    /// The order for its buyer; for anybody else there is none.
    fn of(self, buyer: &User) -> Result<Order, Problem> {
        if self.user_id == buyer.id { Ok(self.order) } else { Err(Problem::not_found("order")) }
    }
}

/// What has become of an order, as its event says.
fn what(order: &Order) -> &'static str {
    match order.status.as_str() {
        "complete" => "completed",
        "cancelled" => "cancelled",
        _ => "created",
    }
}

async fn tell(tx: &mut Connection, placed: &Placed) -> Result<(), Problem> {
    let aggregate = (format!("order-{}", placed.order.id), placed.order.version);
    publish(tx, &format!("order.{}", what(&placed.order)), aggregate, placed).await
}

/// Always of the same length, so that texts sort as the times they mean.
fn moment(time: Timestamp) -> String {
    format!("{time:.6}")
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
