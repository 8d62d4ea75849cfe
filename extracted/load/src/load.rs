//! Drives the load and checks the books.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use reqwest::Method;
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Ask, Connection, session_of},
    ledger::Ledger,
    report::{Counts, Report, Tally},
    visit::{Kind, Visit},
};

/// After a failure a connection waits, so that an outage is not hammered.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at books that are not right yet.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What to do.
#[derive(Clone, Debug, clap::Parser)]
#[command(args_override_self = true)]
pub struct Plan {
    /// The shop, or the proxy in front of it
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The first virtual user: loads at the same time must not share users
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub first_user: u32,
    /// Virtual users, up to number 500; each has its own session
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub users: u32,
    /// Connections, each used by one virtual user at a time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub connections: u32,
    /// How long, as `20s` or `1m 30s`; `0s` only checks the databases
    #[arg(long, default_value = "20s", value_parser = duration)]
    pub duration: Duration,
    /// Ends earlier, after so many visits; most are one request
    #[arg(long)]
    pub visits: Option<u32>,
    /// Requests per second over all connections; as fast as answers come when absent
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// The same seed makes the same choices
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A line per second on stderr
    #[arg(long)]
    pub progress: bool,
    /// Only these kinds of visits, as `browse,order,cancel`; all when absent
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub only: Vec<Kind>,
    /// How long the shop gives an order to be paid; each order must say so
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub pay_within: Option<Duration>,
    /// How long news may take from one part of the shop to another
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub soon: Duration,
    /// What the payment provider signs with
    #[arg(long, value_name = "SECRET", env = "WEBHOOK_SECRET", default_value = "demo-secret")]
    pub webhook_secret: String,
}

/// Drives the load until its time is over or `stop` is cancelled, then checks the books.
pub async fn run(plan: Plan, stop: CancellationToken) -> Result<Report, String> {
    let tally = Arc::new(Tally::new());
    if plan.duration.is_zero() {
        return Ok(Report::new(tally.lock().clone(), Duration::ZERO, &[], Vec::new()));
    }
    // Nothing is counted unless the shop knows everybody.
    ready(&Connection::to(&plan.url)?, plan.first_user + plan.users - 1).await?;
    let plan = Arc::new(plan);
    let over = stop.child_token();
    let mut workers = JoinSet::new();
    let connections = plan.connections.min(plan.users);
    for nth in 0..connections {
        let users = (plan.first_user + nth..plan.first_user + plan.users).step_by(connections as usize);
        let seed = plan.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(plan.first_user + nth));
        let worker = Worker {
            connection: Connection::to(&plan.url)?,
            plan: plan.clone(),
            tally: tally.clone(),
            over: over.clone(),
            random: fastrand::Rng::with_seed(seed),
            pace: plan.rate.map(|rate| pace(rate, connections)),
        };
        workers.spawn(worker.work(users.collect()));
    }
    let start = Instant::now();
    let clock = tokio::spawn(clock(plan, tally.clone(), over));
    let (mut ledgers, mut problems) = (Vec::new(), Vec::new());
    while let Some(ended) = workers.join_next().await {
        match ended.map_err(|error| error.to_string()).and_then(|result| result) {
            Ok(books) => books.into_iter().for_each(|(ledger, found)| {
                ledgers.push(ledger);
                problems.extend(found);
            }),
            Err(error) => tally.fail(error),
        }
    }
    clock.abort();
    Ok(Report::new(tally.lock().clone(), start.elapsed(), &ledgers, problems))
}

/// The shop must answer, and know that user.
pub(crate) async fn ready(connection: &Connection, user: u32) -> Result<(), String> {
    let ask = Ask::new(Method::GET, "/api/users/currentuser", session_of(user));
    let answer =
        connection.send(&ask).await.map_err(|error| format!("the shop cannot be reached: {error}"))?;
    let hint = "hint: start it with `boxoffice-monolith --seed --demo-sessions`; there are 500 users";
    let known = answer.body["currentUser"].is_object();
    known.then_some(()).ok_or_else(|| format!("the shop does not know user {user}: {}\n{hint}", answer.text))
}

/// Each connection's share of the rate.
fn pace(rate: u32, connections: u32) -> Interval {
    let mut ticks = interval(Duration::from_secs(1) * connections / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Ends the load in time, and tells how it goes.
async fn clock(plan: Arc<Plan>, tally: Arc<Tally>, over: CancellationToken) {
    let mut end = std::pin::pin!(sleep(plan.duration));
    let mut ticks = interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut before = tally.lock().clone();
    for second in 1.. {
        tokio::select! {
            () = &mut end => break,
            () = over.cancelled() => break,
            _ = ticks.tick() => {}
        }
        let now = tally.lock().clone();
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

fn duration(text: &str) -> Result<Duration, String> {
    let hint = || format!("found `{text}`, expected a duration such as `20s`");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| hint())?;
    Duration::try_from(parsed).map_err(|_| hint())
}

/// One connection, and the users that take turns on it.
struct Worker {
    connection: Connection,
    plan: Arc<Plan>,
    tally: Arc<Tally>,
    over: CancellationToken,
    random: fastrand::Rng,
    pace: Option<Interval>,
}

impl Worker {
    /// Plays its users in turn until the load is over, then checks their books.
    async fn work(mut self, users: Vec<u32>) -> Result<Vec<(Ledger, Vec<String>)>, String> {
        let stamp = format!("{}-{}", self.plan.seed, Timestamp::now().as_millisecond());
        let mut ledgers = Vec::with_capacity(users.len());
        for user in users {
            ledgers.push(Ledger::open(&self.connection, user, stamp.clone()).await?);
        }
        let mut visits = self.plan.visits.map_or(u32::MAX, |all| all.div_ceil(self.plan.connections));
        while visits > 0 && !self.over.is_cancelled() {
            visits -= 1;
            let failed = self.tally.lock().failed;
            let kind = self.kind();
            let Some(ledger) = self.random.choice(&mut ledgers) else { break };
            let mut visit = Visit {
                kind,
                connection: &self.connection,
                tally: &self.tally,
                plan: &self.plan,
                ledger,
                random: &mut self.random,
                pace: &mut self.pace,
                over: &self.over,
            };
            visit.go().await;
            if self.tally.lock().failed > failed {
                sleep(PAUSE).await;
            }
        }
        Ok(self.check(ledgers).await)
    }

    fn kind(&mut self) -> Kind {
        let wanted = |kind: &Kind| self.plan.only.is_empty() || self.plan.only.contains(kind);
        let mix = || Kind::MIX.iter().filter(|(kind, _)| wanted(kind));
        let mut dice = self.random.u32(..mix().map(|(_, share)| share).sum::<u32>());
        for (kind, share) in mix() {
            match dice.checked_sub(*share) {
                Some(rest) => dice = rest,
                None => return *kind,
            }
        }
        Kind::Browse
    }

    /// What was acknowledged last may still be on its way to the other parts of the shop.
    async fn check(&self, ledgers: Vec<Ledger>) -> Vec<(Ledger, Vec<String>)> {
        let deadline = Instant::now() + self.plan.soon;
        let mut checked = Vec::with_capacity(ledgers.len());
        for mut ledger in ledgers {
            let found = loop {
                let found = ledger.check(&self.connection).await.unwrap_or_else(|error| vec![error]);
                if found.is_empty() || Instant::now() > deadline {
                    break found;
                }
                sleep(LOOK_AGAIN).await;
            };
            checked.push((ledger, found));
        }
        checked
    }
}
