//! The live status of one order, as server-sent events.

use std::{convert::Infallible, time::Duration};

use axum::response::sse::Event;
use boxoffice_kit::{Problem, identity::User};
use futures_util::{Stream, stream};
use serde_json::json;

use crate::{order::Order, routes::App};

/// Other processes may change the order too, so the stream looks into the database.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Events named `status`: the status now, then each change, until there can be none any more or the service stops.
pub(crate) async fn changes(
    app: App,
    buyer: User,
    id: i64,
) -> Result<impl Stream<Item = Result<Event, Infallible>>, Problem> {
    app.orders.get(&buyer, id).await?;
    Ok(stream::unfold((app, buyer, Some(0)), move |(app, buyer, seen)| async move {
        let Order { status, version, .. } = newer(&app, &buyer, (id, seen?)).await?;
        let event = Event::default()
            .event("status")
            .data(json!({ "status": status, "version": version }).to_string());
        let seen = (status == "awaiting_payment").then_some(version);
        Some((Ok(event), (app, buyer, seen)))
    }))
}

async fn newer(app: &App, buyer: &User, (id, seen): (i64, i64)) -> Option<Order> {
    loop {
        let order = app.orders.get(buyer, id).await.ok()?;
        if order.version > seen {
            return Some(order);
        }
        tokio::select! {
            () = app.stop.cancelled() => return None,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
