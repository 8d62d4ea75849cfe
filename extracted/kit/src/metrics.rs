//! Rate, errors and duration of every route, for Prometheus.

use std::{collections::HashMap, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::Response,
};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

use crate::problem::Problem;

/// The program's own registry and what is in it.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl Metrics {
    pub(crate) fn new(service: &str) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("boxoffice_requests_total", "Requests answered, by route, method and status class."),
            &["route", "method", "code_class"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("boxoffice_request_duration_seconds", "Time until the head of the answer."),
            &["route"],
        )?;
        let labels = HashMap::from([("service".to_owned(), service.to_owned())]);
        let registry = Registry::new_custom(None, Some(labels))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { registry, requests, seconds })
    }
}

/// GET `/metrics`.
pub(crate) async fn show(State(metrics): State<Metrics>) -> Result<String, Problem> {
    TextEncoder::new().encode_to_string(&metrics.registry.gather()).map_err(|error| Problem::internal(&error))
}

/// Counts and times one request. Labels come from the routes and fixed sets, never from requests.
pub(crate) async fn observe(
    State(metrics): State<Metrics>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let start = Instant::now();
    let method = method(request.method());
    let response = next.run(request).await;
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let class = match response.status().as_u16() {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    metrics.requests.with_label_values(&[route, method, class]).inc();
    metrics.seconds.with_label_values(&[route]).observe(start.elapsed().as_secs_f64());
    response
}

fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}
