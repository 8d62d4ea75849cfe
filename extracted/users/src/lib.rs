//! Who somebody is, as a service of its own: accounts, passwords, sessions.
//!
//! | part | job |
//! |---|---|
//! | `routes` | `/api/users/*`, and `/internal/session` for the others |
//! | `password` | passwords at rest |
//! | `repository` | the tables `users`, `sessions` and `keys` |

mod password;
mod repository;
mod routes;

use std::sync::Arc;

use axum::Router;
use boxoffice_kit::{
    Connection, Database, Event, Problem, async_trait,
    inbox::Module,
    service::{Failure, Kit, Options, Service, assemble},
    writer::Owned,
};
use clap::Args;
use tokio_util::sync::CancellationToken;

pub use self::routes::routes;

/// What this service has beyond every other's flags.
#[derive(Args, Clone, Debug, Default)]
pub struct Settings {
    /// The domain of session cookies; the own host when absent
    #[arg(long, env = "BOXOFFICE_COOKIE_DOMAIN")]
    pub cookie_domain: Option<String>,
}

/// What `boxoffice_kit::service::run` needs to know.
pub fn service() -> Service {
    const OWNED: &[Owned] = &[Owned {
        name: "users",
        fingerprint: &[
            "SELECT id || '|' || email || '|' || name || '|' || version FROM users",
            "SELECT token_hash || '|' || user_id || '|' || ended FROM sessions",
        ],
        counters: &[("users", "SELECT coalesce(max(id), 0) FROM users")],
    }];
    Service { name: "boxoffice-users", migrations: sqlx::migrate!(), owned: OWNED }
}

/// The service without a socket.
pub async fn app(
    options: Options,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(Router, Kit), Failure> {
    let Service { name, migrations, owned } = service();
    let database = Database::open(&options.database, migrations).await?;
    assemble((name, owned), &options, database, Arc::new(Replica), |parts| routes(parts, settings), stop)
        .await
}

/// What arrives from the bus: rows, as the other side writes them. Its own rows come back too, and are no news.
pub struct Replica;

#[async_trait]
impl Module for Replica {
    fn listens(&self) -> &'static [&'static str] {
        &["user.changed", "session.changed"] // `user.registered` comes with a `user.changed` that says more
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        match event.kind.as_str() {
            "user.changed" => repository::store_user(tx, &event.data()?).await?,
            _ => repository::store_session(tx, &event.data()?).await?,
        }
        Ok(())
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        // First the users, then the sessions.
        let users = repository::users(tx, offset, limit).await?;
        let told = i64::try_from(users.len()).unwrap_or(limit);
        let before = repository::count_users(tx).await?;
        let sessions = repository::sessions(tx, (offset - before).max(0), limit - told).await?;
        for user in &users {
            repository::tell_registered(tx, user).await?;
            repository::tell_user(tx, user).await?;
        }
        for session in &sessions {
            repository::tell_session(tx, session).await?;
        }
        Ok(told + i64::try_from(sessions.len()).unwrap_or(limit))
    }
}
