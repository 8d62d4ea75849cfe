//! `/api/tickets`, and the float prices of `/api/v0/tickets`.

use axum::{
    Json as Answer, Router,
    extract::{FromRef, State},
    http::StatusCode,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use boxoffice_kit::{
    Database, Problem, Tx,
    identity::{Sessions, SignedIn},
    problem::{Json, Path, Query},
    service::Parts,
    writer::{Gate, gate, hold},
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
    let (database, sessions) = (parts.kit.database.clone(), parts.sessions.clone());
    let looking = Gate { reads_write: true, ..parts.kit.gate(MODULE) };
    let one = Router::new()
        .route("/api/tickets/{id}", get(view).put(update).delete(delete))
        .route_layer(from_fn_with_state(looking, gate));
    Router::new()
        .route("/api/tickets", get(list).post(create))
        .route("/api/v0/tickets", get(list_v0))
        .route("/api/admin/tickets/reprice", post(reprice))
        .route_layer(from_fn_with_state(parts.kit.gate(MODULE), gate))
        .merge(one)
        .with_state(Shop { database, sessions })
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

type Answered<T> = Result<Answer<T>, Problem>;

async fn list(State(database): State<Database>, Query(wanted): Query<Wanted>) -> Answered<Listing> {
    let page = wanted.page.unwrap_or(1).clamp(1, i64::from(i32::MAX));
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let (part, status) = (wanted.q.unwrap_or_default(), wanted.status.unwrap_or_default());
    if !["", "on_sale", "sold_out"].contains(&status.as_str()) {
        return Err(Problem::invalid("status", "must be `on_sale` or `sold_out`"));
    }
    if part.contains(char::is_control) {
        return Err(Problem::invalid("q", "must not have control characters"));
    }
    // For LIKE: what is looked for means itself. The database alone folds cases: it knows fewer letters than Rust.
    let part = part.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    let (filter, slice) = ((&*format!("%{part}%"), &*status), (limit, (page - 1) * limit));
    let mut connection = database.read.acquire().await?;
    let (tickets, total) = repository::list(&mut connection, filter, slice).await?;
    Ok(Answer(Listing { tickets, page, limit, total }))
}

async fn view(State(database): State<Database>, Path(id): Path<i64>) -> Answered<Ticket> {
    let mut tx = begin(&database).await?;
    repository::count_view(&mut tx, id).await?;
    let ticket = repository::get(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Answer(ticket))
}

async fn create(
    State(database): State<Database>,
    SignedIn(user): SignedIn,
    Json(New { title, price_cents, capacity }): Json<New>,
) -> Result<(StatusCode, Answer<Ticket>), Problem> {
    let offer = checked(Offer { title, price_cents })?;
    if !(0..=CAPACITY_MAX).contains(&capacity) {
        return Err(Problem::invalid("capacity", "must be 0 to 1000000"));
    }
    let mut tx = begin(&database).await?;
    let id = repository::insert(&mut tx, user.id, &offer, capacity).await?;
    let ticket = repository::get(&mut tx, id).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Answer(ticket)))
}

async fn update(
    State(database): State<Database>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
    Json(offer): Json<Offer>,
) -> Answered<Ticket> {
    let offer = checked(offer)?;
    let mut tx = begin(&database).await?;
    own(&mut tx, user.id, id).await?;
    repository::update(&mut tx, id, &offer, false).await?;
    let ticket = repository::get(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Answer(ticket))
}

async fn delete(
    State(database): State<Database>,
    SignedIn(user): SignedIn,
    Path(id): Path<i64>,
) -> Answered<Value> {
    let mut tx = begin(&database).await?;
    let Ticket { title, price_cents, .. } = own(&mut tx, user.id, id).await?;
    repository::update(&mut tx, id, &Offer { title, price_cents }, true).await?;
    tx.commit().await?;
    Ok(Answer(json!({})))
}

#[derive(Deserialize)]
struct Reprice {
    percent: i64,
}

/// Half a cent is rounded up, as in fees.
async fn reprice(
    State(database): State<Database>,
    SignedIn(user): SignedIn,
    Json(Reprice { percent }): Json<Reprice>,
) -> Answered<Value> {
    if user.id != ADMINISTRATOR {
        return Err(Problem::new(StatusCode::FORBIDDEN, "only the administrator may"));
    }
    if !(-50..=100).contains(&percent) {
        return Err(Problem::invalid("percent", "must be -50 to 100"));
    }
    let mut tx = begin(&database).await?;
    let tickets = repository::on_sale(&mut tx).await?;
    let repriced = tickets.len();
    for Ticket { id, title, price_cents, .. } in tickets {
        let price_cents = ((price_cents * (100 + percent) + 50) / 100).min(PRICE_MAX_CENTS);
        repository::update(&mut tx, id, &Offer { title, price_cents }, false).await?;
    }
    tx.commit().await?;
    Ok(Answer(json!({ "repriced": repriced })))
}

async fn begin(database: &Database) -> Result<Tx, Problem> {
    let mut tx = database.begin().await?;
    hold(&mut tx, MODULE).await?;
    Ok(tx)
}

async fn own(tx: &mut Tx, user_id: i64, id: i64) -> Result<Ticket, Problem> {
    let ticket = repository::get(tx, id).await?;
    let is_own = ticket.owner_id == user_id;
    is_own
        .then_some(ticket)
        .ok_or_else(|| Problem::new(StatusCode::FORBIDDEN, "this ticket is somebody else's"))
}

fn checked(offer: Offer) -> Result<Offer, Problem> {
    if offer.title.trim().is_empty() || offer.title.len() > TITLE_MAX {
        return Err(Problem::invalid("title", "must have 1 to 200 characters"));
    }
    if offer.title.contains(char::is_control) {
        return Err(Problem::invalid("title", "must not have control characters"));
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
        let created: Timestamp = ticket.created_at.parse().unwrap_or_default();
        let (price, date) = (ticket.price_cents as f64 / 100.0, created.strftime("%d/%m/%Y").to_string());
        Self { id: ticket.id, name: ticket.title, price, date }
    }
}

async fn list_v0(database: State<Database>, wanted: Query<Wanted>) -> Answered<Vec<TicketV0>> {
    let Answer(page) = list(database, wanted).await?;
    Ok(Answer(page.tickets.into_iter().map(TicketV0::from).collect()))
}
