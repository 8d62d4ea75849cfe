//! Puts the parts together.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderValue, StatusCode, header::SERVER},
    middleware,
    response::Response,
    routing::get,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    database::Database,
    metrics::{self, Metrics},
    orders::{self, Orders},
    problem::Problem,
    sessions::Sessions,
};

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) orders: Orders,
    pub(crate) sessions: Sessions,
    pub(crate) metrics: Metrics,
    /// Ends streams that would otherwise outlive the server.
    pub(crate) stop: CancellationToken,
    database: Database,
}

/// The service's whole HTTP surface: `/api/orders/*`, `/healthz`, `/readyz`, `/metrics`.
pub fn app(
    database: &Database,
    sessions: Sessions,
    stop: CancellationToken,
) -> Result<Router, prometheus::Error> {
    let service = Service {
        orders: Orders::new(database.clone()),
        sessions,
        metrics: Metrics::new()?,
        stop,
        database: database.clone(),
    };
    Ok(Router::new()
        .merge(orders::routes())
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics::show))
        .fallback(|| async { Problem::not_found("page") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed")
        })
        .layer(middleware::from_fn_with_state(service.clone(), metrics::observe))
        .layer(middleware::map_response(sign))
        .with_state(service))
}

async fn ready(State(service): State<Service>) -> Result<Json<Value>, Problem> {
    match sqlx::query("SELECT 1").execute(&service.database.read).await {
        Ok(_) => Ok(Json(json!({ "status": "ready" }))),
        Err(error) => {
            tracing::warn!("not ready: {error}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the database does not answer"))
        }
    }
}

/// Every answer says who made it.
async fn sign(mut response: Response) -> Response {
    response.headers_mut().insert(SERVER, HeaderValue::from_static("boxoffice-orders"));
    response
}
