//! A client that speaks HTTP/1.

use std::pin::pin;
use std::sync::Arc;

use http::StatusCode;
use http::header::{CONNECTION, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;

use super::stages::{Stage, until_done, until_draining};
use super::{Broken, Connection, answer};
use crate::answer::Own;
use crate::body::ResponseBody;
use crate::guard::RefusedReason;
use crate::http1::server::{Client, HeadLimits, Unread};
use crate::message::Answer;

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
    let limits = connection.limits();
    let heads = HeadLimits {
        fields_bytes: limits.head_bytes,
        target_bytes: limits.target_bytes,
        fields: limits.fields,
    };
    let client = Client::new(Box::new(stream));
    let outcome = {
        let refuse = |unread| refuse(connection, unread);
        let mut served = pin!(client.serve(heads, |head, body| answer(connection, head, body), refuse));
        match until_draining(connection, served.as_mut(), Connection::head_deadline).await {
            Stage::Ended(ended) => return Ok(ended?),
            Stage::HeadTooLate => None,
            Stage::Draining | Stage::UsedUp => Some(drain(connection, &client, served).await),
        }
    };
    match outcome {
        Some(drained) => drained,
        None => too_late(connection, &client).await,
    }
}

/// A next request may be on its way, written before its client can know of the stop. It is answered, and the answer ends the
/// connection.
async fn drain<F>(
    connection: &Connection,
    client: &Client,
    mut served: std::pin::Pin<&mut F>,
) -> Result<(), Broken>
where
    F: Future<Output = Result<(), crate::http1::Error>>,
{
    tokio::select! {
        biased;
        ended = &mut served => return Ok(ended?),
        () = sleep(connection.latecomer()) => {}
    }
    client.end_gracefully();
    until_done(connection, served, 1).await
}

/// Who has begun a head is told that it was not waited for; who only rested is not.
async fn too_late(connection: &Connection, client: &Client) -> Result<(), Broken> {
    if connection.head_has_begun() {
        connection.refused_unread(RefusedReason::HeadTimeout, StatusCode::REQUEST_TIMEOUT);
        client.say_and_close(TOO_LATE).await?;
    }
    Err("no request in time".into())
}

/// The answer to a head that could not be read. What follows on the connection may be meant as a part of it (RFC 9112 11.2).
fn refuse(connection: &Connection, unread: Unread) -> Answer {
    let (reason, status) = match unread {
        Unread::Malformed => (RefusedReason::MalformedHead, StatusCode::BAD_REQUEST),
        Unread::TargetTooLong => (RefusedReason::TargetTooLong, StatusCode::URI_TOO_LONG),
        Unread::TooLong => (RefusedReason::HeadTooLong, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
    };
    connection.refused_unread(reason, status);
    let own = Own::new(status, reason.as_str());
    let mut head = own.head();
    head.fields.insert(&CONNECTION, &HeaderValue::from_static("close"));
    Answer { head, body: ResponseBody::own(own.text()) }
}
