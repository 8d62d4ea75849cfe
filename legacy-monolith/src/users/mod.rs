//! Who somebody is: accounts, passwords, sessions. Owns `users`, `sessions` and `keys`; the cart in a session's row is
//! the cart's.

mod http;
mod password;
mod repository;
mod routes;
mod service;
mod session;

use boxoffice_kit::{Problem, async_trait, writer::Owned};

pub(crate) use self::{
    http::Http,
    password::{hash, old_hash},
    repository::signer,
    routes::routes,
    service::Local,
    session::{Credentials, Session, SignedIn, Visitor, session_cookie, user_of},
};
pub(crate) use boxoffice_kit::identity::User;

/// What the new writer must have, too.
pub(crate) const OWNED: Owned = Owned {
    name: "users",
    fingerprint: &[
        "SELECT id || '|' || email || '|' || name || '|' || version FROM users",
        "SELECT token_hash || '|' || user_id || '|' || ended FROM sessions",
    ],
    counters: &[("users", "SELECT coalesce(max(id), 0) FROM users")],
};

/// The seam of the module.
#[async_trait]
pub(crate) trait Users: Send + Sync {
    /// Begins a session: the user and its token.
    async fn sign_in(&self, given: Credentials) -> Result<(User, String), Problem>;
    /// Whose session a token is.
    async fn by_session(&self, token: &str) -> Result<Option<User>, Problem>;
}
