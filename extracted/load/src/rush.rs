//! Many buyers at once for few tickets: exactly as many get one as there are.

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    client::{Answer, Ask, Connection},
    load::Plan,
};

/// Sells a new ticket of that capacity to `users` buyers at once, and takes it back from those who got it. One line per
/// thing that is off.
pub async fn rush(plan: &Plan, capacity: usize) -> Result<Vec<String>, String> {
    let connection = Connection::to(&plan.url)?;
    let buyers = plan.first_user..plan.first_user + plan.users;
    connection.knows(buyers.end - 1).await?;
    let offer = json!({ "title": "Rush", "priceCents": 1_000, "capacity": capacity });
    let ticket = connection.send(&Ask::by(buyers.start, "POST /api/tickets").json(&offer)).await?;
    let ticket = ticket.body["id"].as_i64().ok_or_else(|| format!("no ticket to sell: {}", ticket.text))?;
    let quote = Ask::new(format!("GET /api/orders/quote?item={ticket}:1"), "");
    connection.until(&quote, plan.soon, |answer| answer.status == 200).await?;
    let stock = Ask::new(format!("GET /api/tickets/{ticket}/availability"), "");
    let free = |answer: &Answer| answer.body["available"] == capacity && answer.body["sold"] == 0;
    connection.until(&stock, plan.soon, free).await?;

    // Each on a connection of its own.
    let order = json!({ "items": [{ "ticketId": ticket, "quantity": 1 }] });
    let mut orders = JoinSet::new();
    for buyer in buyers.clone() {
        let (connection, ask) = (Connection::to(&plan.url)?, Ask::by(buyer, "POST /api/orders").json(&order));
        orders.spawn(async move { connection.send(&ask).await });
    }
    let (mut problems, mut sold, mut refused) = (Vec::new(), 0, 0);
    for answer in orders.join_all().await {
        match answer.map(|answer| (answer.status, answer.text)) {
            Ok((201, _)) => sold += 1,
            Ok((409, _)) => refused += 1,
            other => problems.push(format!("a buyer got {other:?}")),
        }
    }
    let all = buyers.len();
    if (sold, refused) != (capacity.min(all), all.saturating_sub(capacity)) {
        problems.push(format!("{sold} of {all} buyers got one of {capacity}, {refused} were told no"));
    }

    // Whoever holds one, acknowledged or not, gives it back.
    let mut held = 0;
    for buyer in buyers {
        let list = connection.send(&Ask::by(buyer, "GET /api/orders?limit=20")).await?;
        for order in list.body["orders"].as_array().into_iter().flatten() {
            if order["items"][0]["ticketId"] == ticket && order["status"] == "awaiting_payment" {
                held += 1;
                let cancel = Ask::by(buyer, format!("DELETE /api/orders/{}", order["id"]));
                let Answer { status, text, .. } = connection.send(&cancel).await?;
                problems
                    .extend((status != 200).then(|| format!("cancelling was answered with {status} {text}")));
            }
        }
    }
    if held != sold {
        problems.push(format!("{sold} orders were acknowledged, {held} are there"));
    }
    connection.until(&stock, plan.soon, free).await?;
    Ok(problems)
}
