//! Orders in the service they were taken out to.

use std::sync::Arc;

use boxoffice_kit::{
    Problem, async_trait,
    identity::{IDENTITY, Signer, User},
};
use reqwest::{Client, Method, RequestBuilder, Url};
use serde_json::json;

use super::{LIMIT_DEFAULT, Line, Listing, Order, Orders, Wanted};
use crate::seam::answer;

/// Asks in the buyer's name: the signed identity says whose.
pub(crate) struct Http {
    pub(crate) client: Client,
    pub(crate) address: Url,
    pub(crate) signer: Arc<Signer>,
}

impl Http {
    fn request(&self, buyer: &User, method: Method, path: &str) -> Result<RequestBuilder, Problem> {
        let address = format!("{}/api/orders{path}", self.address.as_str().trim_end_matches('/'));
        let identity = self.signer.sign(buyer.clone())?.identity;
        Ok(self.client.request(method, address).header(IDENTITY, identity))
    }
}

#[async_trait]
impl Orders for Http {
    async fn create(&self, buyer: &User, lines: Vec<Line>) -> Result<Order, Problem> {
        answer(self.request(buyer, Method::POST, "")?.json(&json!({ "items": lines }))).await
    }

    async fn list(&self, buyer: &User, wanted: Wanted) -> Result<Listing, Problem> {
        let (page, limit) = (wanted.page.unwrap_or(1), wanted.limit.unwrap_or(LIMIT_DEFAULT));
        answer(self.request(buyer, Method::GET, &format!("?page={page}&limit={limit}"))?).await
    }

    async fn get(&self, buyer: &User, id: i64) -> Result<Order, Problem> {
        answer(self.request(buyer, Method::GET, &format!("/{id}"))?).await
    }
}
