//! What signing up, in and out means.

use async_trait::async_trait;
use axum::http::StatusCode;

use super::{Credentials, User, Users, password, repository};
use crate::{database::Database, problem::Problem};

/// RFC 5321 4.5.3.1: a path of 256 octets with its brackets.
const EMAIL_MAX: usize = 254;
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=128;

/// Users in this process and this database.
pub(crate) struct Local {
    database: Database,
}

impl Local {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    async fn begin_session(&self, user: User) -> Result<(User, String), Problem> {
        let token = fresh_token()?;
        repository::insert_session(&self.database.write, &token, user.id).await?;
        Ok((user, token))
    }
}

#[async_trait]
impl Users for Local {
    async fn sign_up(&self, given: Credentials) -> Result<(User, String), Problem> {
        let email = checked_email(&given.email)?;
        if !PASSWORD_LENGTH.contains(&given.password.len()) {
            return Err(Problem::invalid("password", "must have 8 to 128 characters"));
        }
        let hash = password::hash(given.password).await?;
        match repository::insert_user(&self.database.write, &email, &hash).await? {
            Some(user) => self.begin_session(user).await,
            None => Err(Problem::invalid("email", "is taken")),
        }
    }

    async fn sign_in(&self, given: Credentials) -> Result<(User, String), Problem> {
        let found = repository::account(&self.database.read, &given.email.trim().to_lowercase()).await?;
        let (user, stored) = found.map(repository::Account::parts).unzip();
        let right = password::verify(given.password, stored).await?;
        match user {
            Some(user) if right => self.begin_session(user).await,
            _ => Err(Problem::new(StatusCode::BAD_REQUEST, "e-mail or password is wrong")),
        }
    }

    async fn sign_out(&self, token: &str) -> Result<(), Problem> {
        Ok(repository::delete_session(&self.database.write, token).await?)
    }

    async fn by_session(&self, token: &str) -> Result<Option<User>, Problem> {
        Ok(repository::user_by_session(&self.database.read, token).await?)
    }
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
    let half = || {
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(|error| Problem::internal(&error))?;
        Ok::<_, Problem>(u128::from_be_bytes(bytes))
    };
    Ok(format!("{:032x}{:032x}", half()?, half()?))
}
