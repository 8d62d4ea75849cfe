//! What the other programs of the shop ask; from inside only, never through a proxy.
//!
//! | route | answer |
//! |---|---|
//! | GET `/internal/session` | whose session cookie this is, signed |
//! | GET `/internal/keys` | what signatures are checked with |

use axum::{Json, Router, extract::State, http::HeaderMap, middleware, routing::get};
use boxoffice_kit::{
    Problem,
    identity::{Identified, session_token},
    service::inside_only,
    writer::PASSED_ON,
};
use serde_json::{Value, json};

use crate::{
    app::Shop,
    users::{Users as _, user_of},
};

pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/internal/session", get(session))
        .route("/internal/keys", get(keys))
        .route_layer(middleware::from_fn(inside_only))
}

async fn session(State(shop): State<Shop>, headers: HeaderMap) -> Result<Json<Identified>, Problem> {
    let token = session_token(&headers).ok_or_else(Problem::not_signed_in)?;
    // The users service asks, or passes the question on: it must not be asked in turn.
    let known = if headers.contains_key(PASSED_ON) {
        shop.users.local.by_session(token).await?
    } else {
        user_of(&shop, token).await?
    };
    shop.signer.sign(known.ok_or_else(Problem::not_signed_in)?).map(Json)
}

async fn keys(State(shop): State<Shop>) -> Json<Value> {
    Json(json!({ "keys": [shop.signer.public_key()] }))
}
