//! Who is signed in. The session cookie is resolved once, by whoever knows the sessions; from there on a short-lived
//! signed field says it (ed25519, RFC 8032), so that no service behind needs to ask again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, StatusCode, header::COOKIE, request::Parts},
};
use jiff::Timestamp;
use reqwest::{Client, Url};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use serde::{Deserialize, Serialize};

use crate::{
    problem::Problem,
    service::{SOON, internal},
    writer::PASSED_ON,
};

/// The field that carries a signed identity between services.
pub const IDENTITY: &str = "x-boxoffice-identity";
/// How long a signature is good for: one request and what it leads to.
const GOOD_FOR: i64 = 30;
/// How long an answer is believed. A sign-out takes effect in other services after at most this time.
const REMEMBER: Duration = Duration::from_secs(2);
/// How many sessions are remembered; beyond it all are forgotten at once.
const REMEMBERED_MAX: usize = 10_000;

/// A user as everybody may see one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
pub struct User {
    /// The same everywhere.
    pub id: i64,
    /// In lower case.
    pub email: String,
    /// As people want to be called; empty when they did not say.
    pub name: String,
}

/// The answer of `/internal/session`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identified {
    /// Who it is.
    #[serde(flatten)]
    pub user: User,
    /// The same, signed.
    pub identity: String,
}

/// The signed-in user of a request; 401 without one.
pub struct SignedIn(
    /// Who it is.
    pub User,
);

#[derive(Serialize, Deserialize)]
struct Claim {
    user: User,
    until: i64,
}

/// Signs identities.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// A new private key, in the form [`Signer::new`] reads.
    pub fn generate() -> Result<Vec<u8>, Problem> {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        key.map(|key| key.as_ref().to_vec()).map_err(|error| Problem::internal(&error))
    }

    /// Signs with a private key (PKCS #8).
    pub fn new(pkcs8: &[u8]) -> Result<Self, Problem> {
        Ed25519KeyPair::from_pkcs8(pkcs8).map(Self).map_err(|error| Problem::internal(&error))
    }

    /// The user, signed.
    pub fn sign(&self, user: User) -> Result<Identified, Problem> {
        let claim = Claim { user: user.clone(), until: Timestamp::now().as_second() + GOOD_FOR };
        let claim = serde_json::to_vec(&claim).map_err(|error| Problem::internal(&error))?;
        let identity = format!("{}.{}", hex::encode(&claim), hex::encode(self.0.sign(&claim)));
        Ok(Identified { user, identity })
    }

    /// What others check signatures with, in hexadecimal.
    pub fn public_key(&self) -> String {
        hex::encode(self.0.public_key())
    }
}

/// The user of a signed identity; `None` when no such key signed it, or too long ago.
fn verified(identity: &str, keys: &[Vec<u8>]) -> Option<User> {
    let (claim, signature) = identity.split_once('.')?;
    let (claim, signature) = (hex::decode(claim).ok()?, hex::decode(signature).ok()?);
    keys.iter().find(|key| UnparsedPublicKey::new(&ED25519, key).verify(&claim, &signature).is_ok())?;
    let claim: Claim = serde_json::from_slice(&claim).ok()?;
    (claim.until >= Timestamp::now().as_second()).then_some(claim.user)
}

/// Asks whoever knows the sessions, and remembers for a moment.
#[derive(Clone)]
pub struct Sessions {
    client: Client,
    owner: Url,
    passed_on: bool,
    keys: Arc<Mutex<Vec<Vec<u8>>>>,
    remembered: Arc<Mutex<HashMap<String, (Instant, User)>>>,
}

#[derive(Serialize, Deserialize)]
struct Keys {
    keys: Vec<String>,
}

impl Sessions {
    /// Sessions known at an address such as `http://127.0.0.1:3000`.
    pub fn new(owner: Url, client: Client) -> Self {
        Self { client, owner, passed_on: false, keys: Arc::default(), remembered: Arc::default() }
    }

    /// For who knows sessions too: the other side says what it knows itself, and does not ask back.
    #[must_use]
    pub fn of_the_other_side(self) -> Self {
        Self { passed_on: true, ..self }
    }

    async fn user(&self, headers: &HeaderMap) -> Result<Option<User>, Problem> {
        if let Some(identity) = headers.get(IDENTITY).and_then(|value| value.to_str().ok()) {
            return self.by_identity(identity).await;
        }
        let Some(token) = session_token(headers) else { return Ok(None) };
        let known =
            locked(&self.remembered).get(token).filter(|(since, _)| since.elapsed() < REMEMBER).cloned();
        if let Some((_, user)) = known {
            return Ok(Some(user));
        }
        let user = self.ask(token).await.map_err(|error| cannot_check(&error))?;
        if let Some(user) = &user {
            let mut remembered = locked(&self.remembered);
            if remembered.len() >= REMEMBERED_MAX {
                remembered.clear();
            }
            remembered.insert(token.to_owned(), (Instant::now(), user.clone()));
        }
        Ok(user)
    }

    async fn by_identity(&self, identity: &str) -> Result<Option<User>, Problem> {
        let known = locked(&self.keys).clone();
        if let Some(user) = verified(identity, &known) {
            return Ok(Some(user));
        }
        // The keys may have changed since.
        let keys = self.fetch_keys().await.map_err(|error| cannot_check(&error))?;
        locked(&self.keys).clone_from(&keys);
        Ok(verified(identity, &keys))
    }

    async fn ask(&self, token: &str) -> reqwest::Result<Option<User>> {
        let request = self.client.get(self.at("internal/session")).header(COOKIE, format!("session={token}"));
        let request = if self.passed_on { request.header(PASSED_ON, 1) } else { request };
        let answer = internal(request).timeout(SOON).send().await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        Ok(Some(answer.error_for_status()?.json::<Identified>().await?.user))
    }

    async fn fetch_keys(&self) -> reqwest::Result<Vec<Vec<u8>>> {
        let answer = internal(self.client.get(self.at("internal/keys"))).timeout(SOON).send().await?;
        let keys: Keys = answer.error_for_status()?.json().await?;
        Ok(keys.keys.iter().filter_map(|key| hex::decode(key).ok()).collect())
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.owner.as_str().trim_end_matches('/'))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn
where
    Sessions: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let user = Sessions::from_ref(state).user(&parts.headers).await?;
        user.map(Self).ok_or_else(Problem::not_signed_in)
    }
}

/// The token of the first cookie named `session`.
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, token)| (name == "session").then_some(token))
}

/// What is stored of a token: who reads the table cannot be anybody.
pub fn token_hash(token: &str) -> String {
    hex::encode(digest(&SHA256, token.as_bytes()))
}

fn cannot_check(error: &reqwest::Error) -> Problem {
    tracing::warn!("cannot ask for a session: {error}");
    Problem::unavailable("sessions cannot be checked now")
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Signer, User, verified};

    #[test]
    fn a_signature_is_good_for_its_own_claim_and_key_only() {
        let signer = Signer::new(&Signer::generate().unwrap()).unwrap();
        let other = Signer::new(&Signer::generate().unwrap()).unwrap();
        let user = |id| User { id, email: format!("user-{id}@example.com"), name: String::new() };
        let one = signer.sign(user(1)).unwrap().identity;
        let two = signer.sign(user(2)).unwrap().identity;
        let keys = [hex::decode(signer.public_key()).unwrap()];
        assert_eq!(verified(&one, &keys), Some(user(1)));
        let (claim, signature) = (one.split_once('.').unwrap().0, two.split_once('.').unwrap().1);
        for forged in [format!("{claim}.{signature}"), claim.to_owned(), "zz.zz".to_owned(), String::new()] {
            assert_eq!(verified(&forged, &keys), None, "{forged}");
        }
        assert_eq!(verified(&other.sign(user(1)).unwrap().identity, &keys), None);
    }
}
