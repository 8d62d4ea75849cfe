//! Drives the load and checks the books.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{ClientError, Connection},
    ledger::Ledger,
    report::Report,
    tally::{Counts, Tally},
    visit::Visit,
};

/// After a failure a connection waits, so that an outage is not hammered.
const PAUSE: Duration = Duration::from_millis(20);

/// What to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The shop, or the proxy in front of it.
    pub url: String,
    /// Virtual users, 1 to 500.
    pub users: u32,
    /// Connections, each used by one user at a time.
    pub connections: u32,
    /// How long.
    pub duration: Duration,
    /// Requests per second over all connections; as fast as answers come when absent.
    pub rate: Option<u32>,
    /// The same seed makes the same choices.
    pub seed: u64,
    /// A line per second on stderr.
    pub progress: bool,
}

/// Drives the load until its time is over or `stop` is cancelled, then checks the books.
pub async fn run(plan: Plan, stop: CancellationToken) -> Result<Report, ClientError> {
    ready(&Connection::to(&plan.url)?).await?;
    let tally = Arc::new(Tally::new());
    let over = stop.child_token();
    let mut workers = JoinSet::new();
    let connections = plan.connections.min(plan.users);
    for first in 1..=connections {
        let users = (first..=plan.users).step_by(connections as usize).collect();
        let worker =
            Worker { connection: Connection::to(&plan.url)?, tally: tally.clone(), over: over.clone() };
        let pace = plan.rate.map(|rate| pace(rate, connections));
        let random =
            fastrand::Rng::with_seed(plan.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(first)));
        workers.spawn(worker.work(users, random, pace));
    }
    let start = Instant::now();
    let clock = tokio::spawn(clock(plan, tally.clone(), over));
    let (ledgers, problems) = books(workers, &tally).await;
    clock.abort();
    let counts = tally.counts();
    Ok(Report::new(&counts, start.elapsed(), &ledgers, problems))
}

/// The shop must answer and know the users, before anything is counted.
async fn ready(connection: &Connection) -> Result<(), ClientError> {
    let answer = connection.send(1, Method::GET, "/api/users/currentuser", None).await;
    let answer = answer.map_err(ClientError::Unreachable)?;
    match &answer.body["currentUser"] {
        Value::Object(_) => Ok(()),
        _ => Err(ClientError::NoSessions(format!("{} {}", answer.status, answer.body))),
    }
}

/// Each connection's share of the rate.
fn pace(rate: u32, connections: u32) -> Interval {
    let mut ticks = interval(Duration::from_secs(1) * connections / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Ends the load in time, and tells how it goes.
async fn clock(plan: Plan, tally: Arc<Tally>, over: CancellationToken) {
    let mut ticks = interval(Duration::from_secs(1));
    let mut before = tally.counts();
    let end = tokio::time::sleep(plan.duration);
    tokio::pin!(end);
    ticks.tick().await;
    let mut second = 0;
    loop {
        tokio::select! {
            () = &mut end => break,
            () = over.cancelled() => break,
            _ = ticks.tick() => {}
        }
        second += 1;
        let now = tally.counts();
        if plan.progress {
            // A closed stderr is no reason to stop the load.
            let _ = writeln!(io::stderr(), "{}", progress(second, &before, &now));
        }
        before = now;
    }
    over.cancel();
}

fn progress(second: u32, before: &Counts, now: &Counts) -> String {
    let answers: u64 = now.order_answers.values().sum::<u64>() - before.order_answers.values().sum::<u64>();
    let mut line =
        format!("{second:>4} s  {:>6} req/s  {} failed", now.requests - before.requests, now.failed);
    for (server, count) in &now.order_answers {
        let new = count - before.order_answers.get(server).unwrap_or(&0);
        let percent = (new * 100).checked_div(answers).unwrap_or(0);
        line = format!("{line}  {server} {percent}% of orders");
    }
    line
}

/// Waits for the workers; gathers their ledgers and what the checks found.
async fn books(
    mut workers: JoinSet<Result<Vec<Checked>, String>>,
    tally: &Tally,
) -> (Vec<Ledger>, Vec<String>) {
    let (mut ledgers, mut problems) = (Vec::new(), Vec::new());
    while let Some(ended) = workers.join_next().await {
        match ended.map_err(|error| error.to_string()).and_then(|result| result) {
            Ok(books) => {
                for (ledger, found) in books {
                    ledgers.push(ledger);
                    problems.extend(found);
                }
            }
            Err(error) => tally.fail(error),
        }
    }
    (ledgers, problems)
}

/// A closed ledger, and where the shop differs from it.
type Checked = (Ledger, Vec<String>);

struct Worker {
    connection: Connection,
    tally: Arc<Tally>,
    over: CancellationToken,
}

impl Worker {
    /// Plays its users in turn until the load is over, then checks their books.
    async fn work(
        self,
        users: Vec<u32>,
        mut random: fastrand::Rng,
        mut pace: Option<Interval>,
    ) -> Result<Vec<Checked>, String> {
        let mut ledgers = Vec::with_capacity(users.len());
        for user in users {
            ledgers.push(Ledger::open(&self.connection, user).await?);
        }
        while !self.over.is_cancelled() {
            if let Some(pace) = &mut pace {
                tokio::select! { _ = pace.tick() => {}, () = self.over.cancelled() => break }
            }
            let turn = random.usize(0..ledgers.len());
            let failed = self.tally.failed();
            let ledger = &mut ledgers[turn];
            Visit { connection: &self.connection, tally: &self.tally, ledger, random: &mut random }
                .step()
                .await;
            if self.tally.failed() > failed {
                tokio::time::sleep(PAUSE).await;
            }
        }
        let mut checked = Vec::with_capacity(ledgers.len());
        for ledger in ledgers {
            let found = ledger.check(&self.connection).await?;
            checked.push((ledger, found));
        }
        Ok(checked)
    }
}
