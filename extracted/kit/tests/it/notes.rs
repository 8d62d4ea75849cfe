//! Notes with numbers that have no gaps: POST `/notes` and GET `/notes`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, extract::State, middleware, routing::get};
use boxoffice_kit::{
    Connection, Database, Event, Problem, Tx, async_trait,
    inbox::{Inbox, Module},
    next_id, publish, query, query_as,
    service::{Failure, Kit, Options, assemble},
    sqlx,
    writer::{self, Owned, gate},
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

pub(crate) const OWNED: &[Owned] = &[Owned {
    name: "notes",
    fingerprint: &["SELECT id || '|' || text || '|' || version FROM notes"],
    counters: &[("notes", "SELECT coalesce(max(id), 0) FROM notes")],
}];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, sqlx::FromRow)]
pub(crate) struct Note {
    pub(crate) id: i64,
    pub(crate) text: String,
    pub(crate) version: i64,
}

pub(crate) struct Notes;

#[async_trait]
impl Module for Notes {
    fn listens(&self) -> &'static [&'static str] {
        &["note.written"]
    }

    async fn handle(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        let note: Note = event.data()?;
        if note.text == "poison" {
            return Err(Problem::conflict("cannot be handled"));
        }
        query!(
            "INSERT INTO notes (id, text, version) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE
             SET text = excluded.text, version = excluded.version WHERE notes.version < excluded.version",
            note.id,
            note.text,
            note.version
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn replay(&self, tx: &mut Connection, _: &str, offset: i64, limit: i64) -> Result<i64, Problem> {
        let notes =
            query_as!("SELECT id, text, version FROM notes ORDER BY id LIMIT $1 OFFSET $2", limit, offset);
        let notes: Vec<Note> = notes.fetch_all(&mut *tx).await?;
        for note in &notes {
            tell(tx, note).await?;
        }
        Ok(i64::try_from(notes.len()).unwrap())
    }
}

pub(crate) async fn tell(tx: &mut Connection, note: &Note) -> Result<(), Problem> {
    publish(tx, "note.written", (format!("note-{}", note.id), note.version), note).await
}

/// Writes the next note into an open transaction.
pub(crate) async fn write(tx: &mut Tx, text: &str) -> Result<Note, Problem> {
    writer::hold(tx, "notes").await?;
    let note = Note { id: next_id(tx, "notes").await?, text: text.to_owned(), version: 1 };
    query!("INSERT INTO notes (id, text, version) VALUES ($1, $2, 1)", note.id, &note.text)
        .execute(&mut **tx)
        .await?;
    tell(tx, &note).await?;
    Ok(note)
}

pub(crate) async fn database(address: &str) -> Database {
    Database::open(address, sqlx::migrate!("./tests/it/migrations")).await.unwrap()
}

/// A service, whose other side is the legacy of its options.
pub(crate) async fn service(options: Options, stop: CancellationToken) -> Result<(Router, Kit), Failure> {
    let database = database(&options.database).await;
    let own = ("notes", OWNED);
    assemble(own, &options, database, Arc::new(Notes), |parts| routes(&parts.kit), stop).await
}

/// One of two that hand over to each other.
pub(crate) async fn side(
    address: &str,
    other: &Url,
    at_first: writer::State,
    stop: CancellationToken,
) -> Router {
    let database = database(address).await;
    let module: Arc<dyn Module> = Arc::new(Notes);
    let inbox = Inbox::new(database.clone(), module.clone());
    let other_sides = BTreeMap::from([("notes", other.clone())]);
    let kit = Kit::new("notes", database, (module, OWNED), (other_sides, at_first), stop).await.unwrap();
    let events = boxoffice_kit::service::Events { subscribers: vec![other.clone()], ..Default::default() };
    kit.start_events(&events, inbox.clone());
    kit.app(routes(&kit), inbox).unwrap()
}

fn routes(kit: &Kit) -> Router {
    Router::new()
        .route("/notes", get(list).post(add))
        .layer(middleware::from_fn_with_state(kit.gate("notes"), gate))
        .with_state(kit.database.clone())
}

async fn list(State(database): State<Database>) -> Result<Json<Vec<Note>>, Problem> {
    Ok(Json(query_as!("SELECT id, text, version FROM notes ORDER BY id").fetch_all(&database.read).await?))
}

async fn add(State(database): State<Database>, text: String) -> Result<Json<Note>, Problem> {
    let mut tx = database.begin().await?;
    let note = write(&mut tx, &text).await?;
    tx.commit().await?;
    Ok(Json(note))
}
