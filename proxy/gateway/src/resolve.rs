//! Names of targets to addresses, asynchronously, by the system's resolver.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

/// A name is looked up again this often; how long its addresses are good for, the system's resolver does not tell.
const AGAIN_EVERY: Duration = Duration::from_secs(10);

/// How long a failed first look-up is not repeated: each takes a thread.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);

/// Addresses of one target: fixed, or looked up and refreshed.
pub(crate) struct Addresses {
    host: Box<str>,
    port: u16,
    fixed: bool,
    known: ArcSwap<Vec<SocketAddr>>,
    /// One first look-up at a time, and when the last one failed.
    failed: Mutex<Option<Instant>>,
    /// None of them could be connected to.
    is_suspect: AtomicBool,
}

impl Addresses {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let fixed = host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        Self {
            host: host.into(),
            port,
            fixed: fixed.is_some(),
            known: ArcSwap::from_pointee(fixed.into_iter().collect()),
            failed: Mutex::default(),
            is_suspect: AtomicBool::new(false),
        }
    }

    /// What is known, or a first look-up.
    pub(crate) async fn get(&self) -> io::Result<Arc<Vec<SocketAddr>>> {
        let known = self.known.load_full();
        if !known.is_empty() {
            return Ok(known);
        }
        let mut failed = self.failed.lock().await;
        let known = self.known.load_full();
        if !known.is_empty() {
            return Ok(known);
        }
        if failed.is_some_and(|at| at.elapsed() < FAILURE_HOLDS) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the name could not be resolved a moment ago",
            ));
        }
        let outcome = self.look_up().await;
        *failed = outcome.is_err().then(Instant::now);
        outcome.map(|()| self.known.load_full())
    }

    /// What is known now, without asking.
    pub(crate) fn known(&self) -> Arc<Vec<SocketAddr>> {
        self.known.load_full()
    }

    /// Nobody answers there: the name may mean another server by now.
    pub(crate) fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
    }

    /// Whether it is time to ask again. Asked once a second, which is therefore the shortest time between two look-ups.
    pub(crate) fn is_due(&self, since_last: Duration) -> bool {
        !self.fixed && (self.is_suspect.swap(false, Ordering::Relaxed) || since_last >= AGAIN_EVERY)
    }

    /// Asks again. A failure keeps what was known: a resolver that is down must not take the upstream with it.
    pub(crate) async fn refresh(&self) {
        if let Err(error) = self.look_up().await {
            tracing::warn!(host = %self.host, %error, "cannot resolve, keeping the addresses known before");
        }
    }

    async fn look_up(&self) -> io::Result<()> {
        let found: Vec<SocketAddr> = tokio::net::lookup_host((&*self.host, self.port)).await?.collect();
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        if **self.known.load() != found {
            self.known.store(Arc::new(found));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{AGAIN_EVERY, Addresses, Duration};

    #[test]
    fn a_name_is_asked_again_now_and_then_and_after_a_failure_to_connect() {
        let name = Addresses::new("shop.example", 80);
        assert!(!name.is_due(Duration::from_secs(1)));
        assert!(name.is_due(AGAIN_EVERY));
        name.suspect();
        assert!(name.is_due(Duration::from_secs(1)));
        assert!(!name.is_due(Duration::from_secs(1)), "once");
        let address = Addresses::new("::1", 80);
        address.suspect();
        assert!(!address.is_due(AGAIN_EVERY));
    }

    #[tokio::test]
    async fn a_resolver_that_fails_takes_nothing_away() {
        let name = Addresses::new("localhost", 80);
        let known = name.get().await.expect("the system knows it");
        let gone = Addresses { host: "no-such-host.invalid".into(), ..name };
        gone.refresh().await;
        assert_eq!(gone.known(), known);
    }
}
