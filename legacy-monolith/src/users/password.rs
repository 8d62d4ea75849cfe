//! Passwords at rest: argon2id in PHC strings; `sha256$SALT$HEX` from the years before.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use boxoffice_kit::{Problem, identity::token_hash};
use tokio::sync::Semaphore;

/// Memory in KiB and passes: OWASP's equivalent settings trade one for the other (2023: 19 MiB and 2).
/// Less here, because a sample must sign in on a small machine.
const MEMORY_KIB: u32 = 8 * 1024;
const PASSES: u32 = 2;
/// So many are hashed at once: each takes the memory. The others wait without a thread.
static HASHING: Semaphore = Semaphore::const_new(4);

/// Hashes a password with a fresh salt. Takes milliseconds of one thread, off the async ones.
pub(crate) async fn hash(password: String) -> Result<String, Problem> {
    off_thread(move || {
        let hash = argon2()?.hash_password(password.as_bytes()).map_err(|error| Problem::internal(&error))?;
        Ok(hash.to_string())
    })
    .await
}

/// As it was done once.
pub(crate) fn old_hash(salt: &str, password: &str) -> String {
    format!("sha256${salt}${}", token_hash(&format!("{salt}{password}")))
}

/// Whether a stored hash should be replaced as soon as the password is known.
pub(super) fn is_old(stored: &str) -> bool {
    stored.starts_with("sha256$")
}

/// Whether `password` belongs to the stored hash. Without one, and when an old one differs, it takes as long and says no:
/// the time of an answer must not tell which accounts exist. Where an old one fits, the caller makes a better one.
pub(super) async fn verify(password: String, stored: Option<String>) -> Result<bool, Problem> {
    let Some(stored) = stored else {
        return hash(password).await.map(|_| false);
    };
    if is_old(&stored) {
        let salt = stored.split('$').nth(1).unwrap_or_default();
        let is_right = old_hash(salt, &password) == stored;
        return if is_right { Ok(true) } else { hash(password).await.map(|_| false) };
    }
    off_thread(move || {
        let stored = PasswordHash::new(&stored).map_err(|error| Problem::internal(&error))?;
        Ok(argon2()?.verify_password(password.as_bytes(), &stored).is_ok())
    })
    .await
}

fn argon2() -> Result<Argon2<'static>, Problem> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|error| Problem::internal(&error))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let permit = HASHING.acquire().await.map_err(|error| Problem::internal(&error))?;
    let hashed = tokio::task::spawn_blocking(move || {
        let _until_done = permit; // whether or not anybody still waits for it
        work()
    });
    hashed.await.map_err(|error| Problem::internal(&error))?
}
