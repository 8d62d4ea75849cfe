//! Runs an application on a listener until told to stop.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// How long requests in flight may take once told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop`: accepted requests are answered, then idle connections are closed.
/// Prints `listening on ADDRESS` on stderr first.
pub async fn serve(listener: TcpListener, app: Router, stop: CancellationToken) -> io::Result<()> {
    writeln!(io::stderr(), "listening on {}", listener.local_addr()?)?;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        ended = server.into_future() => ended,
        () = grace_is_over(&stop) => {
            tracing::warn!("connections still open after {} s: closing them", GRACE.as_secs());
            Ok(())
        }
    }
}

/// A token that is cancelled by the first SIGTERM or SIGINT.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        cancelled.cancel();
    });
    Ok(stop)
}

async fn grace_is_over(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}
