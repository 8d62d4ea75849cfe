//! `/internal/writers`, `/internal/fingerprint` and `/internal/replay`: what an operator calls to hand a module over.

use std::collections::BTreeMap;

use axum::{
    Json, Router,
    extract::State as Extracted,
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{Fingerprint, State, Writers};
use crate::problem::{Path, Problem};

pub(crate) fn routes(writers: Writers) -> Router {
    Router::new()
        .route("/internal/writers", get(list))
        .route("/internal/writers/{module}/{act}", post(act))
        .route("/internal/fingerprint/{module}", get(fingerprint))
        .route("/internal/replay/{module}", post(replay))
        .with_state(writers)
}

async fn list(
    Extracted(writers): Extracted<Writers>,
) -> Result<Json<BTreeMap<&'static str, State>>, Problem> {
    let mut all = BTreeMap::new();
    for owned in writers.owned {
        all.insert(owned.name, writers.state(owned.name).await?);
    }
    Ok(Json(all))
}

async fn act(
    Extracted(writers): Extracted<Writers>,
    Path((module, act)): Path<(String, String)>,
) -> Result<Json<Vec<Fingerprint>>, Problem> {
    match act.as_str() {
        // In a task of its own: a caller who goes away must not leave a hand-over half done.
        "take" => {
            let taking = tokio::spawn(async move { writers.take(&module).await });
            taking.await.map_err(|error| Problem::internal(&error))??;
            Ok(Json(Vec::new()))
        }
        "give" => writers.give(&module).await.map(Json),
        "keep" => writers.keep(&module).await.map(Json),
        _ => Err(Problem::not_found("page")),
    }
}

async fn fingerprint(
    Extracted(writers): Extracted<Writers>,
    Path(module): Path<String>,
) -> Result<Json<Vec<Fingerprint>>, Problem> {
    writers.fingerprint(&module).await.map(Json)
}

async fn replay(
    Extracted(writers): Extracted<Writers>,
    Path(module): Path<String>,
) -> Result<Json<Value>, Problem> {
    let events = writers.replay(&module).await?;
    Ok(Json(json!({ "events": events })))
}
