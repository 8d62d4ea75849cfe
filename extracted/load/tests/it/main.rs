//! Load against a real monolith: the books are right, and a shop that misbehaves is caught.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use boxoffice_load::{Plan, Report, audit, run};
use boxoffice_monolith::{Settings, app, open, seed};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_shop_passes_here_and_in_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(shop(folder.path()).await).await;
    let mut report = load(&url).await;
    report.add_audit(audit::audit(&folder.path().join("shop.sqlite")).await.unwrap());
    assert!(report.is_clean(), "{report}");
    assert!(report.orders > 0 && report.requests > 50, "{report}");
    assert_eq!(report.answers.keys().collect::<Vec<_>>(), ["boxoffice-monolith"]);
    assert_eq!(report.audit.unwrap().last_number, i64::try_from(report.orders).unwrap());
}

/// A middleman that sends some orders twice: what a proxy that retries writes would do.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_written_twice_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let shop = shop(folder.path()).await;
    let url = serve(meddle(shop, Meddle::WriteTwice)).await;
    let report = load(&url).await;
    assert_eq!(report.failed, 0, "{report}");
    assert!(report.problems.iter().any(|problem| problem.contains("without being acknowledged")), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_acknowledged_and_lost_is_caught() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = shop(elsewhere.path()).await;
    let url = serve(meddle_into(shop(folder.path()).await, other)).await;
    let report = load(&url).await;
    assert!(report.problems.iter().any(|problem| problem.contains("was acknowledged and")), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_answer_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(meddle(shop(folder.path()).await, Meddle::Fail)).await;
    let report = load(&url).await;
    assert!(report.failed > 0 && !report.is_clean(), "{report}");
    assert!(report.failures[0].contains("503 Service Unavailable"), "{:?}", report.failures);
}

#[tokio::test]
async fn a_shop_without_the_users_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path().join("shop.sqlite").to_str().unwrap()).await.unwrap();
    let url = serve(app(&database, Settings::default()).await.unwrap().0).await;
    let refused = run(plan(&url), CancellationToken::new()).await.unwrap_err().to_string();
    assert!(refused.contains("hint: start it with"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_load_and_the_books_are_still_checked() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(shop(folder.path()).await).await;
    let mut load = Command::new(env!("CARGO_BIN_EXE_boxoffice-load"))
        .args(["--url", &url, "--users", "8", "--connections", "2", "--rate", "100", "--duration", "10m"])
        .args(["--progress", "--json", "--database"])
        .arg(folder.path().join("shop.sqlite"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(load.stderr.take().unwrap()).lines();
    let first = timeout(Duration::from_mins(1), lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(first.contains("req/s  0 failed"), "{first}");
    let id = load.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let done = timeout(Duration::from_mins(1), load.wait_with_output()).await.unwrap().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(done.status.success(), "{report}");
    assert_eq!((&report["version"], &report["failed"]), (&1.into(), &0.into()));
    assert_eq!(report["audit"]["last_number"], report["orders"]);
}

#[derive(Clone, Copy)]
enum Meddle {
    WriteTwice,
    Fail,
}

async fn shop(folder: &Path) -> Router {
    let database = open(folder.join("shop.sqlite").to_str().unwrap()).await.unwrap();
    seed::fill(&database, true, 0).await.unwrap();
    app(&database, Settings::default()).await.unwrap().0
}

/// Every fifth order is meddled with.
fn meddle(shop: Router, how: Meddle) -> Router {
    let (inner, count) = (shop.clone(), Arc::new(AtomicU32::new(0)));
    shop.layer(middleware::from_fn(move |request: Request, next: Next| {
        let (inner, count) = (inner.clone(), count.clone());
        async move {
            if !fifth_order(&request, &count) {
                return next.run(request).await;
            }
            match how {
                Meddle::Fail => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                Meddle::WriteTwice => {
                    let (parts, body) = request.into_parts();
                    let body = axum::body::to_bytes(body, 1 << 16).await.unwrap();
                    let copy = Request::from_parts(parts.clone(), body.clone().into());
                    send(inner, copy).await;
                    next.run(Request::from_parts(parts, body.into())).await
                }
            }
        }
    }))
}

/// Every fifth order goes to another shop, whose acknowledgement comes back.
fn meddle_into(shop: Router, other: Router) -> Router {
    let count = Arc::new(AtomicU32::new(0));
    shop.layer(middleware::from_fn(move |request: Request, next: Next| {
        let (other, count) = (other.clone(), count.clone());
        async move {
            if fifth_order(&request, &count) { send(other, request).await } else { next.run(request).await }
        }
    }))
}

fn fifth_order(request: &Request, count: &AtomicU32) -> bool {
    request.method() == Method::POST
        && request.uri().path() == "/api/orders"
        && count.fetch_add(1, Ordering::Relaxed).is_multiple_of(5)
}

async fn send(router: Router, request: Request) -> Response {
    use tower::ServiceExt as _;
    router.oneshot(request).await.unwrap()
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    url
}

fn plan(url: &str) -> Plan {
    Plan {
        url: url.to_owned(),
        users: 20,
        connections: 4,
        duration: Duration::from_secs(2),
        rate: Some(400),
        seed: 1,
        progress: false,
    }
}

async fn load(url: &str) -> Report {
    run(plan(url), CancellationToken::new()).await.unwrap()
}
