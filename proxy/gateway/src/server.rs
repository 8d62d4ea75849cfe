//! pingora's threads and shutdown, and what is accepted on them. Apart from the health checks, the only file that names it.
//!
//! Accepting is our own: a socket is registered with the thread that serves it, and handed out in turn. pingora's listeners
//! leave every socket with the thread that accepted it, which then wakes all others; and they read the clock at each wait.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{ListenFds, RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::Service;
use pingora_runtime::current_handle;
use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use crate::connection::serve_stream;
use crate::forwarding::Scheme;
use crate::gateway::Shared;

/// How long pingora sleeps after the stop, whether or not anything is in flight: longer than any drain. The process ends
/// when the last connection has. A process that goes on, as tests do, must not see these threads end: pingora keeps
/// runtimes by thread number, and would put the connections of a later server on a runtime that is gone.
const AFTERLIFE: Duration = Duration::from_hours(24);

/// How long nothing is accepted when the process has too many files open: the connection stays in the queue, and asking
/// again at once would keep a thread busy with nothing else. nginx waits as long.
const NO_ROOM: Duration = Duration::from_millis(500);

/// Draws per thread: one that is not found by then is not there.
const MOST_DRAWS: usize = 1000;

/// Listens and serves on threads of its own until `stop` turns true; then closes the listeners and leaves
/// the connections to the caller, who waits for them. Does not return before the process ends.
pub(crate) fn run(shared: &Arc<Shared>, stop: watch::Receiver<bool>) {
    let threads = shared.settings.threads.max(1);
    let conf = ServerConf {
        threads,
        work_stealing: false,
        grace_period_seconds: Some(AFTERLIFE.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        // Never used, but their defaults lie in a folder anybody may write.
        pid_file: String::new(),
        upgrade_sock: String::new(),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let sockets = match shared.sockets.duplicates() {
        Ok(sockets) => sockets,
        Err(error) => {
            tracing::error!(%error, "cannot use the listening sockets");
            return;
        }
    };
    let schemes = shared.addresses.iter().map(|_| Scheme::Http);
    let schemes = schemes.chain(shared.tls_addresses.iter().map(|_| Scheme::Https));
    let listeners = sockets.into_iter().zip(schemes).collect();
    server.add_service(Listening { shared: Arc::clone(shared), listeners, threads });
    server.run(RunArgs { shutdown_signal: Box::new(Stop(stop)) });
}

/// Sockets that are bound already, and what is spoken on each.
struct Listening {
    shared: Arc<Shared>,
    /// Taken at the start.
    listeners: Vec<(StdListener, Scheme)>,
    threads: usize,
}

#[async_trait]
impl Service for Listening {
    async fn start_service(&mut self, _fds: Option<ListenFds>, shutdown: ShutdownWatch, _per_socket: usize) {
        let workers = Arc::new(Workers { handles: handles(self.threads), next: AtomicUsize::new(0) });
        let mut loops = JoinSet::new();
        for (listener, scheme) in self.listeners.drain(..) {
            // Registered now, so that what comes from here on is seen.
            let listener = match TcpListener::from_std(listener) {
                Ok(listener) => listener,
                Err(error) => return tracing::error!(%error, "cannot wait for connections"),
            };
            let (shared, workers) = (Arc::clone(&self.shared), Arc::clone(&workers));
            loops.spawn(accept_until(shutdown.clone(), shared, listener, scheme, workers));
        }
        if !*shutdown.borrow() {
            self.shared.accepting.store(true, Ordering::Release);
        }
        while loops.join_next().await.is_some() {}
    }

    fn name(&self) -> &'static str {
        "banyan"
    }
}

/// The threads that serve, in turn.
struct Workers {
    handles: Vec<Handle>,
    next: AtomicUsize,
}

impl Workers {
    fn next(&self) -> &Handle {
        &self.handles[self.next.fetch_add(1, Ordering::Relaxed) % self.handles.len()]
    }
}

/// One for each thread. pingora gives one of them at random: should it have fewer than it was asked for, those there are serve.
fn handles(threads: usize) -> Vec<Handle> {
    let mut found = HashMap::with_capacity(threads);
    for _ in 0..threads.saturating_mul(MOST_DRAWS) {
        let handle = current_handle();
        found.entry(handle.id()).or_insert(handle);
        if found.len() == threads {
            return found.into_values().collect();
        }
    }
    tracing::error!(found = found.len(), threads, "not all worker threads are there");
    found.into_values().collect()
}

async fn accept_until(
    mut stopping: ShutdownWatch,
    shared: Arc<Shared>,
    listener: TcpListener,
    scheme: Scheme,
    workers: Arc<Workers>,
) {
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stop| *stop) => {}
        () = accept(&shared, &listener, scheme, &workers) => {}
    }
}

async fn accept(shared: &Arc<Shared>, listener: &TcpListener, scheme: Scheme, workers: &Workers) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = hand_over(workers, Arc::clone(shared), stream, peer, scheme) {
                    tracing::debug!(client = %peer, %error, "a connection that cannot be used");
                }
            }
            Err(error) if is_lack(&error) => {
                tracing::error!(%error, "cannot accept connections");
                sleep(NO_ROOM).await;
            }
            Err(error) => {
                // The client has gone, or its network has: the next may be well.
                tracing::debug!(%error, "a connection that could not be accepted");
                yield_now().await;
            }
        }
    }
}

/// Of descriptors or memory (accept(2)): the next would fail as this one did.
fn is_lack(error: &io::Error) -> bool {
    let lack = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    lack.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// To the thread whose turn it is, which from then on hears of the socket itself.
fn hand_over(
    workers: &Workers,
    shared: Arc<Shared>,
    stream: TcpStream,
    peer: SocketAddr,
    scheme: Scheme,
) -> io::Result<()> {
    // Answers must not wait for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    let worker = workers.next();
    if worker.id() == Handle::current().id() {
        let socket = stream.as_raw_fd();
        worker.spawn(serve_stream(shared, stream, peer, scheme, socket));
        return Ok(());
    }
    let stream = stream.into_std()?;
    worker.spawn(async move {
        let socket = stream.as_raw_fd();
        match TcpStream::from_std(stream) {
            Ok(stream) => serve_stream(shared, stream, peer, scheme, socket).await,
            Err(error) => tracing::debug!(client = %peer, %error, "a connection that cannot be used"),
        }
    });
    Ok(())
}

/// The caller's stop instead of pingora's signal handlers: signals belong to the command.
struct Stop(watch::Receiver<bool>);

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        // A sender that is gone stops, too.
        let _ = self.0.clone().wait_for(|stop| *stop).await;
        ShutdownSignal::GracefulTerminate
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failed step fails the test
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::AtomicUsize;

    use pingora_runtime::Runtime;

    use super::{Workers, handles};

    #[test]
    fn connections_are_handed_to_each_thread_in_turn() {
        let runtime = Runtime::new_no_steal(3, "workers");
        let (sender, turns) = std::sync::mpsc::sync_channel(1);
        runtime.get_handle().spawn(async move {
            let workers = Workers { handles: handles(3), next: AtomicUsize::new(0) };
            sender.send([0; 6].map(|_| workers.next().id())).unwrap();
        });
        let turns = turns.recv().unwrap();
        assert_eq!(turns.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(turns[..3], turns[3..]);
        // pingora keeps runtimes by thread number: these must not end.
        std::mem::forget(runtime);
    }
}
