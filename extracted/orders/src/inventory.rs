//! Asks the inventory for stock.

use std::time::Duration;

use boxoffice_kit::{Problem, service::internal};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::order::Item;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Whoever keeps the stock.
#[derive(Clone)]
pub(crate) struct Inventory {
    /// Such as `http://127.0.0.1:4002/`.
    pub(crate) address: String,
    pub(crate) client: Client,
}

impl Inventory {
    /// Holds the tickets of an order, all or none. A refusal for the caller holds nothing; after any other failure
    /// nobody knows.
    pub(crate) async fn reserve(&self, order_id: i64, items: &[Item]) -> Result<(), Problem> {
        let line = |item: &Item| json!({ "ticketId": item.ticket_id, "quantity": item.quantity });
        let lines = json!({ "items": items.iter().map(line).collect::<Vec<_>>() });
        self.ask(Method::PUT, &format!("internal/reservations/{order_id}"), &lines).await.map(drop)
    }

    /// Gives back what an order holds, if anything.
    pub(crate) async fn release(&self, order_id: i64) -> Result<(), Problem> {
        self.ask(Method::DELETE, &format!("internal/reservations/{order_id}"), &json!({})).await.map(drop)
    }

    /// Whether [`Inventory::reserve`] would hold them now.
    pub(crate) async fn would_reserve(&self, items: &[Item]) -> Result<(), Problem> {
        for (place, item) in items.iter().enumerate() {
            let path = format!("api/tickets/{}/availability", item.ticket_id);
            let available = self.ask(Method::GET, &path, &json!({})).await?["available"].as_i64();
            if available.is_none_or(|available| available < item.quantity) {
                let problem = Problem::conflict("not enough tickets left");
                return Err(problem.at(format!("items[{place}].quantity")));
            }
        }
        Ok(())
    }

    /// A refusal comes in the inventory's words: its fields are named as ours.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Problem> {
        let silent = |error: &dyn std::fmt::Display| {
            tracing::warn!("{path} of the inventory: {error}");
            Problem::unavailable("tickets cannot be reserved now")
        };
        let request =
            self.client.request(method, format!("{}{path}", self.address)).json(body).timeout(TIMEOUT);
        let answer = internal(request).send().await.map_err(|error| silent(&error))?;
        let status = answer.status();
        let told: Value = answer.json().await.unwrap_or_default();
        let error = &told["errors"][0];
        match (status, error["message"].as_str(), error["field"].as_str()) {
            (status, ..) if status.is_success() => Ok(told),
            (StatusCode::CONFLICT, Some(message), Some(field)) => Err(Problem::conflict(message).at(field)),
            (StatusCode::CONFLICT, Some(message), None) => Err(Problem::conflict(message)),
            _ => Err(silent(&status)),
        }
    }
}
