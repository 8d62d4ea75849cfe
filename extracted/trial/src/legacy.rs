//! The stand-in for all other programs of the shop.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use boxoffice_kit::{
    Event,
    identity::{Signer, User, session_token},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{client, serve, until};

/// `session=user-N` is user N. It gives any module away at once, as if both had the same rows; routes that are not
/// scripted are 404.
pub struct Legacy {
    /// Such as `http://127.0.0.1:40123`.
    pub address: String,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

struct Shared {
    signer: Signer,
    other_side: Mutex<String>,
    events: Mutex<Vec<Event>>,
    refuse: Mutex<usize>,
    gives: Mutex<HashMap<String, Value>>,
    answers: Mutex<HashMap<String, (u16, Value)>>,
    asked: Mutex<Vec<(String, Value)>>,
}

impl Legacy {
    /// Starts one.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            signer: Signer::new(&Signer::generate().unwrap()).unwrap(),
            other_side: Mutex::default(),
            events: Mutex::default(),
            refuse: Mutex::default(),
            gives: Mutex::default(),
            answers: Mutex::default(),
            asked: Mutex::default(),
        });
        let app = Router::new()
            .route("/internal/session", get(session))
            .route("/internal/keys", get(keys))
            .route("/internal/events", post(events))
            .route("/internal/writers/{module}/{act}", post(act))
            .fallback(scripted)
            .with_state(shared.clone());
        let stop = CancellationToken::new();
        let (address, _) = serve(app, stop.clone()).await;
        Self { address, shared, stop }
    }

    /// What to answer to `"PUT /path"` from now on.
    pub fn answer(&self, request: &str, status: u16, body: Value) {
        self.shared.answers.lock().unwrap().insert(request.to_owned(), (status, body));
    }

    /// The fingerprint to give a module away with.
    pub fn give(&self, module: &str, fingerprint: Value) {
        self.shared.gives.lock().unwrap().insert(module.to_owned(), fingerprint);
    }

    /// Scripted requests and acts of a hand-over that came, as `"PUT /path"` and their body.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Refuses the next events that are posted.
    pub fn refuse(&self, events: usize) {
        *self.shared.refuse.lock().unwrap() = events;
    }

    /// The events of a type that were posted so far.
    pub fn events(&self, kind: &str) -> Vec<Event> {
        self.shared.events.lock().unwrap().iter().filter(|event| event.kind == kind).cloned().collect()
    }

    /// Waits until so many events of a type were posted.
    pub async fn has_got(&self, kind: &str, count: usize) {
        until(&format!("{count} {kind} arrived"), || async { self.events(kind).len() >= count }).await;
    }

    /// The signed identity of a user, as it travels in a field.
    pub fn identity(&self, user: i64) -> String {
        self.shared.signer.sign(named(user)).unwrap().identity
    }

    pub(crate) fn other_side_is(&self, address: &str) {
        address.clone_into(&mut self.shared.other_side.lock().unwrap());
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn named(id: i64) -> User {
    User { id, email: format!("user-{id}@example.com"), name: String::new() }
}

async fn session(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let id = session_token(&headers).and_then(|token| token.strip_prefix("user-")?.parse().ok());
    match id {
        Some(id) => Json(shared.signer.sign(named(id)).unwrap()).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "keys": [shared.signer.public_key()] }))
}

async fn events(State(shared): State<Arc<Shared>>, body: String) -> (StatusCode, String) {
    let mut taken = 0;
    for line in body.lines() {
        let mut refuse = shared.refuse.lock().unwrap();
        if *refuse > 0 {
            *refuse -= 1;
            break;
        }
        shared.events.lock().unwrap().push(serde_json::from_str(line).unwrap());
        taken += 1;
    }
    let status = if taken == 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, taken.to_string())
}

/// Gives away what the program has already: its own fingerprint, unless told otherwise.
async fn act(State(shared): State<Arc<Shared>>, Path((module, act)): Path<(String, String)>) -> Json<Value> {
    shared.asked.lock().unwrap().push((format!("POST /internal/writers/{module}/{act}"), Value::Null));
    if act != "give" {
        return Json(json!([]));
    }
    let scripted = shared.gives.lock().unwrap().get(&module).cloned();
    if let Some(fingerprint) = scripted {
        return Json(fingerprint);
    }
    let address = shared.other_side.lock().unwrap().clone();
    let answer = client().get(format!("{address}/internal/fingerprint/{module}")).send().await.unwrap();
    Json(answer.json().await.unwrap())
}

async fn scripted(State(shared): State<Arc<Shared>>, method: Method, request: Request) -> Response {
    let asked = format!("{method} {}", request.uri());
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    shared.asked.lock().unwrap().push((asked.clone(), body));
    match shared.answers.lock().unwrap().get(&asked) {
        Some((status, answer)) => {
            (StatusCode::from_u16(*status).unwrap(), Json(answer.clone())).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
