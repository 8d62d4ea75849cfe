//! What is told to others: one envelope round the whole row that changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    database::{Connection, next_id},
    problem::Problem,
    query,
};

/// The version of the data's shape. Whoever changes it in a way old readers cannot read raises it.
const SCHEMA: u32 = 1;

/// An event as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Version 7: sorts by time.
    pub id: Uuid,
    /// Such as `order.created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The version of `data`'s shape.
    pub schema: u32,
    /// What it is about, such as `order-17`.
    pub aggregate: String,
    /// Grows with each change of the aggregate: who has seen a newer one keeps that.
    pub aggregate_version: i64,
    /// When.
    pub occurred_at: Timestamp,
    /// The request or event at the very beginning.
    pub correlation_id: Uuid,
    /// The event that led to this one.
    pub causation_id: Option<Uuid>,
    /// The whole row, so that a reader needs nothing else.
    pub data: Value,
}

tokio::task_local! {
    /// The event being handled: what is written meanwhile is its consequence.
    pub(crate) static CAUSE: (Uuid, Uuid);
}

impl Event {
    /// The data as a type.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_value(self.data.clone())
            .map_err(|error| Problem::internal(&format_args!("{} {}: {error}", self.kind, self.id)))
    }
}

/// Writes an event into the outbox, in the transaction of the change it tells of: both are there, or neither.
pub async fn publish(
    connection: &mut Connection,
    kind: &str,
    (aggregate, version): (String, i64),
    data: &impl Serialize,
) -> Result<(), Problem> {
    let id = Uuid::now_v7();
    let cause = CAUSE.try_with(|cause| *cause).ok();
    let event = Event {
        id,
        kind: kind.to_owned(),
        schema: SCHEMA,
        aggregate,
        aggregate_version: version,
        occurred_at: Timestamp::now(),
        correlation_id: cause.map_or(id, |(correlation, _)| correlation),
        causation_id: cause.map(|(_, causation)| causation),
        data: serde_json::to_value(data).map_err(|error| Problem::internal(&error))?,
    };
    let body = serde_json::to_string(&event).map_err(|error| Problem::internal(&error))?;
    let position = next_id(connection, "outbox").await?;
    query!("INSERT INTO outbox (position, subject, body) VALUES ($1, $2, $3)", position, kind, body)
        .execute(connection)
        .await?;
    Ok(())
}
