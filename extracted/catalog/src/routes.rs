//! `/api/tickets`, and the float prices of `/api/v0/tickets`.

use axum::{
    Json as Answer, Router,
    extract::{FromRef, State},
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use boxoffice_kit::{
    Database, Problem,
    dry_run::{DryRun, honour},
    identity::{Sessions, SignedIn},
    problem::{Json, Path, Query},
    service::Parts,
    writer::{Gate, gate},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{MODULE, repository};

const ADMINISTRATOR: i64 = 1;
const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: i64 = 20;
const TITLE_MAX: usize = 200;
/// A million: sums of orders stay far from overflow.
const PRICE_MAX_CENTS: i64 = 100_000_000;
const CAPACITY_MAX: i64 = 1_000_000;

#[derive(Clone, FromRef)]
struct Shop {
    database: Database,
    sessions: Sessions,
}

/// The routes, each behind its gate. To look at a ticket is to write: it counts.
pub fn routes(parts: &Parts) -> Router {
    let shop = Shop { database: parts.kit.database.clone(), sessions: parts.sessions.clone() };
    let writing = parts.kit.gate(MODULE);
    let looking = Gate { reads_write: true, ..writing.clone() };
    Router::new()
        .route("/api/tickets", get(list).post(create))
        .route("/api/v0/tickets", get(list_v0))
        .route("/api/admin/tickets/reprice", post(reprice))
        .layer(from_fn_with_state(writing, gate))
        .merge(
            Router::new()
                .route("/api/tickets/{id}", get(view).put(update).delete(delete))
                .layer(from_fn_with_state(looking, gate)),
        )
        .layer(from_fn(honour))
        .with_state(shop)
}

/// A ticket on sale.
#[derive(Serialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ticket {
    id: i64,
    title: String,
    price_cents: i64,
    owner_id: i64,
    views: i64,
    status: String,
    version: i64,
    created_at: String,
}

/// What a seller says of a ticket.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offer {
    pub(crate) title: String,
    pub(crate) price_cents: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct New {
    title: String,
    price_cents: i64,
    capacity: i64,
}

#[derive(Deserialize)]
struct Wanted {
    q: Option<String>,
    status: Option<String>,
    page: Option<i64>,
    limit: Option<i64>,
}

#[derive(Serialize)]
struct Listing {
    tickets: Vec<Ticket>,
    page: i64,
    limit: i64,
    total: i64,
}

async fn list(
    State(database): State<Database>,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Listing>, Problem> {
    let status = wanted.status.unwrap_or_default();
    if !["", "on_sale", "sold_out"].contains(&status.as_str()) {
        return Err(Problem::invalid("status", "must be on_sale or sold_out"));
    }
    let page = wanted.page.unwrap_or(1).clamp(1, i64::from(i32::MAX));
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let (like, part) = ((wanted.q.unwrap_or_default(), status), (limit, (page - 1) * limit));
    let mut connection = database.read.acquire().await?;
    let (tickets, total) = repository::list(&mut connection, (&like.0, &like.1), part).await?;
    Ok(Answer(Listing { tickets, page, limit, total }))
}

async fn view(
    State(database): State<Database>,
    dry: DryRun,
    Path(id): Path<i64>,
) -> Result<Answer<Ticket>, Problem> {
    let mut tx = database.begin().await?;
    dry.hold(&mut tx, MODULE).await?;
    repository::count_view(&mut tx, id).await?;
    let ticket = repository::get(&mut tx, id).await?.ok_or_else(|| Problem::not_found("ticket"))?;
    dry.end(tx).await?;
    Ok(Answer(ticket))
}

async fn create(
    State(database): State<Database>,
    dry: DryRun,
    SignedIn(owner): SignedIn,
    Json(new): Json<New>,
) -> Result<(StatusCode, Answer<Ticket>), Problem> {
    let offer = checked(Offer { title: new.title, price_cents: new.price_cents })?;
    if !(0..=CAPACITY_MAX).contains(&new.capacity) {
        return Err(Problem::invalid("capacity", "must be 0 to 1000000"));
    }
    let mut tx = database.begin().await?;
    dry.hold(&mut tx, MODULE).await?;
    let id = repository::insert(&mut tx, owner.id, &offer, new.capacity).await?;
    let ticket = repository::get(&mut tx, id).await?.ok_or_else(|| Problem::not_found("ticket"))?;
    dry.end(tx).await?;
    Ok((StatusCode::CREATED, Answer(ticket)))
}

async fn update(
    State(database): State<Database>,
    dry: DryRun,
    SignedIn(owner): SignedIn,
    Path(id): Path<i64>,
    Json(offer): Json<Offer>,
) -> Result<Answer<Ticket>, Problem> {
    let offer = checked(offer)?;
    let mut tx = database.begin().await?;
    dry.hold(&mut tx, MODULE).await?;
    let done = repository::update(&mut tx, (id, owner.id), &offer).await?;
    let ticket = repository::get(&mut tx, id).await?;
    dry.end(tx).await?;
    owned(done, ticket).map(Answer)
}

async fn delete(
    State(database): State<Database>,
    dry: DryRun,
    SignedIn(owner): SignedIn,
    Path(id): Path<i64>,
) -> Result<Answer<Value>, Problem> {
    let mut tx = database.begin().await?;
    dry.hold(&mut tx, MODULE).await?;
    let ticket = repository::get(&mut tx, id).await?;
    let done = repository::delete(&mut tx, (id, owner.id)).await?;
    dry.end(tx).await?;
    owned(done, ticket).map(|_| Answer(json!({})))
}

/// The ticket that was changed, or why it was not.
fn owned(done: bool, ticket: Option<Ticket>) -> Result<Ticket, Problem> {
    match ticket {
        Some(ticket) if done => Ok(ticket),
        Some(_) => Err(Problem::new(StatusCode::FORBIDDEN, "this ticket is somebody else's")),
        None => Err(Problem::not_found("ticket")),
    }
}

#[derive(Deserialize)]
struct Reprice {
    percent: i64,
}

async fn reprice(
    State(database): State<Database>,
    dry: DryRun,
    SignedIn(user): SignedIn,
    Json(Reprice { percent }): Json<Reprice>,
) -> Result<Answer<Value>, Problem> {
    if user.id != ADMINISTRATOR {
        return Err(Problem::new(StatusCode::FORBIDDEN, "only the administrator may"));
    }
    if !(-50..=100).contains(&percent) {
        return Err(Problem::invalid("percent", "must be -50 to 100"));
    }
    let mut tx = database.begin().await?;
    dry.hold(&mut tx, MODULE).await?;
    let repriced = repository::reprice(&mut tx, percent).await?;
    dry.end(tx).await?;
    Ok(Answer(json!({ "repriced": repriced })))
}

fn checked(offer: Offer) -> Result<Offer, Problem> {
    if offer.title.trim().is_empty() || offer.title.len() > TITLE_MAX {
        return Err(Problem::invalid("title", "must have 1 to 200 characters"));
    }
    if !(0..=PRICE_MAX_CENTS).contains(&offer.price_cents) {
        return Err(Problem::invalid("priceCents", "must be 0 to 100000000"));
    }
    Ok(offer)
}

/// The first version of the API, still called by somebody: float prices, dates by day.
#[derive(Serialize)]
struct TicketV0 {
    id: i64,
    name: String,
    price: f64,
    date: String,
}

impl From<Ticket> for TicketV0 {
    #[expect(clippy::cast_precision_loss, reason = "exactly what v0 does to prices")]
    fn from(ticket: Ticket) -> Self {
        let day = ticket.created_at.parse::<Timestamp>().unwrap_or_default();
        let (price, date) = (ticket.price_cents as f64 / 100.0, day.strftime("%d/%m/%Y").to_string());
        Self { id: ticket.id, name: ticket.title, price, date }
    }
}

async fn list_v0(database: State<Database>, wanted: Query<Wanted>) -> Result<Answer<Vec<TicketV0>>, Problem> {
    let Answer(page) = list(database, wanted).await?;
    Ok(Answer(page.tickets.into_iter().map(TicketV0::from).collect()))
}
