//! What the other programs of the shop ask; from inside only, never through a proxy.
//!
//! | route | answer |
//! |---|---|
//! | GET `/internal/session` | whose session cookie this is, signed |
//! | GET `/internal/keys` | what signatures are checked with |

use axum::{Json, Router, extract::State, middleware, routing::get};
use boxoffice_kit::{Problem, identity::Identified, service::inside_only};
use serde_json::{Value, json};

use crate::{app::Shop, users::SignedIn};

pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/internal/session", get(session))
        .route("/internal/keys", get(keys))
        .route_layer(middleware::from_fn(inside_only))
}

async fn session(State(shop): State<Shop>, SignedIn(user): SignedIn) -> Result<Json<Identified>, Problem> {
    shop.signer.sign(user).map(Json)
}

async fn keys(State(shop): State<Shop>) -> Json<Value> {
    Json(json!({ "keys": [shop.signer.public_key()] }))
}
