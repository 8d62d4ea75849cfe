//! Who writes a module's rows: one process at a time, and it can change while requests run.
//!
//! Both the monolith and the service that is taken out of it can do the module's work, each on its own database. One is
//! the writer of record; the other keeps a replica by events and passes on what would write. Handing over loses
//! nothing, in either direction:
//!
//! 1. The new writer asks the old one to give. That waits for the transactions in flight, and from then on the old one
//!    passes every request on. Its answer is a fingerprint of its rows.
//! 2. Events arrive until the new writer's rows have the same fingerprint. Requests passed on wait meanwhile.
//! 3. It continues the counters, acts on what was left over, and writes.
//!
//! Nothing that has an event, that is. The views of a ticket have none of their own, and no fingerprint has them: looks since
//! the ticket's last event, or the last replay, stay behind.
//!
//! | state | unsafe requests | safe requests |
//! |---|---|---|
//! | `here` | answered | answered |
//! | `replica`: never wrote | passed on | answered from the replica |
//! | `given`: wrote before | passed on | passed on; answered from the replica when the other side is down |
//! | `taking` | wait | wait |

mod fingerprint;
mod gate;
mod routes;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

pub(crate) use self::routes::routes;
pub use self::{
    fingerprint::Fingerprint,
    gate::{Gate, PASSED_ON, gate},
};
use crate::{
    database::{Connection, Database},
    inbox::Module,
    problem::Problem,
    query, scalar,
    service::{SOON, internal},
};

/// How long the rows may take to become the same; requests that wait meanwhile wait longer.
const CATCH_UP: Duration = Duration::from_secs(8);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A module whose writer can change.
#[derive(Clone, Copy, Debug)]
pub struct Owned {
    /// Its name, the same on both sides.
    pub name: &'static str,
    /// Queries of one text column: the rows as both sides must have them.
    pub fingerprint: &'static [&'static str],
    /// Counters to continue, each with a query for the highest number given so far.
    pub counters: &'static [(&'static str, &'static str)],
}

/// Where a module's rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// By this process.
    Here,
    /// By the other side; this process never did.
    Replica,
    /// By the other side; this process did before.
    Given,
    /// Being handed over to this process.
    Taking,
}

/// The modules of this process and who is on the other side of each.
#[derive(Clone)]
pub struct Writers {
    pub(crate) database: Database,
    pub(crate) client: Client,
    module: Arc<dyn Module>,
    owned: &'static [Owned],
    other: Arc<BTreeMap<&'static str, Url>>,
    takes: Arc<Mutex<()>>,
}

/// Makes sure, for the length of a transaction, that this process writes the module. It cannot be given away meanwhile:
/// the row is held.
pub async fn hold(connection: &mut Connection, module: &str) -> Result<(), Problem> {
    let held = query!("UPDATE writers SET state = state WHERE module = $1 AND state = 'here'", module);
    if held.execute(connection).await?.rows_affected() == 1 { Ok(()) } else { Err(Problem::elsewhere()) }
}

/// Whether this process writes the module. The answer holds for the transaction: the row is held, so that no taking over
/// happens between a fact and the question whether to act on it. Ask first: requests hold this row before any other.
pub async fn is_here(connection: &mut Connection, module: &str) -> Result<bool, Problem> {
    let row = scalar!("UPDATE writers SET state = state WHERE module = $1 RETURNING state", module);
    let state: Option<String> = row.fetch_optional(connection).await?;
    Ok(state.is_some_and(|state| State::of(&state) == State::Here))
}

impl Writers {
    /// `other` says where the other side of each module is; a module without one is never handed over.
    pub fn new(
        (database, client): (Database, Client),
        module: Arc<dyn Module>,
        owned: &'static [Owned],
        other: BTreeMap<&'static str, Url>,
    ) -> Self {
        Self { database, client, module, owned, other: Arc::new(other), takes: Arc::default() }
    }

    /// Writes down who begins: the monolith as the writer of everything, a service as a replica. A process that ended
    /// while taking does not write: the other side may have given, or not. Taking again, on either side, settles it.
    pub async fn begin(&self, state: State) -> sqlx::Result<()> {
        for module in self.owned {
            self.turn(module.name, State::Taking, State::Given).await?;
            query!(
                "INSERT INTO writers (module, state) VALUES ($1, $2) ON CONFLICT (module) DO NOTHING",
                module.name,
                state.text()
            )
            .execute(&self.database.write)
            .await?;
        }
        Ok(())
    }

    /// Who writes a module now.
    pub async fn state(&self, module: &str) -> Result<State, Problem> {
        let state: String = scalar!("SELECT state FROM writers WHERE module = $1", module)
            .fetch_one(&self.database.read)
            .await?;
        Ok(State::of(&state))
    }

    /// Where the other side of a module is.
    pub fn other(&self, module: &str) -> Result<&Url, Problem> {
        self.other.get(module).ok_or_else(|| Problem::unavailable(format!("nobody else knows {module}")))
    }

    fn owned(&self, name: &str) -> Result<&'static Owned, Problem> {
        self.owned.iter().find(|owned| owned.name == name).ok_or_else(|| Problem::not_found("module"))
    }

    /// Takes a module over from the other side. One at a time: a second one that fails would have the other side keep
    /// what the first one has taken.
    pub(crate) async fn take(&self, name: &str) -> Result<(), Problem> {
        let owned = self.owned(name)?;
        let _turn = self.takes.lock().await;
        let before = self.state(name).await?;
        if before == State::Here {
            return Ok(());
        }
        // Another process on this database may take it, too.
        if before == State::Taking || !self.turn(name, before, State::Taking).await? {
            return Err(Problem::conflict(format!("{name} is being taken over")));
        }
        let taken = async {
            let theirs: Vec<Fingerprint> = self.ask_to(name, "give").await?;
            self.catch_up(owned, &theirs).await?;
            self.become_writer(owned, State::Taking).await
        }
        .await;
        let Err(problem) = taken else { return Ok(()) };
        // It may have been committed all the same: then there is one writer, and the other side must not keep it.
        if !self.turn(name, State::Taking, before).await? && self.state(name).await? == State::Here {
            return Ok(());
        }
        // Nobody would write otherwise. When it cannot be reached it still says `given`; taking again mends that.
        if let Err(unkept) = self.ask_to::<Vec<Fingerprint>>(name, "keep").await {
            tracing::error!("nobody may write {name} now, take it again: {unkept}");
        }
        Err(problem)
    }

    async fn ask_to<T: serde::de::DeserializeOwned>(&self, name: &str, act: &str) -> Result<T, Problem> {
        let other = self.other(name)?;
        let address = format!("{}/internal/writers/{name}/{act}", other.as_str().trim_end_matches('/'));
        let answer = internal(self.client.post(address)).timeout(SOON).send().await;
        let answer = match answer.and_then(reqwest::Response::error_for_status) {
            Ok(answer) => answer.json().await,
            Err(error) => Err(error),
        };
        answer.map_err(|error| Problem::unavailable(format!("{name} at {other} does not {act}: {error}")))
    }

    async fn catch_up(&self, owned: &Owned, theirs: &[Fingerprint]) -> Result<(), Problem> {
        let since = tokio::time::Instant::now();
        loop {
            let ours = fingerprint::of(&mut *self.database.read.acquire().await?, owned).await?;
            if ours == theirs {
                return Ok(());
            }
            if since.elapsed() > CATCH_UP {
                let told = format!("the rows of {} differ: {ours:?} here, {theirs:?} there", owned.name);
                return Err(Problem::conflict(told));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Continues the counters and acts on what was left over, if the state is still `from`.
    async fn become_writer(&self, owned: &Owned, from: State) -> Result<(), Problem> {
        let mut tx = self.database.begin().await?;
        if !turn(&mut tx, owned.name, from, State::Here).await? {
            return Err(Problem::conflict(format!("{} is no more {}", owned.name, from.text())));
        }
        for (counter, highest) in owned.counters {
            let highest: i64 = scalar!(*highest).fetch_one(&mut *tx).await?;
            query!("UPDATE counters SET value = $1 WHERE name = $2", highest, counter)
                .execute(&mut *tx)
                .await?;
        }
        self.module.take_over(&mut tx, owned.name).await?;
        Ok(tx.commit().await?)
    }

    /// Stops writing a module: the fingerprint of its rows, which change only by events from now on.
    pub(crate) async fn give(&self, name: &str) -> Result<Vec<Fingerprint>, Problem> {
        let owned = self.owned(name)?;
        let mut tx = self.database.begin().await?;
        turn(&mut tx, name, State::Here, State::Given).await?;
        let state: String =
            scalar!("SELECT state FROM writers WHERE module = $1", name).fetch_one(&mut *tx).await?;
        if State::of(&state) != State::Given {
            return Err(Problem::conflict(format!("{name} is not written here: {state}")));
        }
        let fingerprint = fingerprint::of(&mut tx, owned).await?;
        tx.commit().await?;
        Ok(fingerprint)
    }

    /// Takes back what was given to somebody who could not take it; facts may have arrived since.
    pub(crate) async fn keep(&self, name: &str) -> Result<Vec<Fingerprint>, Problem> {
        let owned = self.owned(name)?;
        if self.state(name).await? == State::Given {
            self.become_writer(owned, State::Given).await?;
        }
        Ok(Vec::new())
    }

    pub(crate) async fn fingerprint(&self, name: &str) -> Result<Vec<Fingerprint>, Problem> {
        let owned = self.owned(name)?;
        Ok(fingerprint::of(&mut *self.database.read.acquire().await?, owned).await?)
    }

    /// Publishes one event per row, so that a replica that begins empty gets everything.
    pub(crate) async fn replay(&self, name: &str) -> Result<i64, Problem> {
        const AT_ONCE: i64 = 200; // others want to write in between
        self.owned(name)?;
        let mut offset = 0;
        loop {
            let mut tx = self.database.begin().await?;
            let rows = self.module.replay(&mut tx, name, offset, AT_ONCE).await?;
            tx.commit().await?;
            offset += rows;
            if rows < AT_ONCE {
                return Ok(offset);
            }
        }
    }

    async fn turn(&self, name: &str, from: State, to: State) -> sqlx::Result<bool> {
        turn(&mut *self.database.write.acquire().await?, name, from, to).await
    }
}

/// Changes the state, if it is still `from`.
async fn turn(connection: &mut Connection, name: &str, from: State, to: State) -> sqlx::Result<bool> {
    let sql = "UPDATE writers SET state = $1 WHERE module = $2 AND state = $3";
    let turned = query!(sql, to.text(), name, from.text()).execute(connection).await?;
    Ok(turned.rows_affected() == 1)
}

impl State {
    fn text(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Replica => "replica",
            Self::Given => "given",
            Self::Taking => "taking",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "here" => Self::Here,
            "given" => Self::Given,
            "taking" => Self::Taking,
            _ => Self::Replica,
        }
    }
}
