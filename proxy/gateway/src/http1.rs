//! HTTP/1.1 on the wire (RFC 9112), for both sides: what is read is checked strictly, what is written is framed anew.
//!
//! - `server`: a client's connection, `upload`: the body of its request. `upstream`: one to a server. The task of a request
//!   drives both: there are no tasks and no channels between them. `incoming`: bodies as they come, of this engine or of hyper's HTTP/2.
//! - `head`: from bytes to heads, by `httparse`. `writing`: the head of an answer, back to bytes.
//! - `framing`: how long a body is, and where it ends. `chunks`: bodies in chunks.
//! - `output`: what waits to be written. `input`: what was read and not yet used. `buffers`: memory that idle connections do
//!   without.
//! - `switched`: a stream that carries something else from here on. `date`: the hour of an answer.

mod buffers;
mod chunks;
mod date;
mod framing;
mod head;
mod incoming;
mod input;
mod output;
pub(crate) mod server;
mod switched;
#[cfg(test)]
mod tests;
mod upload;
pub(crate) mod upstream;
mod writing;

use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::body::BodyError;
pub(crate) use incoming::{Incoming, StreamError};
pub(crate) use switched::{Switch, Switched};

/// A stream of either kind, with TLS or without.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Why a message could not be read or written to its end.
#[derive(Debug)]
pub(crate) enum Error {
    /// What came is no HTTP/1.
    Malformed(&'static str),
    /// The stream ended before the message.
    Cut,
    Io(io::Error),
    /// Interim answers without end.
    Endless,
    /// The body that was to be sent broke off.
    Upload(Box<BodyError>),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(out, "malformed: {what}"),
            Self::Cut => write!(out, "the connection ended before the message"),
            Self::Io(error) => write!(out, "{error}"),
            Self::Endless => write!(out, "no head of an answer in all that came"),
            Self::Upload(error) => write!(out, "what was to be sent broke off: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<chunks::Malformed> for Error {
    fn from(malformed: chunks::Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}
