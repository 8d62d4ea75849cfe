//! What bookkeeping asks: across the tables of four modules, on purpose. This is why it stays in the monolith for good.

use std::time::Duration;

use askama::Template;
use axum::{Router, extract::State, response::Html, routing::get};
use boxoffice_kit::{Problem, query_as};

use crate::{app::Shop, web::page};

/// Years of data take their time. The sample has none, so it waits instead.
const YEARS_OF_DATA: Duration = Duration::from_millis(1_500);

pub(crate) fn routes() -> Router<Shop> {
    Router::new().route("/reports/sales", get(sales))
}

#[derive(sqlx::FromRow)]
struct Row {
    ticket_id: i64,
    title: String,
    capacity: i64,
    sold: i64,
    paid: i64,
    revenue_cents: i64,
}

#[derive(Template)]
#[template(path = "sales.html")]
struct Sales {
    user: Option<String>,
    rows: Vec<Row>,
}

async fn sales(State(shop): State<Shop>) -> Result<Html<String>, Problem> {
    let rows = query_as!("SELECT * FROM sales_report ORDER BY revenue_cents DESC, ticket_id");
    let rows = rows.fetch_all(&shop.kit.database.read).await?;
    tokio::time::sleep(YEARS_OF_DATA).await;
    page(&Sales { user: None, rows })
}
