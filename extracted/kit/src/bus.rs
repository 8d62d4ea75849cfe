//! Carries the outbox to whoever listens, at least once: by HTTP or by NATS `JetStream`. An event that its listener cannot
//! handle after ten tries is kept there, among the dead letters; nothing sends it again.

mod http;
mod nats;

use std::{str::FromStr, time::Duration};

use reqwest::Url;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use self::http::routes;
use crate::{database::Database, inbox::Inbox, query, query_as, scalar};

/// How often the outbox is looked at. A transaction cannot tell when it is committed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long to wait after something failed.
const PAUSE: Duration = Duration::from_millis(200);
const BATCH: i64 = 100;
/// A transaction of the subscriber is as long as this many take: others want to write in between.
const AT_ONCE: usize = 25;

/// Which bus.
#[derive(Clone, Debug, Default)]
pub enum Bus {
    /// Each event is posted to every subscriber, in order.
    #[default]
    Http,
    /// A NATS server with `JetStream`.
    Nats(String),
}

/// A row of the outbox.
#[derive(sqlx::FromRow)]
struct Row {
    position: i64,
    subject: String,
    body: String,
}

/// Starts to send and to listen, until `stop`.
pub(crate) fn start(
    bus: &Bus,
    name: &'static str,
    (database, inbox): (Database, Inbox),
    subscribers: Vec<Url>,
    client: &reqwest::Client,
    stop: CancellationToken,
) {
    let (announce, newest) = watch::channel(0);
    tokio::spawn(stop.clone().run_until_cancelled_owned(watch_outbox(database.clone(), announce)));
    match bus {
        Bus::Http => {
            for subscriber in subscribers {
                let outbox =
                    Outbox { database: database.clone(), newest: newest.clone(), to: subscriber.to_string() };
                tokio::spawn(stop.clone().run_until_cancelled_owned(http::send(
                    outbox,
                    subscriber,
                    client.clone(),
                )));
            }
        }
        Bus::Nats(server) => {
            let outbox = Outbox { database, newest, to: "nats".to_owned() };
            tokio::spawn(stop.run_until_cancelled_owned(nats::run(server.clone(), name, outbox, inbox)));
        }
    }
}

async fn watch_outbox(database: Database, announce: watch::Sender<i64>) {
    loop {
        let newest =
            scalar!("SELECT value FROM counters WHERE name = 'outbox'").fetch_one(&database.read).await;
        match newest {
            Ok(newest) => {
                announce.send_if_modified(|known| std::mem::replace(known, newest) != newest);
            }
            Err(error) => tracing::warn!("cannot look into the outbox: {error}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The outbox as one subscriber sees it.
struct Outbox {
    database: Database,
    newest: watch::Receiver<i64>,
    to: String,
}

impl Outbox {
    async fn delivered(&self) -> sqlx::Result<i64> {
        let position = scalar!("SELECT position FROM deliveries WHERE subscriber = $1", &self.to);
        Ok(position.fetch_optional(&self.database.read).await?.unwrap_or(0))
    }

    /// Waits for events behind `position`; none when the database is in trouble or has none after all.
    async fn after(&mut self, position: i64) -> Vec<Row> {
        if self.newest.wait_for(|newest| *newest > position).await.is_err() {
            std::future::pending::<()>().await; // the process ends
        }
        let rows = query_as!(
            "SELECT position, subject, body FROM outbox WHERE position > $1 ORDER BY position LIMIT $2",
            position,
            BATCH
        );
        match rows.fetch_all(&self.database.read).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!("cannot read the outbox: {error}");
                tokio::time::sleep(PAUSE).await;
                Vec::new()
            }
        }
    }

    /// Remembers how far the subscriber is. When this fails, events are sent again: inboxes expect that.
    async fn reached(&self, position: i64) {
        let done = query!(
            "INSERT INTO deliveries (subscriber, position) VALUES ($1, $2)
             ON CONFLICT (subscriber) DO UPDATE SET position = excluded.position",
            &self.to,
            position
        );
        if let Err(error) = done.execute(&self.database.write).await {
            tracing::warn!("cannot note what {} has: {error}", self.to);
        }
    }
}

impl FromStr for Bus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "http" => Ok(Self::Http),
            url if url.starts_with("nats://") => Ok(Self::Nats(url.to_owned())),
            other => Err(format!("found `{other}`, expected `http` or `nats://HOST:PORT`")),
        }
    }
}
