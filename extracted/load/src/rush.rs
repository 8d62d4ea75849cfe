//! Many buyers at once for few tickets: exactly as many get one as there are.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;
use tokio::{task::JoinSet, time::sleep};

use crate::{
    client::{Answer, Ask, Connection, session_of},
    load::{Plan, ready},
    visit::POLL,
};

/// Sells a new ticket of that capacity to `users` buyers at once, and takes it back from those who got it. One line per
/// thing that is off.
pub async fn rush(plan: &Plan, capacity: usize) -> Result<Vec<String>, String> {
    let connection = &Connection::to(&plan.url)?;
    ready(connection, plan.first_user + plan.users - 1).await?;
    let offer = json!({ "title": "Rush", "priceCents": 1_000, "capacity": capacity });
    let offer = Ask::new(Method::POST, "/api/tickets", session_of(plan.first_user)).json(&offer);
    let ticket = connection.send(&offer).await?;
    let ticket = ticket.body["id"].as_i64().ok_or_else(|| format!("no ticket to sell: {}", ticket.text))?;
    let path = format!("/api/tickets/{ticket}/availability");
    until(plan, connection, &format!("/api/orders/quote?item={ticket}:1"), |answer| answer.status == 200)
        .await?;
    until(plan, connection, &path, |answer| answer.body["available"] == capacity).await?;
    let buyers: Vec<_> = (plan.first_user..plan.first_user + plan.users).map(session_of).collect();
    let mut problems = Vec::new();

    let order = json!({ "items": [{ "ticketId": ticket, "quantity": 1 }] });
    let orders =
        buyers.iter().map(|buyer| Ask::new(Method::POST, "/api/orders", buyer).json(&order)).collect();
    let mut counts = (0, 0);
    for answer in at_once(plan, orders).await? {
        match answer.map(|answer| (answer.status, answer.text)) {
            Ok((201, _)) => counts.0 += 1,
            Ok((409, _)) => counts.1 += 1,
            other => problems.push(format!("a buyer got {other:?}")),
        }
    }
    if counts != (capacity.min(buyers.len()), buyers.len().saturating_sub(capacity)) {
        let (sold, refused) = counts;
        problems
            .push(format!("{sold} of {} buyers got one of {capacity}, {refused} were told no", buyers.len()));
    }

    // Whoever holds one, acknowledged or not, gives it back.
    let lists = buyers.iter().map(|buyer| Ask::new(Method::GET, "/api/orders?limit=20", buyer)).collect();
    let mut given_back = Vec::new();
    for (buyer, list) in buyers.iter().zip(at_once(plan, lists).await?) {
        for order in list?.body["orders"].as_array().into_iter().flatten() {
            if order["items"][0]["ticketId"] == ticket && order["status"] == "awaiting_payment" {
                given_back.push(Ask::new(Method::DELETE, format!("/api/orders/{}", order["id"]), buyer));
            }
        }
    }
    if given_back.len() != counts.0 {
        problems.push(format!("{} orders were acknowledged, {} are there", counts.0, given_back.len()));
    }
    for answer in at_once(plan, given_back).await? {
        let answer = answer?;
        if answer.status != 200 {
            problems.push(format!("cancelling was answered with {} {}", answer.status, answer.text));
        }
    }
    let free = |answer: &Answer| answer.body["available"] == capacity && answer.body["sold"] == 0;
    until(plan, connection, &path, free).await?;
    Ok(problems)
}

/// Each on a connection of its own; answers in the order of the questions.
async fn at_once(plan: &Plan, asks: Vec<Ask>) -> Result<Vec<Result<Answer, String>>, String> {
    let mut tasks = JoinSet::new();
    for (place, ask) in asks.into_iter().enumerate() {
        let connection = Connection::to(&plan.url)?;
        tasks.spawn(async move { (place, connection.send(&ask).await) });
    }
    let mut answers = tasks.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

async fn until(
    plan: &Plan,
    connection: &Connection,
    path: &str,
    right: impl Fn(&Answer) -> bool,
) -> Result<(), String> {
    let deadline = Instant::now() + plan.soon;
    loop {
        let answer = connection.send(&Ask::new(Method::GET, path, "")).await?;
        if right(&answer) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("GET {path}: not right after {:?}: {}", plan.soon, answer.text));
        }
        sleep(POLL).await;
    }
}
