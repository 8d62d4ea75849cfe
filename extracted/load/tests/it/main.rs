//! The load against a shop in memory, which may have a fault, and against the monolith.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod shop;

use std::{net::SocketAddr, process::Stdio, time::Duration};

use axum::{Router, middleware, response::Response};
use boxoffice_load::{Plan, Report, audit, compare::compare, run, rush::rush};
use boxoffice_monolith::{Database, Settings, app, seed};
use clap::Parser as _;
use shop::shop;
use sqlx::Connection as _;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const NO_PAYMENTS: &str = "--only=browse,quote,order,read,cancel";
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_good_shop_passes_with_every_kind_of_visit() {
    let report = load(shop("", 900), &["--pay-within=15m", "--visits=1500"]).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.payments > 10 && report.refunded > 0 && report.newcomers > 0, "{report}");
    assert_eq!(report.counts.visits.len(), 12, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_expire_are_no_failure() {
    let report =
        load(shop("", 3), &["--only=order,read,cancel,pay", "--duration=4s", "--pay-within=3s"]).await;
    assert!(report.is_clean() && report.orders > 50, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_caught() {
    let faults = [
        ("order lost", "order", "acknowledged and is lost"),
        ("order twice", "order", "without being acknowledged"),
        ("number twice", "order", "order number"),
        ("503", "order", "503 from memory"),
        ("paid twice", "pay", "201 from memory"),
        ("paid and cancelled", "pay", "\"cancelled\""),
        ("payment lost", "pay", "/api/payments/"),
        ("settled", "webhook", "not right after"),
        ("stream", "stream", "but the stream ended with"),
        ("cart", "cart", "the cart was"),
        ("name", "signup", "/api/users/currentuser"),
    ];
    let mut loads = JoinSet::new();
    for (fault, kind, expected) in faults {
        let only = format!("--only={kind}");
        loads.spawn(async move {
            let report = load(shop(fault, 900), &[&only, "--soon=200ms", "--visits=100"]).await;
            assert!(format!("{:?} {report}", report.counts.failures).contains(expected), "{fault}: {report}");
            assert!(!report.is_clean());
        });
    }
    loads.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_sells_what_there_is_and_gives_it_back() {
    for (fault, expected) in [("", None), ("oversold", Some("20 of 20 buyers got one of 5, 0 were told no"))]
    {
        let url = serve(shop(fault, 900)).await;
        let problems = rush(&plan(&url, &["--users=20", "--soon=1s"]), 5).await.unwrap();
        assert_eq!(problems.first().map(String::as_str), expected, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_finds_the_byte_that_differs() {
    let same = shop("", 900);
    let (direct, other) = (serve(same.clone()).await, serve(same).await);
    let (asked, differences) = compare([&direct, &other], "demo-secret", &[]).await.unwrap();
    assert!(asked > 100 && differences.is_empty(), "{differences:#?}");
    let changed = middleware::map_response(async |response: Response| {
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        Response::from_parts(head, text.replace("\"available\":", "\"available\": "))
    });
    let same = shop("", 900);
    let (direct, other) = (serve(same.clone()).await, serve(same.layer(changed)).await);
    let ignored = ["content-length".to_owned()];
    let (_, differences) = compare([&direct, &other], "demo-secret", &ignored).await.unwrap();
    assert_eq!(differences.len(), 3, "{differences:#?}");
    assert!(differences[0].starts_with("GET /api/tickets/3/availability as -: "), "{differences:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monolith_passes_here_and_in_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut report = load(monolith(folder.path()).await, &[NO_PAYMENTS, "--visits=500"]).await;
    let database = folder.path().join("shop.sqlite");
    report.add_audit(audit::audit(database.to_str().unwrap(), Duration::ZERO).await.unwrap());
    assert!(report.is_clean() && report.orders > 0, "{report}");
    assert_eq!(report.databases[0].last_number, i64::try_from(report.orders).ok());
    assert_eq!(report.databases[0].checks.len(), 5, "{:?}", report.databases);
}

/// One row of each kind that must not be.
#[tokio::test]
async fn a_database_with_faults_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("faults.sqlite").display());
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(include_str!("faults.sql")).execute(&mut connection).await.unwrap();
    let audit = audit::audit(&url, Duration::ZERO).await.unwrap();
    assert_eq!(audit.checks.len(), 12);
    assert!(audit.checks.values().all(|count| *count == 1), "{audit:#?}");
}

#[tokio::test]
async fn a_shop_without_the_users_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("shop.sqlite")).await.unwrap();
    let url = serve(app(&database, Settings::default())).await;
    let refused = run(plan(&url, &[]), CancellationToken::new()).await.unwrap_err();
    assert!(refused.contains("hint: start it with"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_load_and_the_books_are_still_checked() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(monolith(folder.path()).await).await;
    let mut load = Command::new(env!("CARGO_BIN_EXE_boxoffice-load"))
        .args(["--url", &url, "--users", "8", "--connections", "2", "--rate", "100", "--duration", "10m"])
        .args(["--progress", "--json", NO_PAYMENTS, "--database"])
        .arg(folder.path().join("shop.sqlite"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(load.stderr.take().unwrap()).lines();
    let first = timeout(MINUTE, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(first.contains("req/s  0 failed"), "{first}");
    let id = load.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
    let done = timeout(MINUTE, load.wait_with_output()).await.unwrap().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert!(done.status.success(), "{report}");
    assert_eq!((&report["version"], &report["failed"]), (&2.into(), &0.into()));
    assert_eq!(report["databases"][0]["last_number"], report["orders"]);
}

async fn monolith(folder: &std::path::Path) -> Router {
    let database = Database::open(&folder.join("shop.sqlite")).await.unwrap();
    seed::fill(&database, true).await.unwrap();
    app(&database, Settings::default())
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    url
}

fn plan(url: &str, more: &[&str]) -> Plan {
    let common = ["load", "--users=20", "--connections=4", "--duration=10m", "--url", url];
    Plan::parse_from(common.iter().chain(more))
}

async fn load(shop: Router, more: &[&str]) -> Report {
    run(plan(&serve(shop).await, more), CancellationToken::new()).await.unwrap()
}
