//! What users are told of their orders and payments, as a service of its own.
//!
//! | part | job |
//! |---|---|
//! | `heard` | what is to be told, by the events of others |
//! | `sender` | "sends" it, and tells that it did |
//! | `routes` | `/api/notifications/*` |

mod heard;
mod routes;
mod sender;

use std::{path::PathBuf, sync::Arc};

use axum::Router;
use boxoffice_kit::{
    Connection, Database, Problem,
    database::Flag,
    publish,
    service::{Failure, Kit, Options, Parts, Service, assemble},
    writer::Owned,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub use self::{heard::Listener, sender::send_pending};

/// What this service has beyond every other's flags.
#[derive(Args, Clone, Debug, Default)]
pub struct Settings {
    /// The stand-in for a mail server: a folder that gets a file for each. Without it they are only marked as sent
    #[arg(long, env = "MAIL")]
    pub mail: Option<PathBuf>,
}

/// As its reader sees it.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
struct Notification {
    /// Says of what it tells, such as `order-17-created`.
    id: String,
    kind: String,
    subject: String,
    body: String,
    #[sqlx(try_from = "i64")]
    read: Flag,
    created_at: String,
}

/// The whole row, as it is stored and as `notification.sent` carries it.
#[derive(Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
struct Row {
    user_id: i64,
    #[serde(flatten)]
    #[sqlx(flatten)]
    notification: Notification,
    state: String,
    version: i64,
}

/// What `boxoffice_kit::service::run` needs to know.
pub fn service() -> Service {
    const OWNED: &[Owned] = &[Owned {
        name: "notifications",
        fingerprint: &["SELECT id || '|' || read || '|' || version FROM notifications WHERE state = 'sent'"],
        counters: &[],
    }];
    Service { name: "boxoffice-notifications", migrations: sqlx::migrate!(), owned: OWNED }
}

/// The service without a socket.
pub async fn app(
    options: Options,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(Router, Kit), Failure> {
    let Service { name, migrations, owned } = service();
    let database = Database::open(&options.database, migrations).await?;
    assemble((name, owned), &options, database, Arc::new(Listener), |parts| routes(parts, settings), stop)
        .await
}

/// The routes of this service; the sender begins to look.
pub fn routes(parts: &Parts, settings: Settings) -> Router {
    let (stop, database) = (parts.kit.stop.clone(), parts.kit.database.clone());
    tokio::spawn(stop.run_until_cancelled_owned(sender::run(database, settings.mail)));
    routes::routes(parts)
}

/// Tells that a notification was sent, or read.
async fn tell(tx: &mut Connection, row: &Row) -> Result<(), Problem> {
    publish(tx, "notification.sent", (format!("notification-{}", row.notification.id), row.version), row)
        .await
}
