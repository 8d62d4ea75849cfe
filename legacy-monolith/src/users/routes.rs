//! `/api/users/*`.

use axum::{
    Json as Answer, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::SET_COOKIE},
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::json;

use super::{Credentials, Visitor, session::session_token, session_cookie};
use crate::{
    app::Shop,
    problem::{Json, Problem},
};

pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/api/users/signup", post(sign_up))
        .route("/api/users/signin", post(sign_in))
        .route("/api/users/signout", post(sign_out))
        .route("/api/users/currentuser", get(current_user))
}

async fn sign_up(
    State(shop): State<Shop>,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let (user, token) = shop.users.sign_up(given).await?;
    Ok((StatusCode::CREATED, [(SET_COOKIE, session_cookie(&token))], Answer(user)))
}

async fn sign_in(
    State(shop): State<Shop>,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let (user, token) = shop.users.sign_in(given).await?;
    Ok(([(SET_COOKIE, session_cookie(&token))], Answer(user)))
}

async fn sign_out(State(shop): State<Shop>, headers: HeaderMap) -> Result<impl IntoResponse, Problem> {
    if let Some(token) = session_token(&headers) {
        shop.users.sign_out(token).await?;
    }
    Ok(([(SET_COOKIE, session_cookie(""))], Answer(json!({}))))
}

async fn current_user(Visitor(user): Visitor) -> impl IntoResponse {
    Answer(json!({ "currentUser": user }))
}
