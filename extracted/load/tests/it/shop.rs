//! A shop in memory that does what the contract says, but for one fault, at about every fifth occasion.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use boxoffice_load::signature;
use futures_util::stream;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

type Shop = Arc<Mutex<Memory>>;

#[derive(Default)]
struct Memory {
    fault: &'static str,
    /// So long an order may be paid, in seconds.
    pay_within: i64,
    /// By session, as everything of one user.
    names: HashMap<String, Value>,
    carts: HashMap<String, BTreeMap<i64, Value>>,
    notifications: HashMap<String, Vec<Value>>,
    /// With their owners.
    orders: Vec<(String, Value)>,
    payments: Vec<Value>,
    keys: HashMap<String, usize>,
    /// What is left of the one ticket that was put on sale.
    left: i64,
    occasions: u32,
    changed: watch::Sender<()>,
}

/// Orders may be paid for so many seconds.
pub(crate) fn shop(fault: &'static str, pay_within: i64) -> Router {
    let memory = Memory { fault, pay_within, ..Memory::default() };
    Router::new().fallback(answer).with_state(Arc::new(Mutex::new(memory)))
}

async fn answer(
    State(shop): State<Shop>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let field = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
    let session = field("cookie").trim_start_matches("session=");
    let parts: Vec<_> = uri.path().trim_matches('/').split('/').collect();
    let body = str::from_utf8(&body).unwrap();
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let mut memory = shop.lock().unwrap();
    memory.sweep();
    let (status, answer) = match (method.as_str(), &parts[..]) {
        ("GET", ["api", "orders", id, "stream"]) if memory.order(id).is_some() => {
            return watch_order(shop.clone(), memory.changed.subscribe(), (*id).to_owned());
        }
        ("POST", ["api", "payments"]) if session.is_empty() => (401, json!({})),
        ("POST", ["api", "payments"]) => memory.pay(session, field("idempotency-key"), &json),
        ("POST", ["webhooks", "pay"]) if signature("demo-secret", body) != field("x-pay-signature") => {
            (401, json!({}))
        }
        (method, parts) => memory.answer(method, parts, session, &json),
    };
    memory.changed.send_replace(());
    let answered = Response::builder().status(status).header("server", "memory");
    let cookie = format!("session={}; Path=/", json["email"].as_str().unwrap_or_default());
    answered.header("set-cookie", cookie).body(answer.to_string().into()).unwrap()
}

/// Ends when the order does.
fn watch_order(shop: Shop, mut changes: watch::Receiver<()>, id: String) -> Response {
    let text = async move {
        loop {
            let mut status = shop.lock().unwrap().order(&id).unwrap().1["status"].clone();
            if status != "awaiting_payment" {
                if shop.lock().unwrap().strikes("stream") {
                    status = "awaiting_payment".into();
                }
                return Ok::<_, String>(format!("event: status\ndata: {}\n\n", json!({ "status": status })));
            }
            changes.changed().await.unwrap();
        }
    };
    Response::new(Body::from_stream(stream::once(text)))
}

impl Memory {
    fn strikes(&mut self, fault: &str) -> bool {
        self.occasions += u32::from(self.fault == fault);
        self.fault == fault && self.occasions.is_multiple_of(5)
    }

    fn sweep(&mut self) {
        for (_, order) in &mut self.orders {
            let until: Timestamp = order["expiresAt"].as_str().unwrap().parse().unwrap();
            if order["status"] == "awaiting_payment" && until < Timestamp::now() {
                order["status"] = "cancelled".into();
            }
        }
    }

    fn order(&mut self, id: &str) -> Option<&mut (String, Value)> {
        self.orders.get_mut(id.parse::<usize>().ok()?.checked_sub(1)?)
    }

    fn payment(&mut self, id: &str) -> Option<&mut Value> {
        self.payments.get_mut(id.parse::<usize>().ok()?.checked_sub(1)?)
    }

    fn answer(&mut self, method: &str, parts: &[&str], session: &str, body: &Value) -> (u16, Value) {
        match (method, parts) {
            (_, ["api", "users", ..]) => self.user(method, session, body),
            ("POST", ["api", "tickets"]) => {
                self.left = body["capacity"].as_i64().unwrap();
                (201, json!({ "id": 1000 }))
            }
            ("GET", ["api", "tickets", _, "availability"]) => {
                let left = self.left;
                (200, json!({ "capacity": left, "reserved": 0, "sold": 0, "available": left }))
            }
            (_, ["api", "cart", ..]) => self.cart(method, parts, session, body),
            ("POST", ["api", "orders"]) => self.place(session, body),
            ("GET", ["api", "orders"]) => {
                let mine = self.orders.iter().rev().filter(|(owner, _)| owner == session);
                (200, json!({ "orders": mine.map(|(_, order)| order).collect::<Vec<_>>() }))
            }
            (_, ["api", "orders", id]) if *id != "quote" => {
                let Some((_, order)) = self.order(id) else { return (404, json!({})) };
                let sold = order["items"][0]["ticketId"] == 1000 && order["status"] == "awaiting_payment";
                match (method, order["status"].as_str().unwrap()) {
                    ("DELETE", "complete") => return (409, json!({})),
                    ("DELETE", _) => order["status"] = "cancelled".into(),
                    _ => {}
                }
                let order = order.clone();
                self.left += i64::from(method == "DELETE" && sold);
                (200, order)
            }
            ("GET", ["api", "payments", _]) if self.strikes("payment lost") => (404, json!({})),
            (_, ["api", "payments", id, ..]) => match self.payment(id) {
                Some(payment) if method == "POST" => {
                    payment["status"] = "refunded".into();
                    (200, payment.clone())
                }
                payment => payment.map_or((404, json!({})), |payment| (200, payment.clone())),
            },
            (_, ["webhooks", "pay"]) => {
                let settled = self.fault != "settled";
                self.payment(&body["payment"].to_string()).unwrap()["settled"] = settled.into();
                (200, json!({}))
            }
            (_, ["api", "notifications", rest @ ..]) => {
                let all = self.notifications.entry(session.to_owned()).or_default();
                if let [id, "read"] = rest {
                    all.iter_mut().filter(|one| one["id"] == *id).for_each(|one| one["read"] = true.into());
                }
                let unread = all.iter().filter(|one| one["read"] == false).count();
                (200, json!({ "notifications": all, "unread": unread }))
            }
            _ => (200, json!({})),
        }
    }

    fn user(&mut self, method: &str, session: &str, body: &Value) -> (u16, Value) {
        match method {
            "POST" => return (201, json!({})),
            "PATCH" if !self.strikes("name") => {
                self.names.insert(session.to_owned(), body["name"].clone());
            }
            _ => {}
        }
        (200, json!({ "currentUser": { "email": session, "name": self.names.get(session) } }))
    }

    fn cart(&mut self, method: &str, parts: &[&str], session: &str, body: &Value) -> (u16, Value) {
        let struck = self.strikes("cart");
        let cart = self.carts.entry(session.to_owned()).or_default();
        match (method, parts.get(3).and_then(|id| id.parse().ok())) {
            ("PUT", Some(id)) if !struck => {
                cart.insert(id, json!({ "ticketId": id, "quantity": body["quantity"] }));
            }
            ("DELETE", Some(id)) => drop(cart.remove(&id)),
            _ => {}
        }
        (200, json!({ "items": cart.values().collect::<Vec<_>>() }))
    }

    fn place(&mut self, session: &str, body: &Value) -> (u16, Value) {
        let id = self.orders.len() + 1;
        let number = if self.strikes("number twice") { id - 1 } else { id };
        if body["items"][0]["ticketId"] == 1000 {
            self.left -= 1;
            if self.left < 0 && self.fault != "oversold" {
                self.left = 0;
                return (409, json!({}));
            }
        }
        let now = Timestamp::now();
        let order = json!({
            "id": id, "number": number, "status": "awaiting_payment", "items": body["items"], "totalCents": 100,
            "createdAt": now, "expiresAt": now + SignedDuration::from_secs(self.pay_within),
        });
        let owner = if self.strikes("order lost") { "nobody" } else { session };
        self.orders.push((owner.to_owned(), order.clone()));
        if self.strikes("order twice") {
            self.place(session, body);
        }
        let notice = json!({ "id": format!("order-{id}-created"), "read": false });
        self.notifications.entry(session.to_owned()).or_default().push(notice);
        if self.strikes("503") { (503, json!({})) } else { (201, order) }
    }

    fn pay(&mut self, session: &str, key: &str, body: &Value) -> (u16, Value) {
        let (id, again) = (self.payments.len() + 1, self.strikes("paid twice"));
        if let Some(paid) = self.keys.get(key).filter(|_| self.fault != "paid twice") {
            return (200, self.payments[*paid].clone());
        }
        let cancels = self.strikes("paid and cancelled");
        let Some((owner, order)) = self.order(&body["orderId"].to_string()) else { return (404, json!({})) };
        match body["token"].as_str() {
            _ if owner != session => return (404, json!({})),
            _ if order["status"] != "awaiting_payment" && !again => return (409, json!({})),
            Some("tok_declined") => return (402, json!({})),
            Some("tok_unknown") => return (400, json!({})),
            _ => order["status"] = if cancels { "cancelled" } else { "complete" }.into(),
        }
        let payment = json!({
            "id": id, "orderId": order["id"], "amountCents": order["totalCents"], "status": "succeeded", "settled": false,
        });
        self.payments.push(payment.clone());
        self.keys.insert(key.to_owned(), id - 1);
        (201, payment)
    }
}
