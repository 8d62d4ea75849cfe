//! Who somebody is: accounts, passwords, sessions. Owns `users` and `sessions`.

mod password;
mod repository;
mod routes;
mod service;
mod session;

use async_trait::async_trait;
use serde::Serialize;

pub(crate) use self::{
    password::hash,
    routes::routes,
    service::Local,
    session::{Credentials, SignedIn, Visitor, session_cookie},
};
use crate::problem::Problem;

/// A user as everybody may see one. The password's hash never leaves the repository's own type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) email: String,
}

/// The seam of the module.
#[async_trait]
pub(crate) trait Users: Send + Sync {
    /// Makes an account and a first session: the user and the session's token.
    async fn sign_up(&self, given: Credentials) -> Result<(User, String), Problem>;
    /// Begins a session: the user and its token.
    async fn sign_in(&self, given: Credentials) -> Result<(User, String), Problem>;
    /// Ends a session; an unknown token is no error.
    async fn sign_out(&self, token: &str) -> Result<(), Problem>;
    /// Whose session a token is.
    async fn by_session(&self, token: &str) -> Result<Option<User>, Problem>;
}
