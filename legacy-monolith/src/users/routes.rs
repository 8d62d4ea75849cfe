//! `/api/users/*`.

use axum::{
    Json as Answer, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::SET_COOKIE},
    middleware,
    response::IntoResponse,
    routing::{get, patch, post},
};
use boxoffice_kit::{Problem, identity::session_token, problem::Json, service::Kit, writer};
use serde::Deserialize;
use serde_json::json;

use super::{Credentials, SignedIn, User, Users as _, Visitor, session_cookie};
use crate::app::Shop;

pub(crate) fn routes(kit: &Kit) -> Router<Shop> {
    Router::new()
        .route("/api/users/signup", post(sign_up))
        .route("/api/users/signin", post(sign_in))
        .route("/api/users/signout", post(sign_out))
        .route("/api/users/currentuser", get(current_user))
        .route("/api/users/me", patch(rename))
        .route_layer(middleware::from_fn_with_state(kit.gate("users"), writer::gate))
}

async fn sign_up(
    State(shop): State<Shop>,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let (user, token) = shop.users.local.sign_up(given).await?;
    Ok((StatusCode::CREATED, [(SET_COOKIE, session_cookie(&shop.settings, &token))], Answer(user)))
}

async fn sign_in(
    State(shop): State<Shop>,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let (user, token) = shop.users.local.sign_in(given).await?;
    Ok(([(SET_COOKIE, session_cookie(&shop.settings, &token))], Answer(user)))
}

async fn sign_out(State(shop): State<Shop>, headers: HeaderMap) -> Result<impl IntoResponse, Problem> {
    if let Some(token) = session_token(&headers) {
        shop.users.local.sign_out(token).await?;
    }
    Ok(([(SET_COOKIE, session_cookie(&shop.settings, ""))], Answer(json!({}))))
}

async fn current_user(Visitor(user): Visitor) -> impl IntoResponse {
    Answer(json!({ "currentUser": user }))
}

#[derive(Deserialize)]
struct Rename {
    name: String,
}

async fn rename(
    State(shop): State<Shop>,
    SignedIn(user): SignedIn,
    Json(wanted): Json<Rename>,
) -> Result<Answer<User>, Problem> {
    shop.users.local.rename(&user, &wanted.name).await.map(Answer)
}
