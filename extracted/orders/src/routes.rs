//! `/api/orders/*`, and `/internal/orders/{id}` for the other programs of the shop.

use axum::{
    Json as Answer, Router,
    extract::{FromRef, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Sse, sse::KeepAlive},
    routing::get,
};
use boxoffice_kit::{
    Problem,
    dry_run::{DryRun, honour},
    identity::{Sessions, SignedIn},
    problem::{Json, Path, Query},
    service::inside_only,
    writer::{Gate, gate},
};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{
    order::{Line, Listing, Order, Placed, Quote, Wanted},
    picture,
    service::Orders,
    stream,
};

/// What every handler can reach.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) orders: Orders,
    pub(crate) sessions: Sessions,
    /// Ends streams that would otherwise outlive the server.
    pub(crate) stop: CancellationToken,
}

impl FromRef<App> for Sessions {
    fn from_ref(app: &App) -> Self {
        app.sessions.clone()
    }
}

/// The handlers that write keep to dry runs; the others have nothing to keep to.
pub(crate) fn routes(app: App, orders: Gate) -> Router {
    let gate = from_fn_with_state(orders, gate);
    // Who may ask is settled before the gate: what it passes on comes from one of us.
    let inside = Router::new()
        .route("/internal/orders/{id}", get(of_anybody))
        .layer(gate.clone())
        .layer(from_fn(inside_only));
    Router::new()
        .route("/api/orders", get(list).post(create))
        .route("/api/orders/quote", get(quote))
        .route("/api/orders/{id}", get(show).delete(cancel))
        .route("/api/orders/{id}/stream", get(watch))
        .route("/api/orders/{id}/ticket.svg", get(ticket))
        .layer(gate)
        .merge(inside)
        .layer(from_fn(honour))
        .with_state(app)
}

#[derive(Deserialize)]
struct NewOrder {
    items: Vec<Line>,
}

async fn create(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    DryRun(dry_run): DryRun,
    Json(NewOrder { items }): Json<NewOrder>,
) -> Result<(StatusCode, Answer<Order>), Problem> {
    let order = if dry_run {
        app.orders.would_create(&user, items).await?
    } else {
        app.orders.create(&user, items).await?
    };
    Ok((StatusCode::CREATED, Answer(order)))
}

async fn list(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Listing>, Problem> {
    app.orders.list(&user, wanted).await.map(Answer)
}

async fn show(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Order>, Problem> {
    app.orders.get(&user, id).await.map(Answer)
}

async fn cancel(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    dry_run: DryRun,
    Path(id): Path<i64>,
) -> Result<Answer<Order>, Problem> {
    app.orders.cancel(dry_run, &user, id).await.map(Answer)
}

/// `?item=ID:QTY`, once per line.
async fn quote(
    State(app): State<App>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Answer<Quote>, Problem> {
    let items = pairs.iter().filter(|(name, _)| name == "item");
    let lines = items.map(|(_, value)| line(value)).collect::<Result<_, _>>()?;
    app.orders.quote(lines).await.map(Answer)
}

fn line(text: &str) -> Result<Line, Problem> {
    text.split_once(':')
        .and_then(|(id, quantity)| {
            Some(Line { ticket_id: id.parse().ok()?, quantity: quantity.parse().ok()? })
        })
        .ok_or_else(|| Problem::invalid("item", "must be `ID:QUANTITY`"))
}

async fn watch(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<impl IntoResponse, Problem> {
    let changes = stream::changes(app, user, id).await?;
    Ok(Sse::new(changes).keep_alive(KeepAlive::default()))
}

async fn ticket(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Result<impl IntoResponse, Problem> {
    let order = app.orders.get(&user, id).await?;
    if order.status != "complete" {
        return Err(Problem::conflict("the order is not complete"));
    }
    Ok(([(CONTENT_TYPE, "image/svg+xml")], picture::of(&order)?))
}

async fn of_anybody(State(app): State<App>, Path(id): Path<i64>) -> Result<Answer<Placed>, Problem> {
    app.orders.of_anybody(id).await.map(Answer)
}
