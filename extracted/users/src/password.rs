//! Passwords at rest: argon2id in PHC strings. Old rows are `sha256$SALT$HEX` until their owner signs in.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use boxoffice_kit::Problem;
use ring::digest::{SHA256, digest};
use tokio::sync::Semaphore;

/// Memory in KiB and passes: OWASP's equivalent settings trade one for the other (2023: 19 MiB and 2).
/// Less here, because a sample must sign in on a small machine.
const MEMORY_KIB: u32 = 8 * 1024;
const PASSES: u32 = 2;
/// So many are hashed at once: each takes the memory. The others wait without a thread.
static HASHING: Semaphore = Semaphore::const_new(4);

/// Whether a password is the right one.
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, and to be stored like this from now on.
    Outdated(String),
}

/// Hashes a password with a fresh salt. Takes milliseconds of one thread, off the async ones.
pub(crate) async fn hash(password: String) -> Result<String, Problem> {
    off_thread(move || hash_now(&password)).await
}

/// Compares with the stored hash. Without one, and with an old one, it takes as long: the time of an answer must not tell
/// which accounts exist.
pub(crate) async fn verify(password: String, stored: Option<String>) -> Result<Verdict, Problem> {
    off_thread(move || {
        let Some(stored) = stored else { return hash_now(&password).map(|_| Verdict::Wrong) };
        if let Some((salt, hex)) = stored.strip_prefix("sha256$").and_then(|rest| rest.split_once('$')) {
            let fresh = hash_now(&password)?;
            let right = hex == hex::encode(digest(&SHA256, format!("{salt}{password}").as_bytes()));
            return Ok(if right { Verdict::Outdated(fresh) } else { Verdict::Wrong });
        }
        let stored = PasswordHash::new(&stored).map_err(|error| Problem::internal(&error))?;
        let right = argon2()?.verify_password(password.as_bytes(), &stored).is_ok();
        Ok(if right { Verdict::Right } else { Verdict::Wrong })
    })
    .await
}

fn hash_now(password: &str) -> Result<String, Problem> {
    let hash = argon2()?.hash_password(password.as_bytes()).map_err(|error| Problem::internal(&error))?;
    Ok(hash.to_string())
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
