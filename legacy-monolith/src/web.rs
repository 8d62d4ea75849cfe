//! The HTML pages.

use askama::Template;
use axum::{
    Form, Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{HOST, LOCATION, SET_COOKIE},
    },
    response::{Html, IntoResponse, Response},
    routing::get,
};

use boxoffice_kit::Problem;

use crate::{
    app::Shop,
    catalog::{Catalog as _, Ticket, Wanted},
    users::{Credentials, User, Visitor, session_cookie},
};

pub(crate) fn routes() -> Router<Shop> {
    Router::new()
        .route("/", get(home))
        .route("/tickets", get(tickets))
        .route("/signin", get(signin_form).post(signin))
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    email: Option<String>,
    tickets: i64,
}

#[derive(Template)]
#[template(path = "tickets.html")]
struct Tickets {
    email: Option<String>,
    tickets: Vec<Ticket>,
}

#[derive(Template)]
#[template(path = "signin.html")]
struct Signin {
    email: Option<String>,
    problem: Option<String>,
}

async fn home(State(shop): State<Shop>, Visitor(user): Visitor) -> Result<Html<String>, Problem> {
    let tickets = shop.catalog.list(Wanted { limit: Some(1), ..Wanted::default() }).await?.total;
    page(&Home { email: email(user), tickets })
}

async fn tickets(State(shop): State<Shop>, Visitor(user): Visitor) -> Result<Html<String>, Problem> {
    let tickets = shop.catalog.list(Wanted { limit: Some(100), ..Wanted::default() }).await?.tickets;
    page(&Tickets { email: email(user), tickets })
}

async fn signin_form(Visitor(user): Visitor) -> Result<Html<String>, Problem> {
    page(&Signin { email: email(user), problem: None })
}

/// Signs in and sends the browser on, with an absolute address of our own, as old applications do.
async fn signin(
    State(shop): State<Shop>,
    headers: HeaderMap,
    Form(given): Form<Credentials>,
) -> Result<Response, Problem> {
    match shop.users.now().await?.sign_in(given).await {
        Ok((_, token)) => {
            let location = format!("{}/tickets", own_address(&shop, &headers));
            let fields = [(LOCATION, location), (SET_COOKIE, session_cookie(&shop.settings, &token))];
            Ok((StatusCode::SEE_OTHER, fields).into_response())
        }
        Err(problem) if problem.is_callers() => {
            let form = Signin { email: None, problem: Some(problem.message().to_owned()) };
            Ok((StatusCode::UNAUTHORIZED, page(&form)?).into_response())
        }
        Err(problem) => Err(problem),
    }
}

fn own_address(shop: &Shop, headers: &HeaderMap) -> String {
    let host = || headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    shop.settings.public_url.clone().unwrap_or_else(|| format!("http://{}", host()))
}

fn email(user: Option<User>) -> Option<String> {
    user.map(|user| user.email)
}

fn page(template: &impl Template) -> Result<Html<String>, Problem> {
    template.render().map(Html).map_err(|error| Problem::internal(&error))
}
