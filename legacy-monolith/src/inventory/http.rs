//! The stock in the service it was taken out to.

use boxoffice_kit::{Problem, async_trait, service::internal};
use reqwest::{Client, Url};
use serde_json::{Value, json};

use super::{Inventory, Line};
use crate::seam::answer;

/// The inventory service.
pub(crate) struct Http {
    pub(crate) client: Client,
    pub(crate) address: Url,
}

impl Http {
    fn at(&self, order_id: i64) -> String {
        format!("{}/internal/reservations/{order_id}", self.address.as_str().trim_end_matches('/'))
    }
}

#[async_trait]
impl Inventory for Http {
    async fn reserve(&self, order_id: i64, lines: &[Line]) -> Result<(), Problem> {
        let request = self.client.put(self.at(order_id)).json(&json!({ "items": lines }));
        answer(internal(request)).await.map(|_: Value| ())
    }

    async fn release(&self, order_id: i64) -> Result<(), Problem> {
        answer(internal(self.client.delete(self.at(order_id)))).await.map(|_: Value| ())
    }
}
