//! The load against the monolith, which may have a fault.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fault;

use std::{net::SocketAddr, process::Stdio, time::Duration};

use axum::Router;
use boxoffice_load::{Plan, Report, audit, compare, run, rush};
use boxoffice_monolith::{Settings, app, open, seed};
use clap::Parser as _;
use fault::{Fault, planted};
use sqlx::Connection as _;
use tempfile::{TempDir, tempdir};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_good_shop_passes_with_every_kind_of_visit_here_and_in_its_database() {
    let (shop, folder) = monolith(900).await;
    let database = format!("--database={}", file(&folder));
    let report = load(shop, &["--pay-within=15m", "--visits=800", &database]).await;
    assert!(report.is_clean(), "{report}");
    assert!(report.payments > 10 && report.refunded > 0 && report.newcomers > 0, "{report}");
    assert_eq!(report.visits.len(), 12, "{report}");
    assert_eq!(report.databases[0].orders, i64::try_from(report.orders).ok(), "{report}");
    assert_eq!(report.databases[0].checks.len(), 10, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_expire_are_no_failure() {
    let (shop, _folder) = monolith(3).await;
    let report = load(shop, &["--only=order,read,cancel,pay", "--duration=4s", "--pay-within=3s"]).await;
    assert!(report.is_clean() && report.orders > 5, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_is_caught() {
    use Fault::{As, Forgotten, Status, Text, Twice};
    let faults = [
        (As(500), "POST /api/orders", "", "order", "acknowledged and is lost"),
        (Twice, "POST /api/orders", "", "order", "without being acknowledged"),
        (
            Text("\"number\":", "\"number\":7,\"was\":"),
            "POST /api/orders",
            "",
            "order",
            "order number 7 was given twice",
        ),
        (Status(503), "POST /api/orders", "", "order", "503 from boxoffice-monolith"),
        (Status(201), "POST /api/payments", "", "pay", "201 from boxoffice-monolith"),
        (Text("\"complete\"", "\"cancelled\""), "GET /api/orders/", "", "pay", " left Order"),
        (Status(404), "GET /api/payments/", "", "pay", "/api/payments/"),
        (Forgotten, "POST /webhooks/pay", "", "webhook", "not right after"),
        (Text("c", "x"), "GET /api/orders/", "/stream", "stream", "but the stream ended with"),
        (Forgotten, "PUT /api/cart/", "", "cart", "the cart was"),
        (Forgotten, "PATCH /api/users/me", "", "signup", "/api/users/currentuser"),
        (Forgotten, "POST /api/notifications/", "", "order,notifications", "not right after"),
        (Status(409), "DELETE /api/orders/", "", "order,cancel", "409 from boxoffice-monolith"),
    ];
    let (shop, _folder) = monolith(900).await;
    let mut loads = JoinSet::new();
    for (nth, (fault, begins, ends, kinds, expected)) in faults.into_iter().enumerate() {
        let shop = planted(shop.clone(), fault, begins, ends);
        let (only, first) = (format!("--only={kinds}"), format!("--first-user={}", 1 + nth * 20));
        loads.spawn(async move {
            let report = load(shop, &[&only, &first, "--users=4", "--soon=300ms", "--visits=40"]).await;
            assert!(!report.is_clean(), "{begins}{ends} {expected}");
            assert!(format!("{:?} {report}", report.failures).contains(expected), "{begins}{ends}: {report}");
        });
    }
    loads.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rush_sells_what_there_is_and_gives_it_back() {
    let (shop, _folder) = monolith(900).await;
    let oversold = planted(shop.clone(), Fault::Status(201), "POST /api/orders", "");
    for (shop, expected) in [(shop, None), (oversold, Some("20 of 20 buyers got one of 5, 0 were told no"))] {
        let problems = rush(&plan(&serve(shop).await, &["--soon=5s"]), 5).await.unwrap();
        assert_eq!(problems.first().map(String::as_str), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_finds_the_byte_that_differs() {
    let (shop, _folder) = monolith(900).await;
    let changed = planted(shop.clone(), Fault::Text("availa", "Availa"), "GET /api/tickets/", "");
    let plan = plan(&serve(shop.clone()).await, &[]);
    let (asked, differences) = compare(&plan, &serve(shop).await).await.unwrap();
    assert!(asked > 100 && differences.is_empty(), "{differences:#?}");
    let (_, differences) = compare(&plan, &serve(changed).await).await.unwrap();
    assert_eq!(differences.len(), 2, "{differences:#?}");
    assert!(differences[0].starts_with("- GET /api/tickets/3/availability: "), "{differences:#?}");
}

/// One row of each kind that must not be.
#[tokio::test]
async fn a_database_with_faults_is_told() {
    let folder = tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", file(&folder));
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(include_str!("faults.sql")).execute(&mut connection).await.unwrap();
    let audit = audit(&url, Duration::ZERO).await.unwrap();
    assert_eq!(audit.checks.len(), 12);
    assert!(audit.checks.values().all(|count| *count == 1), "{audit:#?}");
}

#[tokio::test]
async fn a_shop_without_the_users_is_refused() {
    let folder = tempdir().unwrap();
    let database = open(&file(&folder)).await.unwrap();
    let (shop, _) = app(&database, Settings::default()).await.unwrap();
    let refused = run(plan(&serve(shop).await, &[]), CancellationToken::new()).await.unwrap_err();
    assert!(refused.contains("hint: start it with"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_load_and_the_books_are_still_checked() {
    let (shop, folder) = monolith(900).await;
    let mut load = Command::new(env!("CARGO_BIN_EXE_boxoffice-load"))
        .args(["--users=8", "--connections=2", "--rate=100", "--duration=10m", "--progress", "--url"])
        .args([&serve(shop).await, "--database", &file(&folder)])
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
    let report = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success() && report.ends_with("books      right\n"), "{report}");
    assert!(report.contains(": 10 checks, "), "{report}");
}

/// A seeded shop whose orders may be paid for so many seconds.
async fn monolith(pay_within: i64) -> (Router, TempDir) {
    let folder = tempdir().unwrap();
    let database = open(&file(&folder)).await.unwrap();
    seed::fill(&database, true, 0).await.unwrap();
    let pay_within = Some(jiff::SignedDuration::from_secs(pay_within));
    let (shop, _) = app(&database, Settings { pay_within, ..Settings::default() }).await.unwrap();
    (shop, folder)
}

fn file(folder: &TempDir) -> String {
    folder.path().join("shop.sqlite").display().to_string()
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
