//! Puts the modules together.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header::SERVER},
    middleware,
    response::Response,
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{self, Catalog},
    database::Database,
    inventory::{self, Inventory},
    operations,
    orders::{self, Orders},
    problem::Problem,
    users::{self, Users},
    web,
};

/// What may differ between two runs.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The own address in redirects, such as `http://shop.example`. The request's Host when absent.
    pub public_url: Option<String>,
    /// Ends streams that would otherwise outlive the server.
    pub stop: CancellationToken,
}

/// What every handler can reach: the seams, never a repository.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) users: Arc<dyn Users>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) inventory: Arc<dyn Inventory>,
    pub(crate) orders: Arc<dyn Orders>,
    pub(crate) database: Database,
    pub(crate) settings: Settings,
}

/// The shop's whole HTTP surface. Serve it with connect info: one route asks for the peer's address.
pub fn app(database: &Database, settings: Settings) -> Router {
    let catalog: Arc<dyn Catalog> = Arc::new(catalog::Local::new(database.clone()));
    let inventory: Arc<dyn Inventory> = Arc::new(inventory::Local::new(database.clone()));
    let shop = Shop {
        users: Arc::new(users::Local::new(database.clone())),
        orders: Arc::new(orders::Local::new(database.clone(), catalog.clone(), inventory.clone())),
        catalog,
        inventory,
        database: database.clone(),
        settings,
    };
    Router::new()
        .merge(users::routes())
        .merge(catalog::routes())
        .merge(inventory::routes())
        .merge(orders::routes())
        .merge(web::routes())
        .merge(operations::routes())
        .fallback(|| async { Problem::not_found("page") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
        })
        .layer(middleware::map_response(sign))
        .with_state(shop)
}

/// Every answer says who made it.
async fn sign(mut response: Response) -> Response {
    response.headers_mut().insert(SERVER, HeaderValue::from_static("boxoffice-monolith"));
    response
}
