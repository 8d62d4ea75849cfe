//! A new connection to one server: TCP, TLS where there is any, and HTTP of the version that both sides speak.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::dial::dial;
use crate::http1::upstream::Connection;
use crate::pool::Slot;
use crate::resolve::Addresses;
use crate::streams::Shared;
use crate::tls::{Name, Secure};
use crate::upstream_io::UpstreamIo;

/// How connections to one server are made.
pub(crate) struct Connector {
    addresses: Arc<Addresses>,
    /// Longest time for all of it.
    limit: Duration,
    tls: Option<Tls>,
    http2: bool,
}

struct Tls {
    secure: Arc<Secure>,
    /// `None` for a host that no certificate can name.
    name: Option<Name>,
}

/// A connection that may be asked.
pub(crate) enum Opened {
    Http1(Connection),
    Http2(Arc<Shared>),
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The name has no address.
    Resolve(io::Error),
    /// Refused, unreachable, out of descriptors.
    Io(io::Error),
    /// The handshake failed: most often a certificate that is not believed.
    Tls(io::Error),
    /// No answer in time.
    Timeout,
    /// The limit is reached and nobody gave one back in time.
    Exhausted,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => write!(out, "cannot resolve: {error}"),
            Self::Io(error) => write!(out, "cannot connect: {error}"),
            Self::Tls(error) => write!(out, "cannot connect with TLS: {error}"),
            Self::Timeout => write!(out, "cannot connect: timed out"),
            Self::Exhausted => write!(out, "all connections are in use"),
        }
    }
}

impl Connector {
    pub(crate) fn new(
        addresses: Arc<Addresses>,
        limit: Duration,
        secure: Option<(&Arc<Secure>, &str)>,
        http2: bool,
    ) -> Self {
        let tls = |(secure, host): (&Arc<Secure>, &str)| Tls {
            secure: Arc::clone(secure),
            name: secure.name_of(host),
        };
        Self { addresses, limit, tls: secure.map(tls), http2 }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether connections may turn out to be of HTTP/2.
    pub(crate) fn may_be_http2(&self) -> bool {
        self.http2
    }

    /// Without TLS, both sides know that it is HTTP/2.
    pub(crate) fn is_always_http2(&self) -> bool {
        self.http2 && self.tls.is_none()
    }

    /// To any address of the name; a failure makes the name be looked up again soon.
    pub(crate) async fn connect(&self, slot: &Arc<Slot>, only_http1: bool) -> Result<Opened, ConnectError> {
        let outcome = timeout(self.limit, async {
            let stream = self.dial().await?;
            self.over(stream, slot, only_http1).await
        });
        let outcome = outcome.await.unwrap_or(Err(ConnectError::Timeout));
        if matches!(outcome, Err(ConnectError::Io(_) | ConnectError::Tls(_) | ConnectError::Timeout)) {
            self.addresses.suspect();
        }
        outcome
    }

    async fn dial(&self) -> Result<TcpStream, ConnectError> {
        let addresses = self.addresses.get().await.map_err(ConnectError::Resolve)?;
        let first = fastrand::usize(..addresses.len().max(1));
        dial(&addresses, first).await.map_err(ConnectError::Io)
    }

    /// HTTP over a stream that is connected. Without a deadline: that is the caller's.
    pub(crate) async fn over(
        &self,
        stream: TcpStream,
        slot: &Arc<Slot>,
        only_http1: bool,
    ) -> Result<Opened, ConnectError> {
        let stream = UpstreamIo::new(stream, Arc::clone(slot));
        let Some(tls) = &self.tls else {
            let plain = Connection::plain;
            return if self.http2 { http2(stream, slot).await } else { Ok(Opened::Http1(plain(stream))) };
        };
        let no_name = || io::Error::other("no certificate can name the host");
        let name = tls.name.as_ref().ok_or_else(no_name).map_err(ConnectError::Tls)?;
        let shaken = tls.secure.shake_hands(name, stream, only_http1).await;
        let (stream, is_http2) = shaken.map_err(ConnectError::Tls)?;
        if is_http2 { http2(stream, slot).await } else { Ok(Opened::Http1(Connection::tls(stream))) }
    }
}

async fn http2<S>(stream: S, slot: &Arc<Slot>) -> Result<Opened, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = Shared::open(stream, Arc::clone(slot)).await;
    Ok(Opened::Http2(shared.map_err(|error| ConnectError::Io(io::Error::other(error)))?))
}
