//! A client that speaks HTTP/2.

use std::convert::Infallible;
use std::sync::Arc;

use http::Request;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::stages::{Stage, until_done, until_draining};
use super::{Broken, Connection, answer};
use crate::http1::Incoming;
use crate::message::{Answer, Fields, RequestHead};

/// How many times [`LATECOMER`] an HTTP/2 client may rest before its connection is closed in a drain: what it has not
/// opened a window for waits unseen.
const HTTP2_QUIET: u32 = 5;

/// Most HTTP/2 requests at a time on one connection.
const MAX_STREAMS: u32 = 100;
/// Most bytes of one HTTP/2 request that may wait to be forwarded.
const STREAM_WINDOW: u32 = 128 << 10;
/// The same for all requests of a connection: uploads that wait must not hold up the others.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;
/// Most bytes of one HTTP/2 answer that may wait for the client.
const SEND_BUFFER: usize = 64 << 10;

/// RFC 9113. Requests of one connection are answered side by side, on the thread of their connection.
pub(super) async fn serve<S>(connection: &Arc<Connection>, stream: S) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served_by = Arc::clone(connection);
    let service = service_fn(move |request: Request<_>| {
        let (head, body) = RequestHead::of_http2(request);
        let answering = answer(&served_by, head, Incoming::Http2(body));
        async move { Ok::<_, Infallible>(answering.await.into_http2()) }
    });
    let served = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .enable_connect_protocol()
        .max_header_list_size(u32::try_from(connection.limits().head_bytes).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    let stage = match until_draining(connection, served.as_mut(), Connection::rest_deadline).await {
        Stage::Ended(ended) => return Ok(ended?),
        other => other,
    };
    // GOAWAY: streams that are open end, no new ones begin.
    served.as_mut().graceful_shutdown();
    until_done(connection, served, HTTP2_QUIET).await?;
    if matches!(stage, Stage::HeadTooLate) { Err("no request in time".into()) } else { Ok(()) }
}

/// A call whose client reads a body as messages.
pub(super) fn is_grpc(fields: &Fields) -> bool {
    fields.get(&CONTENT_TYPE).is_some_and(|media| media.starts_with(b"application/grpc"))
}

/// What our HTTP/1 server sees to and hyper's of HTTP/2 does not: no body for HEAD, no waiting for a client that takes
/// nothing. Nor do clients of gRPC get words of our own, for they go by the status.
pub(super) fn fit(mut answer: Answer, is_head: bool, is_grpc: bool) -> Answer {
    if is_grpc && !is_head {
        answer.body.leave_out();
    }
    if is_head && let Some(length) = answer.body.leave_out() {
        answer.head.fields.insert(&CONTENT_LENGTH, &HeaderValue::from(length));
    }
    Answer { body: answer.body.relayed(), ..answer }
}
