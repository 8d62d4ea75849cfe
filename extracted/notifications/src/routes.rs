//! `/api/notifications/*`: what was sent to the user who asks.

use axum::{
    Json as Answer, Router,
    extract::{FromRef, State},
    middleware,
    routing::{get, post},
};
use boxoffice_kit::{
    Database, Problem,
    identity::{Sessions, SignedIn},
    problem::Path,
    query_as, scalar,
    service::Parts,
    writer::{gate, hold},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Notification, Row, tell};

const LIST_MAX: i64 = 100;

#[derive(Clone, FromRef)]
struct Reach {
    database: Database,
    sessions: Sessions,
}

pub(crate) fn routes(parts: &Parts) -> Router {
    Router::new()
        .route("/api/notifications", get(list))
        .route("/api/notifications/unread-count", get(unread))
        .route("/api/notifications/{id}/read", post(read))
        .route_layer(middleware::from_fn_with_state(parts.kit.gate("notifications"), gate))
        .with_state(Reach { database: parts.kit.database.clone(), sessions: parts.sessions.clone() })
}

#[derive(Serialize)]
struct Listing {
    notifications: Vec<Notification>,
    unread: i64,
}

/// The newest ones.
async fn list(
    State(database): State<Database>,
    SignedIn(user): SignedIn,
) -> Result<Answer<Listing>, Problem> {
    let sql = "SELECT * FROM notifications WHERE user_id = $1 AND state = 'sent' ORDER BY created_at DESC, id DESC LIMIT $2";
    let notifications = query_as!(sql, user.id, LIST_MAX).fetch_all(&database.read).await?;
    let unread = count_unread(&database, user.id).await?;
    Ok(Answer(Listing { notifications, unread }))
}

async fn unread(
    State(database): State<Database>,
    SignedIn(user): SignedIn,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({ "unread": count_unread(&database, user.id).await? })))
}

async fn count_unread(database: &Database, user: i64) -> sqlx::Result<i64> {
    let sql = "SELECT count(*) FROM notifications WHERE user_id = $1 AND state = 'sent' AND read = 0";
    scalar!(sql, user).fetch_one(&database.read).await
}

/// Marks as read. Twice is the same as once.
async fn read(
    State(database): State<Database>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
) -> Result<Answer<Value>, Problem> {
    let missing = || Problem::not_found("notification");
    if id.contains('\0') {
        return Err(missing()); // PostgreSQL has no such text
    }
    let mut tx = database.begin().await?;
    hold(&mut tx, "notifications").await?;
    let sql = "UPDATE notifications SET version = version + 1 - read, read = 1
               WHERE id = $1 AND user_id = $2 AND state = 'sent' RETURNING *";
    let row: Option<Row> = query_as!(sql, id, user.id).fetch_optional(&mut *tx).await?;
    tell(&mut tx, &row.ok_or_else(missing)?).await?;
    tx.commit().await?;
    Ok(Answer(json!({})))
}
