//! Names of targets to addresses, asynchronously, by the system's resolver.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Addresses of one target: fixed, or looked up and refreshed.
pub(crate) struct Addresses {
    host: Box<str>,
    port: u16,
    fixed: bool,
    known: ArcSwap<Vec<SocketAddr>>,
}

impl Addresses {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let fixed = host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        Self {
            host: host.into(),
            port,
            fixed: fixed.is_some(),
            known: ArcSwap::from_pointee(fixed.into_iter().collect()),
        }
    }

    /// What is known, or a first look-up.
    pub(crate) async fn get(&self) -> io::Result<Arc<Vec<SocketAddr>>> {
        let known = self.known.load_full();
        if !known.is_empty() {
            return Ok(known);
        }
        self.look_up().await?;
        Ok(self.known.load_full())
    }

    /// What is known now, without asking.
    pub(crate) fn known(&self) -> Arc<Vec<SocketAddr>> {
        self.known.load_full()
    }

    /// Asks again. A failure keeps what was known: a resolver that is down must not take the upstream with it.
    pub(crate) async fn refresh(&self) {
        if self.fixed {
            return;
        }
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
