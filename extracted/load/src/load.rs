//! Drives the load and checks the books.

use std::{
    io::{self, Write},
    iter::repeat_n,
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use clap::{ValueEnum, value_parser};
use jiff::Timestamp;
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{audit::audit, client::Connection, ledger::Ledger, report::Report, visit::Kind};

const SECOND: Duration = Duration::from_secs(1);
/// After a failure a connection waits, so that an outage is not hammered.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at books that are not right yet.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Load for the Box Office with a ledger of every acknowledged write
///
/// Needs a shop started with `--seed --demo-sessions`. SIGINT and SIGTERM end the load early; the books
/// are checked all the same. Exit code 1 when a request failed or the books are wrong.
#[derive(Clone, Debug, clap::Parser)]
#[command(version, args_override_self = true)]
pub struct Plan {
    /// The shop, or the proxy in front of it
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// The first virtual user: loads at the same time must not share users
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=500))]
    pub(crate) first_user: u32,
    /// Virtual users, up to number 500; each has its own session
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=500))]
    pub(crate) users: u32,
    /// Connections, each used by one virtual user at a time
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u32).range(1..=1000))]
    pub(crate) connections: u32,
    /// How long, as `20s` or `1m 30s`; `0s` only checks the databases
    #[arg(long, default_value = "20s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Ends earlier, after so many visits; most are one request
    #[arg(long)]
    pub(crate) visits: Option<u32>,
    /// Requests per second over all connections; as fast as answers come when absent
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// The same seed makes the same choices
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// A line per second on stderr
    #[arg(long)]
    pub(crate) progress: bool,
    /// Only these kinds of visits, as `browse,order,cancel`; all when absent
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) only: Vec<Kind>,
    /// How long the shop gives an order to be paid; each order must say so
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) pay_within: Option<Duration>,
    /// How long news may take from one part of the shop to another
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub(crate) soon: Duration,
    /// What the payment provider signs with
    #[arg(long, value_name = "SECRET", env = "WEBHOOK_SECRET", default_value = "demo-secret")]
    pub(crate) webhook_secret: String,
    /// Also look into this database of the shop, a SQLite file or a `postgres://` URL: gapless numbers, nothing
    /// oversold, right sums, one payment per order. May be given several times
    #[arg(long)]
    pub(crate) database: Vec<String>,
    /// Instead of a load: a new ticket of this capacity, ordered by all users at once
    #[arg(long, value_name = "CAPACITY", value_parser = value_parser!(u32).range(1..=1000))]
    pub rush: Option<u32>,
    /// Instead of a load: ask this address, too, for everything the API has, and say where the answers differ
    #[arg(long, value_name = "URL", conflicts_with = "rush")]
    pub compare: Option<String>,
}

/// One connection, and the users that take turns on it.
pub(crate) struct Worker {
    pub(crate) connection: Connection,
    pub(crate) plan: Arc<Plan>,
    report: Arc<Mutex<Report>>,
    pub(crate) over: CancellationToken,
    pub(crate) random: fastrand::Rng,
    pub(crate) pace: Option<Interval>,
    /// What is being done, and by whom.
    pub(crate) kind: Kind,
    pub(crate) ledger: Ledger,
}

/// Drives the load until its time is over or `stop` is cancelled, then checks the books.
pub async fn run(plan: Plan, stop: CancellationToken) -> Result<Report, String> {
    let (report, start) = (Arc::new(Mutex::new(Report::default())), Instant::now());
    let (mut books, plan, over) = (Vec::new(), Arc::new(plan), stop.child_token());
    if !plan.duration.is_zero() {
        // Nothing is counted unless the shop knows everybody.
        Connection::to(&plan.url)?.knows(plan.first_user + plan.users - 1).await?;
        let mut workers = JoinSet::new();
        let connections = plan.connections.min(plan.users);
        for first in plan.first_user..plan.first_user + connections {
            let users = (first..plan.first_user + plan.users).step_by(connections as usize);
            let worker = Worker {
                connection: Connection::to(&plan.url)?,
                plan: plan.clone(),
                report: report.clone(),
                over: over.clone(),
                random: fastrand::Rng::with_seed(plan.seed.wrapping_mul(1_000_003) ^ u64::from(first)),
                pace: plan.rate.map(|rate| pace(rate, connections)),
                kind: Kind::Browse,
                ledger: Ledger::default(),
            };
            workers.spawn(worker.work(users.collect()));
        }
        let clock = tokio::spawn(clock(plan.clone(), report.clone(), over));
        while let Some(ended) = workers.join_next().await {
            match ended.map_err(|error| error.to_string()).flatten() {
                Ok(ledgers) => books.extend(ledgers),
                Err(error) => locked(&report).fail(error),
            }
        }
        clock.abort();
    }
    let mut report = take(&mut *locked(&report));
    report.took = start.elapsed();
    report.add_books(&books);
    for database in &plan.database {
        report.add_audit(audit(database, plan.soon).await.map_err(|error| format!("database: {error}"))?);
    }
    Ok(report)
}

/// Each connection's share of the rate.
fn pace(rate: u32, connections: u32) -> Interval {
    let mut ticks = interval(SECOND * connections / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Ends the load in time, and tells how it goes.
async fn clock(plan: Arc<Plan>, report: Arc<Mutex<Report>>, over: CancellationToken) {
    let telling = async {
        let (mut ticks, mut before) = (interval(SECOND), 0);
        for second in 0.. {
            ticks.tick().await;
            let Report { requests, failed, .. } = *locked(&report);
            if plan.progress && second > 0 {
                // A closed stderr is no reason to stop the load.
                let _ =
                    writeln!(io::stderr(), "{second:>4} s  {:>6} req/s  {failed} failed", requests - before);
            }
            before = requests;
        }
    };
    let _ = timeout(plan.duration, over.run_until_cancelled(telling)).await;
    over.cancel();
}

fn locked(report: &Mutex<Report>) -> MutexGuard<'_, Report> {
    report.lock().unwrap_or_else(PoisonError::into_inner)
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse().ok().and_then(|parsed: jiff::SignedDuration| parsed.try_into().ok());
    parsed.ok_or_else(|| format!("found `{text}`, expected a duration such as `20s`"))
}

impl Worker {
    /// Plays its users in turn until the load is over, then checks their books.
    async fn work(mut self, users: Vec<u32>) -> Result<Vec<Ledger>, String> {
        let stamp = format!("{}-{}", self.plan.seed, Timestamp::now().as_millisecond());
        let mut ledgers = Vec::with_capacity(users.len());
        for user in users {
            ledgers.push(Ledger::open(&self.connection, user, stamp.clone()).await?);
        }
        let wanted = |kind: &&Kind| self.plan.only.is_empty() || self.plan.only.contains(kind);
        let kinds = Kind::value_variants().iter().filter(wanted);
        let mix: Vec<_> = kinds.flat_map(|kind| repeat_n(*kind, *kind as usize)).collect();
        for _ in 0..self.plan.visits.map_or(u32::MAX, |all| all.div_ceil(self.plan.connections)) {
            if self.over.is_cancelled() {
                break;
            }
            let failed = self.report().failed;
            self.kind = mix[self.random.usize(..mix.len())];
            self.ledger = ledgers.swap_remove(self.random.usize(..ledgers.len()));
            self.visit().await;
            ledgers.push(take(&mut self.ledger));
            if self.report().failed > failed {
                sleep(PAUSE).await;
            }
        }
        // What was acknowledged last may still be on its way to the other parts of the shop.
        let deadline = Instant::now() + self.plan.soon;
        for ledger in &mut ledgers {
            loop {
                let found = ledger.check(&self.connection).await.unwrap_or_else(|error| vec![error]);
                if found.is_empty() || Instant::now() > deadline {
                    self.report().problems.extend(found);
                    break;
                }
                sleep(LOOK_AGAIN).await;
            }
        }
        Ok(ledgers)
    }

    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        locked(&self.report)
    }
}
