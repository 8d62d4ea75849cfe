//! A stand-in for the inventory: ten tickets in all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, put},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CAPACITY: i64 = 10;

type Shared = Arc<Mutex<Shelf>>;

#[derive(Default)]
struct Shelf {
    /// How much each order holds.
    held: BTreeMap<i64, i64>,
    /// Reserves and answers 500.
    broken: bool,
    /// What to ask for before it answers the next reservation.
    meanwhile: Option<String>,
}

pub(crate) struct Stock {
    pub(crate) address: String,
    shelf: Shared,
}

impl Stock {
    pub(crate) async fn start() -> Self {
        let shelf = Shared::default();
        let app = Router::new()
            .route("/internal/reservations/{order}", put(reserve).delete(release))
            .route("/api/tickets/{id}/availability", get(availability))
            .with_state(shelf.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, app).into_future());
        Self { address, shelf }
    }

    /// Which orders hold something.
    pub(crate) fn held(&self) -> Vec<i64> {
        self.shelf.lock().unwrap().held.keys().copied().collect()
    }

    pub(crate) fn hold(&self, order: i64) {
        self.shelf.lock().unwrap().held.insert(order, 1);
    }

    pub(crate) fn is_broken(&self, broken: bool) {
        self.shelf.lock().unwrap().broken = broken;
    }

    pub(crate) fn meanwhile(&self, address: String) {
        self.shelf.lock().unwrap().meanwhile = Some(address);
    }
}

impl Shelf {
    fn left(&self) -> i64 {
        CAPACITY - self.held.values().sum::<i64>()
    }
}

async fn reserve(
    State(shelf): State<Shared>,
    Path(order): Path<i64>,
    Json(wanted): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let meanwhile = shelf.lock().unwrap().meanwhile.take();
    if let Some(address) = meanwhile {
        reqwest::Client::new().post(address).send().await.unwrap();
    }
    let mut shelf = shelf.lock().unwrap();
    let quantity = |item: &Value| item["quantity"].as_i64().unwrap();
    let quantity = wanted["items"].as_array().unwrap().iter().map(quantity).sum();
    if shelf.left() < quantity {
        let error = json!({"message": "not enough tickets left", "field": "items[0].quantity"});
        return (StatusCode::CONFLICT, Json(json!({"errors": [error]})));
    }
    shelf.held.insert(order, quantity);
    (if shelf.broken { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }, Json(json!({})))
}

async fn release(State(shelf): State<Shared>, Path(order): Path<i64>) -> Json<Value> {
    shelf.lock().unwrap().held.remove(&order);
    Json(json!({}))
}

async fn availability(State(shelf): State<Shared>) -> Json<Value> {
    Json(json!({"available": shelf.lock().unwrap().left()}))
}
