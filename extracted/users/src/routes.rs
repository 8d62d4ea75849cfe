//! `/api/users/*` for everybody, `/internal/session` and `/internal/keys` for the other programs of the shop.

use std::sync::Arc;

use axum::{
    Json as Answer, Router,
    extract::{FromRef, FromRequestParts, State as Extracted},
    http::{HeaderMap, StatusCode, header::SET_COOKIE, request::Parts as RequestParts},
    middleware,
    response::IntoResponse,
    routing::{get, patch, post},
};
use boxoffice_kit::{
    Connection, Problem, Tx,
    database::Flag,
    identity::{Identified, Sessions, SignedIn, Signer, User, session_token, token_hash},
    next_id,
    problem::Json,
    service::{Kit, Parts, inside_only},
    writer::{State, gate, hold},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::{
    Settings,
    password::{self, Verdict},
    repository::{self, Account, Session},
};

/// RFC 5321 4.5.3.1: a path of 256 octets with its brackets.
const EMAIL_MAX: usize = 254;
const NAME_MAX: usize = 100;
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=128;

/// What handlers reach.
#[derive(Clone)]
struct Users {
    kit: Kit,
    sessions: Sessions,
    signer: Arc<OnceCell<Signer>>,
    cookie_end: String,
}

/// The routes of this service.
pub fn routes(parts: &Parts, settings: Settings) -> Router {
    let domain = settings.cookie_domain.map(|domain| format!("; Domain={domain}"));
    let users = Users {
        kit: parts.kit.clone(),
        sessions: parts.sessions.clone().of_the_other_side(),
        signer: Arc::default(),
        cookie_end: domain.unwrap_or_default(),
    };
    let gate = middleware::from_fn_with_state(parts.kit.gate("users"), gate);
    // Who may ask is settled before the gate: what it passes on comes from one of us.
    let inside = Router::new()
        .route("/internal/session", get(session))
        .route_layer(gate.clone())
        .route("/internal/keys", get(keys))
        .route_layer(middleware::from_fn(inside_only));
    Router::new()
        .route("/api/users/signup", post(sign_up))
        .route("/api/users/signin", post(sign_in))
        .route("/api/users/signout", post(sign_out))
        .route("/api/users/currentuser", get(current_user))
        .route("/api/users/me", patch(change_me))
        .route_layer(gate)
        .merge(inside)
        .with_state(users)
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

#[derive(Deserialize)]
struct Change {
    name: String,
}

async fn sign_up(
    Extracted(users): Extracted<Users>,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let email = checked_email(&given.email)?;
    if !PASSWORD_LENGTH.contains(&given.password.len()) {
        return Err(Problem::invalid("password", "must have 8 to 128 characters"));
    }
    let password_hash = password::hash(given.password).await?;
    let mut tx = users.begin().await?;
    if repository::by_email(&mut tx, &email).await?.is_some() {
        return Err(Problem::invalid("email", "is taken"));
    }
    let id = next_id(&mut tx, "users").await?;
    let created_at = Timestamp::now().to_string();
    let account = Account { id, email, name: String::new(), password_hash, version: 1, created_at };
    repository::save_user(&mut tx, &account).await?;
    repository::tell_registered(&mut tx, &account).await?;
    let cookie = users.begin_session(&mut tx, id).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Answer(account.user())))
}

async fn sign_in(
    Extracted(users): Extracted<Users>,
    Json(given): Json<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let email = given.email.trim().to_lowercase();
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "e-mail or password is wrong");
    if email.contains('\0') {
        return Err(wrong()); // PostgreSQL has no such text
    }
    let found = repository::by_email(&mut *users.kit.database.read.acquire().await?, &email).await?;
    let stored = found.as_ref().map(|account| account.password_hash.clone());
    let verdict = password::verify(given.password, stored).await?;
    let (Some(account), Verdict::Right | Verdict::Outdated(_)) = (found, &verdict) else {
        return Err(wrong());
    };
    let mut tx = users.begin().await?;
    if let Verdict::Outdated(password_hash) = verdict {
        users.change(&mut tx, account.id, |account| account.password_hash = password_hash).await?;
    }
    let cookie = users.begin_session(&mut tx, account.id).await?;
    tx.commit().await?;
    Ok(([(SET_COOKIE, cookie)], Answer(account.user())))
}

async fn sign_out(
    Extracted(users): Extracted<Users>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    if let Some(token) = session_token(&headers) {
        let mut tx = users.begin().await?;
        if let Some(session) = repository::session(&mut tx, &token_hash(token)).await? {
            let ended = Session { ended: Flag(true), version: session.version + 1, ..session };
            repository::save_session(&mut tx, &ended).await?;
        }
        tx.commit().await?;
    }
    Ok(([(SET_COOKIE, users.cookie(""))], Answer(json!({}))))
}

async fn current_user(Visitor(user): Visitor) -> impl IntoResponse {
    Answer(json!({ "currentUser": user }))
}

async fn change_me(
    Visitor(user): Visitor,
    Extracted(users): Extracted<Users>,
    change: Result<Json<Change>, Problem>,
) -> Result<Answer<User>, Problem> {
    let user = user.ok_or_else(Problem::not_signed_in)?;
    let name = change?.0.name.trim().to_owned();
    if name.is_empty() || name.len() > NAME_MAX {
        return Err(Problem::invalid("name", "must have 1 to 100 characters"));
    }
    if name.contains(char::is_control) {
        return Err(Problem::invalid("name", "must not have control characters"));
    }
    let mut tx = users.begin().await?;
    let account = users.change(&mut tx, user.id, |account| account.name = name).await?;
    tx.commit().await?;
    Ok(Answer(account.user()))
}

async fn session(
    Extracted(users): Extracted<Users>,
    Visitor(user): Visitor,
) -> Result<Answer<Identified>, Problem> {
    users.signer().await?.sign(user.ok_or_else(Problem::not_signed_in)?).map(Answer)
}

async fn keys(Extracted(users): Extracted<Users>) -> Result<impl IntoResponse, Problem> {
    Ok(Answer(json!({ "keys": [users.signer().await?.public_key()] })))
}

impl Users {
    /// A transaction of the writer. There is one at a time: what it reads nobody changes before it ends.
    async fn begin(&self) -> Result<Tx, Problem> {
        let mut tx = self.kit.database.begin().await?;
        hold(&mut tx, "users").await?;
        Ok(tx)
    }

    async fn change(
        &self,
        tx: &mut Connection,
        id: i64,
        change: impl FnOnce(&mut Account) + Send,
    ) -> Result<Account, Problem> {
        let mut account = repository::by_id(tx, id).await?.ok_or_else(Problem::not_signed_in)?;
        change(&mut account);
        account.version += 1;
        repository::save_user(tx, &account).await?;
        Ok(account)
    }

    /// The cookie of a new session.
    async fn begin_session(&self, tx: &mut Connection, user_id: i64) -> Result<String, Problem> {
        let mut token = [0_u8; 32];
        getrandom::fill(&mut token).map_err(|error| Problem::internal(&error))?;
        let token = hex::encode(token);
        let created_at = Timestamp::now().to_string();
        let session =
            Session { token_hash: token_hash(&token), user_id, ended: Flag(false), version: 1, created_at };
        repository::save_session(tx, &session).await?;
        Ok(self.cookie(&token))
    }

    /// The `Set-Cookie` value that begins a session, or ends it when the token is empty.
    fn cookie(&self, token: &str) -> String {
        let end = if token.is_empty() { "; Max-Age=0" } else { "" };
        format!("session={token}; Path=/; HttpOnly; SameSite=Lax{}{end}", self.cookie_end)
    }

    async fn signer(&self) -> Result<&Signer, Problem> {
        let stored = || async {
            let fresh = hex::encode(Signer::generate()?);
            let key = repository::key(&self.kit.database, &fresh).await?;
            Signer::new(&hex::decode(key).map_err(|error| Problem::internal(&error))?)
        };
        self.signer.get_or_try_init(stored).await
    }
}

/// The user of a request if there is one.
struct Visitor(Option<User>);

impl FromRequestParts<Users> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut RequestParts, users: &Users) -> Result<Self, Problem> {
        let Some(token) = session_token(&parts.headers) else { return Ok(Self(None)) };
        let is_writer = users.kit.writers.state("users").await? == State::Here;
        let known = repository::user_by_session(&users.kit.database, &token_hash(token)).await?;
        if is_writer || known.is_some() {
            return Ok(Self(known));
        }
        // A replica lags a little: the other side knows who has signed in just now.
        match SignedIn::from_request_parts(parts, users).await {
            Ok(SignedIn(user)) => Ok(Self(Some(user))),
            Err(problem) if problem.is_callers() => Ok(Self(None)),
            Err(problem) => Err(problem),
        }
    }
}

impl FromRef<Users> for Sessions {
    fn from_ref(users: &Users) -> Self {
        users.sessions.clone()
    }
}

fn checked_email(given: &str) -> Result<String, Problem> {
    let email = given.trim().to_lowercase();
    let has_parts = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    if email.len() > EMAIL_MAX || !has_parts || email.contains(is_odd) {
        return Err(Problem::invalid("email", "must be an e-mail address"));
    }
    Ok(email)
}
