//! `/api/cart`.

use axum::{
    Json as Answer, Router,
    extract::State,
    routing::{get, put},
};
use boxoffice_kit::{
    Problem,
    problem::{Json, Path},
};
use serde::Deserialize;

use super::Cart;
use crate::{app::Shop, users::Session};

pub(crate) fn routes() -> Router<Shop> {
    Router::new().route("/api/cart", get(show)).route("/api/cart/items/{ticket_id}", put(set).delete(remove))
}

async fn show(State(shop): State<Shop>, session: Session) -> Result<Answer<Cart>, Problem> {
    shop.cart.get(&session).await.map(Answer)
}

#[derive(Deserialize)]
struct Wanted {
    quantity: i64,
}

async fn set(
    State(shop): State<Shop>,
    session: Session,
    Path(ticket_id): Path<i64>,
    Json(Wanted { quantity }): Json<Wanted>,
) -> Result<Answer<Cart>, Problem> {
    if !(1..=10).contains(&quantity) {
        return Err(Problem::invalid("quantity", "must be 1 to 10"));
    }
    shop.cart.set(&session, ticket_id, quantity).await.map(Answer)
}

async fn remove(
    State(shop): State<Shop>,
    session: Session,
    Path(ticket_id): Path<i64>,
) -> Result<Answer<Cart>, Problem> {
    shop.cart.set(&session, ticket_id, 0).await.map(Answer)
}
