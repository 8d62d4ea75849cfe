//! The connections of the admin listener: how many there may be, and how long each may take. The only file of this
//! crate that names `hyper`: axum's own server has no deadline, no bound and no TLS.
//!
//! A connection that comes while [`CONNECTIONS_MAX`] are open is closed at once. A request whose head is not there
//! within [`HEAD_WITHIN`] is too, and so is a connection that asks nothing for as long: whoever holds every place
//! holds it that long, then others are answered again. Nobody keeps a place longer than [`LIFE_MAX`] and what one
//! more answer takes.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use banyan_gateway::Tls;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::GRACE;
use crate::metrics::Metrics;

/// Most connections at a time.
const CONNECTIONS_MAX: u32 = 256;

/// From the begin of a connection, or the end of the last answer, to the end of a head. As long for the handshake of TLS.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// A client that reads slowly, or for ever, makes room after this.
const LIFE_MAX: Duration = Duration::from_mins(1);

/// What the answer in flight may take after that.
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Between two tries while the process has no file descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);

/// Answers until stopped, and then for [`GRACE`] what is in flight.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    app: Router,
    stopped: watch::Receiver<bool>,
    metrics: Metrics,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX as usize));
    if let Some(tls) = &tls {
        // Ends with the runtime, which is this listener's own.
        tokio::spawn(tls.clone().keep_fresh());
    }
    let accepting = accept(&listener, &places, &metrics, |stream, place| {
        let (app, stopped) = (app.clone(), stopped.clone());
        match tls.clone() {
            None => tokio::spawn(connection(stream, app, stopped, place)),
            Some(tls) => tokio::spawn(secure_connection(tls, stream, app, stopped, place)),
        };
    });
    tokio::select! {
        () = accepting => {}
        () = told(stopped.clone()) => {}
    }
    // A client that does not read its answer does not hold up the exit.
    let _ = timeout(GRACE, places.acquire_many(CONNECTIONS_MAX)).await;
}

/// Hands on whoever there is room for. Never ends.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    metrics: &Metrics,
    mut begin: impl FnMut(TcpStream, OwnedSemaphorePermit),
) {
    let mut told_full = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                not_accepted(&error).await;
                continue;
            }
        };
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            told_full = false;
            begin(stream, place);
            continue;
        }
        metrics.admin_connection_refused();
        // Once until there is room again: a flood of connections is no reason for one of lines.
        if !std::mem::replace(&mut told_full, true) {
            tracing::warn!(
                connections = CONNECTIONS_MAX,
                "admin listener is full, further connections are closed"
            );
        }
    }
}

/// A client that has gone again is nobody's trouble. Anything else is the process's, and does not pass at once.
async fn not_accepted(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!("admin listener cannot accept: {error}");
        sleep(ACCEPT_RETRY).await;
    }
}

async fn secure_connection(
    tls: Tls,
    stream: TcpStream,
    app: Router,
    stopped: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) {
    if let Ok(Ok(stream)) = timeout(HEAD_WITHIN, tls.accept(stream)).await {
        connection(stream, app, stopped, place).await;
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    app: Router,
    stopped: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let service = TowerToHyperService::new(app);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = pin!(serving);
    tokio::select! {
        // What goes wrong on a connection is its client's trouble.
        _ = serving.as_mut() => return,
        () = told(stopped) => {}
        () = sleep(LIFE_MAX) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER_WITHIN, serving).await;
}

async fn told(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
