//! The HTML pages.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode, Uri,
        header::{HOST, LOCATION, SET_COOKIE},
    },
    middleware,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use boxoffice_kit::{Problem, problem::Path};
use serde::Deserialize;

use crate::{
    app::Shop,
    cart::Cart,
    catalog::{Catalog as _, Ticket, Wanted},
    orders::{self, Order},
    users::{Credentials, Session, User, Visitor, session_cookie},
};

const PAGES: [&str; 5] = ["tickets", "orders", "signin", "checkout", "reports"];

pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/", get(home))
        .route("/tickets", get(tickets))
        .route("/tickets/{id}", get(ticket))
        .route("/orders", get(orders))
        .route("/orders/{id}", get(order))
        .route("/signin", get(signin_form).post(signin))
        .route("/checkout", post(checkout))
}

/// `/Tickets/` is `/tickets`, as ever: there are links out there. Only pages are so lenient.
pub(crate) fn lenient(app: Router) -> Router {
    let rewrite = async |mut request: Request| {
        let path = request.uri().path().trim_end_matches('/').to_lowercase();
        let is_page = path.split('/').nth(1).is_some_and(|first| PAGES.contains(&first));
        if is_page && path != request.uri().path() {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            *request.uri_mut() = format!("{path}{query}").parse::<Uri>().unwrap_or_default();
        }
        request
    };
    Router::new().fallback_service(app).layer(middleware::map_request(rewrite))
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    user: Option<String>,
    tickets: i64,
}

#[derive(Template)]
#[template(path = "tickets.html")]
struct Tickets {
    user: Option<String>,
    tickets: Vec<Ticket>,
}

#[derive(Template)]
#[template(path = "ticket.html")]
struct OneTicket {
    user: Option<String>,
    ticket: Ticket,
}

#[derive(Template)]
#[template(path = "orders.html")]
struct MyOrders {
    user: Option<String>,
    cart: Cart,
    form_token: String,
    orders: Vec<Order>,
}

#[derive(Template)]
#[template(path = "order.html")]
struct OneOrder {
    user: Option<String>,
    order: Order,
}

#[derive(Template)]
#[template(path = "signin.html")]
struct Signin {
    user: Option<String>,
    problem: Option<String>,
}

async fn home(State(shop): State<Shop>, Visitor(user): Visitor) -> Result<Html<String>, Problem> {
    let tickets = shop.catalog.list(Wanted { limit: Some(1), ..Wanted::default() }).await?.total;
    page(&Home { user: name(user), tickets })
}

async fn tickets(State(shop): State<Shop>, Visitor(user): Visitor) -> Result<Html<String>, Problem> {
    let tickets = shop.catalog.list(Wanted { limit: Some(100), ..Wanted::default() }).await?.tickets;
    page(&Tickets { user: name(user), tickets })
}

async fn ticket(
    State(shop): State<Shop>,
    Visitor(user): Visitor,
    Path(id): Path<i64>,
) -> Result<Html<String>, Problem> {
    page(&OneTicket { user: name(user), ticket: shop.catalog.get(id).await? })
}

async fn orders(
    State(shop): State<Shop>,
    headers: HeaderMap,
    session: Result<Session, Problem>,
) -> Result<Response, Problem> {
    let Ok(session) = session else { return Ok(to(&shop, &headers, "/signin")) };
    let orders = shop.orders.now().await?.list(&session.user, orders::Wanted::default()).await?.orders;
    let form_token = shop.users.local.form_token(&session).await?;
    let cart = shop.cart.get(&session).await?;
    Ok(page(&MyOrders { user: name(Some(session.user)), cart, form_token, orders })?.into_response())
}

async fn order(
    State(shop): State<Shop>,
    headers: HeaderMap,
    session: Result<Session, Problem>,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    let Ok(session) = session else { return Ok(to(&shop, &headers, "/signin")) };
    let order = shop.orders.now().await?.get(&session.user, id).await?;
    Ok(page(&OneOrder { user: name(Some(session.user)), order })?.into_response())
}

#[derive(Deserialize)]
struct Checkout {
    form_token: String,
}

/// Orders what is in the cart, once: who comes second finds it empty. What is taken out is ordered or put back, whether or
/// not the buyer waits for it.
async fn checkout(
    State(shop): State<Shop>,
    headers: HeaderMap,
    session: Session,
    Form(given): Form<Checkout>,
) -> Result<Response, Problem> {
    if given.form_token != shop.users.local.form_token(&session).await? {
        return Err(Problem::new(StatusCode::FORBIDDEN, "this form is not from here"));
    }
    let (cart, orders) = (shop.cart.clone(), shop.orders.clone());
    let ordered = tokio::spawn(async move {
        let lines = cart.take(&session).await?;
        let ordered = orders.ask(|orders| orders.create(&session.user, lines.clone())).await;
        if ordered.is_err()
            && let Err(problem) = cart.put_back(&session, lines).await
        {
            tracing::warn!("a cart is lost: {problem}");
        }
        ordered
    });
    let order = ordered.await.map_err(|error| Problem::internal(&error))??;
    Ok(to(&shop, &headers, &format!("/orders/{}", order.id)))
}

async fn signin_form(Visitor(user): Visitor) -> Result<Html<String>, Problem> {
    page(&Signin { user: name(user), problem: None })
}

async fn signin(
    State(shop): State<Shop>,
    headers: HeaderMap,
    Form(given): Form<Credentials>,
) -> Result<Response, Problem> {
    let again = || Credentials { email: given.email.clone(), password: given.password.clone() };
    match shop.users.ask(|users| users.sign_in(again())).await {
        Ok((_, token)) => {
            let cookie = [(SET_COOKIE, session_cookie(&shop.settings, &token))];
            Ok((cookie, to(&shop, &headers, "/tickets")).into_response())
        }
        Err(problem) if problem.is_callers() => {
            let form = Signin { user: None, problem: Some(problem.message().to_owned()) };
            Ok((StatusCode::UNAUTHORIZED, page(&form)?).into_response())
        }
        Err(problem) => Err(problem),
    }
}

/// Sends the browser on, with an absolute address of our own, as old applications do.
fn to(shop: &Shop, headers: &HeaderMap, path: &str) -> Response {
    let host = || headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let own = shop.settings.public_url.clone().unwrap_or_else(|| format!("http://{}", host()));
    (StatusCode::SEE_OTHER, [(LOCATION, format!("{}{path}", own.trim_end_matches('/')))]).into_response()
}

fn name(user: Option<User>) -> Option<String> {
    user.map(|user| if user.name.is_empty() { user.email } else { user.name })
}

pub(crate) fn page(template: &impl Template) -> Result<Html<String>, Problem> {
    template.render().map(Html).map_err(|error| Problem::internal(&error))
}
