//! What signing up, in and out means.

use axum::http::StatusCode;
use boxoffice_kit::{
    Connection, Database, Event, Problem, Tx, async_trait, identity::token_hash, next_id, publish, writer,
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Credentials, User, Users, password,
    repository::{self, Account, Session},
};

/// RFC 5321 4.5.3.1: a path of 256 octets with its brackets.
const EMAIL_MAX: usize = 254;
const NAME_MAX: usize = 100;
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=128;

/// Users in this process and this database.
pub(crate) struct Local {
    database: Database,
}

impl Local {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    async fn begin(&self) -> Result<Tx, Problem> {
        let mut tx = self.database.begin().await?;
        writer::hold(&mut tx, "users").await?;
        Ok(tx)
    }

    /// Makes an account and a first session: the user and the session's token.
    pub(super) async fn sign_up(&self, given: Credentials) -> Result<(User, String), Problem> {
        let email = checked_email(&given.email)?;
        if !PASSWORD_LENGTH.contains(&given.password.len()) {
            return Err(Problem::invalid("password", "must have 8 to 128 characters"));
        }
        let password_hash = password::hash(given.password).await?;
        let mut tx = self.begin().await?;
        let id = next_id(&mut tx, "users").await?;
        let created_at = Timestamp::now().to_string();
        let account = Account { id, email, name: String::new(), password_hash, version: 1, created_at };
        if !repository::store(&mut tx, &account).await? {
            return Err(Problem::invalid("email", "is taken"));
        }
        tell_registered(&mut tx, &account).await?;
        tell(&mut tx, &account).await?;
        let token = begin_session(&mut tx, id).await?;
        tx.commit().await?;
        Ok((account.user(), token))
    }

    /// Ends a session; an unknown token is no error.
    pub(super) async fn sign_out(&self, token: &str) -> Result<(), Problem> {
        let mut tx = self.begin().await?;
        if let Some(session) = repository::end_session(&mut tx, &token_hash(token)).await? {
            tell_session(&mut tx, &session).await?;
        }
        Ok(tx.commit().await?)
    }

    pub(super) async fn rename(&self, user: &User, name: &str) -> Result<User, Problem> {
        let name = name.trim();
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(Problem::invalid("name", "must have 1 to 100 characters"));
        }
        let mut tx = self.begin().await?;
        let account = repository::by_id(&mut tx, user.id).await?;
        let account = Account { name: name.to_owned(), version: account.version + 1, ..account };
        repository::store(&mut tx, &account).await?;
        tell(&mut tx, &account).await?;
        tx.commit().await?;
        Ok(account.user())
    }

    /// The token that a form of this session must carry: whoever forges a form does not know it.
    pub(crate) async fn form_token(&self, session: &super::Session) -> Result<String, Problem> {
        let mut connection = self.database.read.acquire().await?;
        match repository::form_token(&mut connection, &session.key).await? {
            Some(token) if !token.is_empty() => Ok(token),
            _ => Ok(repository::set_form_token(&self.database, session, &fresh_token()?).await?),
        }
    }

    /// Stores what the users service tells.
    pub(crate) async fn replicate(&self, tx: &mut Connection, event: &Event) -> Result<(), Problem> {
        if event.kind == "session.changed" {
            return Ok(repository::store_session(tx, &event.data()?).await?);
        }
        let stored = repository::store(tx, &event.data()?).await?;
        stored.then_some(()).ok_or_else(|| Problem::conflict("two users with one address"))
    }

    /// Tells of the users, then of the sessions.
    pub(crate) async fn replay(&self, tx: &mut Connection, offset: i64, limit: i64) -> Result<i64, Problem> {
        let users = repository::users(tx, limit, offset).await?;
        for account in &users {
            tell_registered(tx, account).await?;
            tell(tx, account).await?;
        }
        let told = i64::try_from(users.len()).unwrap_or(limit);
        let before = repository::count_users(tx).await?;
        let sessions = repository::sessions(tx, limit - told, (offset - before).max(0)).await?;
        for session in &sessions {
            tell_session(tx, session).await?;
        }
        Ok(told + i64::try_from(sessions.len()).unwrap_or(limit))
    }
}

#[async_trait]
impl Users for Local {
    async fn sign_in(&self, given: Credentials) -> Result<(User, String), Problem> {
        let email = given.email.trim().to_lowercase();
        let found = repository::by_email(&mut *self.database.read.acquire().await?, &email).await?;
        let stored = found.as_ref().map(|account| account.password_hash.clone());
        let right = password::verify(given.password.clone(), stored).await?;
        let Some(account) = found.filter(|_| right) else {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "e-mail or password is wrong"));
        };
        // Only now is the password known that a better hash is made of.
        let is_old = password::is_old(&account.password_hash);
        let better = if is_old { password::hash(given.password).await? } else { String::new() };
        let mut tx = self.begin().await?;
        if is_old {
            let now = repository::by_id(&mut tx, account.id).await?;
            let upgraded = Account { password_hash: better, version: now.version + 1, ..now };
            repository::store(&mut tx, &upgraded).await?;
            tell(&mut tx, &upgraded).await?;
        }
        let token = begin_session(&mut tx, account.id).await?;
        tx.commit().await?;
        Ok((account.user(), token))
    }

    async fn by_session(&self, token: &str) -> Result<Option<User>, Problem> {
        let mut connection = self.database.read.acquire().await?;
        Ok(repository::user_by_session(&mut connection, &token_hash(token)).await?)
    }
}

async fn begin_session(tx: &mut Connection, user_id: i64) -> Result<String, Problem> {
    let token = fresh_token()?;
    let session = repository::begin_session(tx, &token_hash(&token), user_id).await?;
    tell_session(tx, &session).await?;
    Ok(token)
}

/// For everybody: without the password's hash.
async fn tell_registered(tx: &mut Connection, account: &Account) -> Result<(), Problem> {
    let data = json!({ "id": account.id, "email": account.email, "name": account.name, "createdAt": account.created_at });
    publish(tx, "user.registered", (format!("user-{}", account.id), account.version), &data).await
}

async fn tell(tx: &mut Connection, account: &Account) -> Result<(), Problem> {
    publish(tx, "user.changed", (format!("user-{}", account.id), account.version), account).await
}

async fn tell_session(tx: &mut Connection, session: &Session) -> Result<(), Problem> {
    publish(tx, "session.changed", (format!("session-{}", session.token_hash), session.version), session)
        .await
}

fn checked_email(given: &str) -> Result<String, Problem> {
    let email = given.trim().to_lowercase();
    let has_parts = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    if email.len() > EMAIL_MAX || !has_parts || email.contains(char::is_whitespace) {
        return Err(Problem::invalid("email", "must be an e-mail address"));
    }
    Ok(email)
}

/// 256 random bits in hexadecimal.
fn fresh_token() -> Result<String, Problem> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Problem::internal(&error))?;
    Ok(hex::encode(bytes))
}
