//! The column `sessions.cart`.

use boxoffice_kit::{Connection, Problem, query, scalar};
use jiff::Timestamp;

use crate::{orders::Line, users::Session};

pub(super) async fn get(connection: &mut Connection, session: &Session) -> Result<Vec<Line>, Problem> {
    let sql = "SELECT cart FROM sessions WHERE token_hash = $1";
    let cart: Option<String> = scalar!(sql, &session.key).fetch_optional(connection).await?;
    serde_json::from_str(cart.as_deref().unwrap_or("[]")).map_err(|error| Problem::internal(&error))
}

/// A session that the users service has begun may not be known here yet: its row comes, at a version above 0.
pub(super) async fn set(
    connection: &mut Connection,
    session: &Session,
    lines: &[Line],
) -> Result<(), Problem> {
    let cart = serde_json::to_string(lines).map_err(|error| Problem::internal(&error))?;
    let sql =
        "INSERT INTO sessions (token_hash, user_id, cart, version, created_at) VALUES ($1, $2, $3, 0, $4)
               ON CONFLICT (token_hash) DO UPDATE SET cart = excluded.cart";
    let now = Timestamp::now().to_string();
    query!(sql, &session.key, session.user.id, cart, now).execute(connection).await?;
    Ok(())
}
