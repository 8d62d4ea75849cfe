//! One accepted stream: TLS if the listener asks for it, then the version of HTTP that the client speaks, with deadlines,
//! drain and lingering close.
//!
//! - `admission`: who may come in, and who it is. `beginning`: what comes before the first request.
//! - `http1`: our own server. `http2`: hyper's, and what it leaves to us. `stages`: how long they go on.
//! - `turns`: what the requests of a connection share.

mod admission;
mod beginning;
mod http1;
mod http2;
mod stages;
mod turns;

use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::forwarding::Scheme;
use crate::gateway::Shared;
use crate::http1::Incoming;
use crate::lingering::{Lingering, StreamState};
use crate::message::{Answer, RequestHead};
use crate::serve;
pub(crate) use turns::{Connection, Turn};

/// Longest wait for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection ended otherwise than the client wished.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Serves one client until either side closes or the drain begins and the requests in flight have ended. `socket` is what
/// `stream` reads and writes.
pub(crate) async fn serve_stream<S>(
    shared: Arc<Shared>,
    stream: S,
    peer: SocketAddr,
    scheme: Scheme,
    socket: RawFd,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let worker = shared.workers.here();
    let state = Arc::new(StreamState::of(Some(socket)));
    let mut stream = Lingering::new(stream, Arc::clone(&state));
    let admitted = match admission::admit(&shared, worker, &mut stream, peer).await {
        Ok(admitted) => admitted,
        Err(error) => {
            tracing::debug!(client = %peer, error = &*error, "connection refused");
            return;
        }
    };
    let peer = admitted.client;
    let connection = Connection::open(shared, admitted, scheme, state, worker);
    let ended = match &connection.shared.tls {
        Some(tls) if scheme == Scheme::Https => {
            // On the heap, so that connections without TLS do not carry the room for it.
            Box::pin(async {
                let handshake = tls.accept(stream);
                let stream = connection.begun(HANDSHAKE_TIMEOUT, handshake).await?;
                // That was no head.
                connection.stream.is_read_up();
                match stream.get_ref().1.alpn_protocol() {
                    Some(b"h2") => http2::serve(&connection, stream).await,
                    _ => http1::serve(&connection, stream).await,
                }
            })
            .await
        }
        _ if connection.shared.settings.h2c => {
            match connection.begun(connection.limits().keep_alive, stream.begins_with_http2()).await {
                Ok(true) => Box::pin(http2::serve(&connection, stream)).await,
                Ok(false) => http1::serve(&connection, stream).await,
                Err(error) => Err(error),
            }
        }
        _ => http1::serve(&connection, stream).await,
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, error = &*error, "connection ended");
    }
}

/// Answers one request of a connection.
fn answer(
    connection: &Arc<Connection>,
    head: Box<RequestHead>,
    body: Incoming,
) -> impl Future<Output = Answer> + Send + use<> {
    let connection = Arc::clone(connection);
    let is_http1 = head.version < Version::HTTP_2;
    let is_head = head.method == Method::HEAD;
    let is_last = connection.has_its_last();
    if is_last && !is_http1 {
        connection.is_used_up.store(true, Ordering::Relaxed);
    }
    let is_grpc = !is_http1 && http2::is_grpc(&head.fields);
    // An `async` block would hold what it waits for twice.
    serve::answer(&connection, head, body).map(move |mut answer| {
        if !is_http1 {
            answer = http2::fit(answer, is_head, is_grpc);
        }
        let ends = is_http1 && (is_last || connection.is_draining());
        if ends && answer.head.status != StatusCode::SWITCHING_PROTOCOLS {
            answer.head.fields.insert(&CONNECTION, &HeaderValue::from_static("close"));
        }
        answer
    })
}
