//! Rate, errors and duration of every route, for Prometheus.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::{app::Service, problem::Problem};

/// The service's own registry and what is in it.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "boxoffice_orders_requests_total",
                "Requests answered, by route, method and status class.",
            ),
            &["route", "method", "code_class"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "boxoffice_orders_request_duration_seconds",
                "Time until the head of the answer.",
            ),
            &["route"],
        )?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { registry, requests, seconds })
    }
}

/// GET `/metrics`.
pub(crate) async fn show(State(service): State<Service>) -> Result<String, Problem> {
    let families = service.metrics.registry.gather();
    TextEncoder::new().encode_to_string(&families).map_err(|error| Problem::internal(&error))
}

/// Counts and times one request. Labels come from the routes and fixed sets, never from requests.
pub(crate) async fn observe(
    State(service): State<Service>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let method = method(request.method());
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let class = code_class(response.status());
    service.metrics.requests.with_label_values(&[route, method, class]).inc();
    service.metrics.seconds.with_label_values(&[route]).observe(start.elapsed().as_secs_f64());
    response
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn code_class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "1xx",
    }
}
