//! Events that arrive: each handled once, whatever the bus repeats, loses or mixes up.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    database::{Connection, Database},
    event::{CAUSE, Event},
    problem::Problem,
    query, scalar,
};

/// After so many tries an event is put aside, so that those behind it can pass.
const TRIES_MAX: i64 = 10;

/// What a program does with events, and what it does as the writer of a module.
#[async_trait]
pub trait Module: Send + Sync + 'static {
    /// The types it listens to.
    fn listens(&self) -> &'static [&'static str];

    /// Handles one, in the transaction that also remembers having done so. Facts are stored by everyone; only the
    /// writer of record acts on them.
    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem>;

    /// Acts on facts that arrived while nobody, or somebody else, wrote `module`.
    async fn take_over(&self, _tx: &mut Connection, _module: &str) -> Result<(), Problem> {
        Ok(())
    }

    /// Publishes the rows `offset..offset + limit` of `module`, each as one event: how many there were.
    async fn replay(
        &self,
        tx: &mut Connection,
        module: &str,
        offset: i64,
        limit: i64,
    ) -> Result<i64, Problem>;
}

/// The receiving end.
#[derive(Clone)]
pub struct Inbox {
    database: Database,
    module: Arc<dyn Module>,
}

/// What the bus is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Handled, known already, of no interest, or put aside: do not send it again.
    Done,
    /// Not handled: send it again.
    Again,
}

impl Inbox {
    /// An inbox in `database` for what `module` listens to.
    pub fn new(database: Database, module: Arc<dyn Module>) -> Self {
        Self { database, module }
    }

    pub(crate) fn listens(&self) -> &'static [&'static str] {
        self.module.listens()
    }

    /// Takes one event as it came.
    pub async fn receive(&self, raw: &[u8]) -> Receipt {
        let event: Event = match serde_json::from_slice(raw) {
            Ok(event) => event,
            Err(error) => return self.put_aside(&format!("no event: {error}"), raw, None).await,
        };
        if !self.listens().contains(&event.kind.as_str()) {
            return Receipt::Done;
        }
        let cause = (event.correlation_id, event.id);
        match CAUSE.scope(cause, self.handle_alone(&event)).await {
            Ok(()) => Receipt::Done,
            Err(problem) => self.failed(&event, raw, &problem).await,
        }
    }

    /// Takes several in their order: how many are dealt with. In one transaction when all goes well, which is many times
    /// faster; else one by one.
    pub async fn receive_all(&self, raw: &[&[u8]]) -> usize {
        let parsed: Result<Vec<Event>, _> = raw.iter().map(|raw| serde_json::from_slice(raw)).collect();
        if let Ok(events) = parsed
            && self.handle_together(&events).await.is_ok()
        {
            return raw.len();
        }
        for (place, raw) in raw.iter().enumerate() {
            if self.receive(raw).await == Receipt::Again {
                return place;
            }
        }
        raw.len()
    }

    async fn handle_together(&self, events: &[Event]) -> Result<(), Problem> {
        let heard: Vec<_> =
            events.iter().filter(|event| self.listens().contains(&event.kind.as_str())).collect();
        if heard.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.begin().await?;
        for event in heard {
            CAUSE.scope((event.correlation_id, event.id), self.handle_once(&mut tx, event)).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn handle_alone(&self, event: &Event) -> Result<(), Problem> {
        let mut tx = self.database.begin().await?;
        self.handle_once(&mut tx, event).await?;
        Ok(tx.commit().await?)
    }

    async fn handle_once(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let id = event.id.to_string();
        let new = query!("INSERT INTO inbox (id) VALUES ($1) ON CONFLICT (id) DO NOTHING", id);
        if new.execute(&mut *tx).await?.rows_affected() == 1 {
            self.module.handle(tx, event).await?;
        }
        Ok(())
    }

    async fn failed(&self, event: &Event, raw: &[u8], problem: &Problem) -> Receipt {
        tracing::warn!("{} {} was not handled: {problem}", event.kind, event.id);
        let tries = scalar!(
            "INSERT INTO inbox_tries (id, tries) VALUES ($1, 1)
             ON CONFLICT (id) DO UPDATE SET tries = inbox_tries.tries + 1 RETURNING tries",
            event.id.to_string()
        );
        let tries: sqlx::Result<i64> = tries.fetch_one(&self.database.write).await;
        match tries {
            Ok(tries) if tries >= TRIES_MAX => {
                self.put_aside(&problem.to_string(), raw, Some(event.id.to_string())).await
            }
            _ => Receipt::Again,
        }
    }

    async fn put_aside(&self, reason: &str, raw: &[u8], id: Option<String>) -> Receipt {
        let body = String::from_utf8_lossy(raw).into_owned();
        let id = id.unwrap_or_else(|| hex::encode(ring::digest::digest(&ring::digest::SHA256, raw)));
        let done = query!(
            "INSERT INTO dead_letters (id, body, reason) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
            &id,
            body,
            reason
        );
        match done.execute(&self.database.write).await {
            Ok(_) => {
                tracing::error!("event {id} is put aside: {reason}");
                Receipt::Done
            }
            Err(_) => Receipt::Again,
        }
    }
}
