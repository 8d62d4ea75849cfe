//! What operators and extracted services ask.
//!
//! | route | answer |
//! |---|---|
//! | GET `/healthz` | the process runs |
//! | GET `/readyz` | the database answers |
//! | GET `/internal/session` | whose session cookie this is; from this machine only, never through a proxy |

use std::net::SocketAddr;

use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    app::Shop,
    problem::Problem,
    users::{SignedIn, User},
};

pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/readyz", get(ready))
        .route("/internal/session", get(session))
}

async fn ready(State(shop): State<Shop>) -> Result<Json<Value>, Problem> {
    match sqlx::query("SELECT 1").execute(&shop.database.read).await {
        Ok(_) => Ok(Json(json!({ "status": "ready" }))),
        Err(error) => {
            tracing::warn!("not ready: {error}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer"))
        }
    }
}

async fn session(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    user: Result<SignedIn, Problem>,
) -> Result<Json<User>, Problem> {
    // A proxy on this machine is loopback too. What it forwards comes from somewhere else.
    let forwarded = ["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name));
    if !peer.ip().is_loopback() || forwarded {
        return Err(Problem::not_found("page"));
    }
    user.map(|SignedIn(user)| Json(user))
}
