//! A client that speaks HTTP/1.

use std::pin::Pin;
use std::sync::Arc;

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::sleep;

use super::stages::{Stage, until_done, until_draining};
use super::{Broken, Connection, answer};
use crate::guard::RefusedReason;

/// Most fields of one HTTP/1 request for which hyper needs no memory but its stack.
const FIELDS_ON_STACK: usize = 100;

/// To a client that takes too long over its head (RFC 9110 15.5.9).
const TOO_LATE: &[u8] = b"HTTP/1.1 408 Request Timeout\r\n\
    Banyan-Reason: head-timeout\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 34\r\n\
    Connection: close\r\n\r\n\
    408 Request Timeout: head-timeout\n";

pub(super) async fn serve<S>(connection: &Arc<Connection>, stream: S) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served_by = Arc::clone(connection);
    let service = service_fn(move |request| answer(&served_by, request));
    let limits = connection.limits();
    let mut builder = http1::Builder::new();
    builder.preserve_header_case(true).max_header_size(limits.head_bytes + limits.target_bytes);
    if limits.fields != FIELDS_ON_STACK {
        builder.max_headers(limits.fields);
    }
    let mut served = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    match until_draining(connection, Pin::new(&mut served), Connection::head_deadline).await {
        Stage::Ended(ended) => return connection.note(ended),
        Stage::HeadTooLate => return too_late(connection, served.into_parts().map(|parts| parts.io)).await,
        Stage::Draining | Stage::UsedUp => {}
    }
    // A next request may be on its way, written before its client can know of the stop. It is answered, and the
    // answer ends the connection.
    tokio::select! {
        biased;
        ended = &mut served => return connection.note(ended),
        () = sleep(connection.latecomer()) => {}
    }
    Pin::new(&mut served).graceful_shutdown();
    until_done(connection, Pin::new(&mut served), 1).await
}

/// Who has begun a head is told that it was not waited for; who only rested is not.
async fn too_late<S>(connection: &Connection, stream: Option<TokioIo<S>>) -> Result<(), Broken>
where
    S: AsyncWrite + Unpin,
{
    if connection.head_has_begun()
        && let Some(stream) = stream
    {
        connection.refused_unread(RefusedReason::HeadTimeout, StatusCode::REQUEST_TIMEOUT);
        let mut stream = stream.into_inner();
        stream.write_all(TOO_LATE).await?;
        stream.shutdown().await?;
    }
    Err("no request in time".into())
}
