//! The admin listener: for Prometheus, for load balancers, for the commands. Never for the clients of the
//! application.
//!
//! | method and path | what |
//! |---|---|
//! | `GET /metrics` | everything measured, Prometheus text format |
//! | `GET /healthz` | 200 while the process answers |
//! | `GET /readyz` | 200 when traffic may come, 503 while starting or draining |
//! | `GET /api/v1/config` | generation, hash, what came of the last reload with its report |
//! | `GET /api/v1/routes` | every route: share, observed share, stage, counts by arm; every target |
//! | `GET /api/v1/board` | all of it in one answer: totals, and a row per route; with an `ETag` |
//! | `GET /api/v1/series` | one route over time: `?route=..&from=..&to=..&points=..` |
//! | `GET /api/v1/progress` | routes and requests off the monolith over time: `?from=..&points=..` |
//! | `GET /api/v1/plan` | what a shift, rollback or undo would do: `?action=shift&route=..&percent=..` |
//! | `GET /api/v1/session` | what a browser's session may, and the number that its forms carry |
//! | `POST /api/v1/explain` | which route and arm a request gets, and why |
//! | `POST /api/v1/reload` | loads the files now, answers with the report |
//! | `GET /api/v1/history` | swaps, newest first; `?limit=20` |
//! | `GET /api/v1/history/sets/{hash}` | the files of a swap |
//! | `GET /api/v1/mismatches` | every route that shadows: comparisons by verdict, ratio of mismatches |
//! | `GET /api/v1/mismatches/{route}` | one route: what differs, what was learned of noise, times of both arms |
//! | `GET /api/v1/mismatches/{route}/samples/{id}` | a request and both answers, without secrets |
//! | `GET /api/v1/mismatches/{route}/requests` | what was asked in all its samples |
//! | `POST /api/v1/mismatches/{route}/reset` | forgets all of it |
//! | `GET /api/v1/record` | shadowed requests as they come; `?route=..&after=..&count=..` |
//! | `POST /api/v1/announce` | who is about to write the file |
//! | `POST /api/v1/rollback` | one share, or every share, to 0 in memory, until the files mean something else |
//! | `POST /api/v1/rollback/end` | what the files mean is in force again |
//! | `POST /api/v1/upgrade` | another process takes over, started from the program file as it is now |
//!
//! Who may ask:
//! - The `Host` must be a loopback name or address, the address bound, or a name given by `--admin-host`; an
//!   `Origin` must be that host. Otherwise a page in the operator's browser could ask (DNS rebinding).
//! - `POST` to the API must carry `Content-Type: application/json`, which a foreign page cannot send unasked. Forms of our own pages
//!   carry a number that it does not know (`session`).
//! - With a token, pages want a session, which begins with the token; so may `GET` of `/api/v1` be asked. It changes nothing but by
//!   those forms (`orders`), and only if it began with the admin token. Without a token pages are open, and forms are off.
//! - With a token, `/api/v1` wants `Authorization: Bearer TOKEN`, and so does `/metrics` unless the listener
//!   is bound to loopback. `/healthz` and `/readyz` stay open: probes carry no secrets.
//! - A listener that is reachable from outside does not start without a token.
//! - With the read token, or on a listener that is read-only, everything that changes something is refused. Without any
//!   token, whoever reaches loopback may do everything: on a host with users who may not, give a token.
//! - With a certificate it speaks TLS, and nothing else; the file is read again when it changes.
//! - All clients together have a rate; what is above it is told to come back (429). Health checks are not counted.
//!
//! - `guard`: these rules. `rate`: the last of them. `connections`: how many at a time, and how long each may take. `answers`: what each
//!   endpoint says, `mismatches` and `over_time` what those say. `session`: browsers that signed in. `orders`: their forms.

mod answers;
mod connections;
mod guard;
pub(crate) mod mismatches;
mod orders;
mod over_time;
mod rate;
pub(crate) mod session;

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use banyan_gateway::{CertificateFiles, Gateway, Tls, TlsError, TlsSettings};
use tokio::sync::{mpsc, watch};

use crate::actions::Actions;
use crate::board::BoardMaker;
use crate::counts::Counts;
use crate::dashboard;
use crate::evidence::EvidenceHandle;
use crate::metrics::{Metrics, Scrape};
use crate::ranges::Ranges;
use crate::reload::ReloadHandle;
use crate::timeline::Timeline;
use crate::upgrade::UpgradeOrder;
use crate::view::View;
use guard::Guard;
pub(crate) use session::Sessions;

/// Longest body of a request.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long answers in flight may take after the end.
const GRACE: Duration = Duration::from_secs(1);

/// Where the admin listener is and who may ask it.
#[derive(Clone)]
pub struct AdminOptions {
    /// Address; port 0 takes a free one.
    pub address: SocketAddr,
    /// Wanted in `Authorization: Bearer`; must be there when the address is reachable from outside.
    pub token: Option<String>,
    /// Lets its holder read, and change nothing.
    pub read_token: Option<String>,
    /// Nobody may change anything over this listener, whatever the token.
    pub read_only: bool,
    /// Further names accepted in `Host`, without port.
    pub hosts: Vec<String>,
    /// Its certificate; none speaks plain HTTP.
    pub certificate: Option<CertificateFiles>,
}

/// Without the token, which has no place in a log.
impl fmt::Debug for AdminOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |token: &Option<String>| token.as_ref().map(|_| "(secret)");
        let Self { address, token, read_token, read_only, hosts, certificate } = self;
        out.debug_struct("AdminOptions")
            .field("address", address)
            .field("token", &hidden(token))
            .field("read_token", &hidden(read_token))
            .field("read_only", read_only)
            .field("hosts", hosts)
            .field("certificate", certificate)
            .finish()
    }
}

/// Why the admin listener cannot start.
#[derive(Debug)]
pub enum AdminError {
    /// Reachable from outside, and no token.
    PublicWithoutToken {
        /// The address asked for.
        address: SocketAddr,
    },
    /// A token of no characters protects nothing.
    EmptyToken,
    /// Whoever may read could change everything.
    SameTokens,
    /// Its certificate cannot be used.
    Tls(TlsError),
    /// The address is taken or not ours.
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

impl fmt::Display for AdminError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PublicWithoutToken { address } => {
                write!(out, "admin address {address} can be reached from outside and has no token")?;
                write!(out, "\nhint: set `--admin-token-file FILE`, or listen on 127.0.0.1")
            }
            Self::EmptyToken => write!(out, "the admin token is empty"),
            Self::SameTokens => write!(out, "the admin token and the read token are the same"),
            Self::Tls(error) => write!(out, "admin listener: {error}"),
            Self::Bind { address, error } => write!(out, "cannot listen on admin address {address}: {error}"),
        }
    }
}

impl std::error::Error for AdminError {}

/// Whether traffic may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not yet.
    Starting,
    /// Yes.
    Ready,
    /// No more.
    Draining,
}

impl Phase {
    /// As the board says it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

/// What the answers are made of.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) gateway: Gateway,
    pub(crate) view: View,
    pub(crate) reload: ReloadHandle,
    pub(crate) counts: Counts,
    pub(crate) evidence: EvidenceHandle,
    pub(crate) scrape: Scrape,
    pub(crate) metrics: Metrics,
    pub(crate) phase: watch::Receiver<Phase>,
    pub(crate) upgrades: mpsc::Sender<UpgradeOrder>,
    pub(crate) timeline: Timeline,
    pub(crate) board: BoardMaker,
    pub(crate) actions: Actions,
    pub(crate) ranges: Option<Ranges>,
    pub(crate) sessions: Sessions,
}

/// The running admin listener; ends when dropped.
pub(crate) struct Admin {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// The socket, and its TLS if it speaks that.
pub(crate) struct Bound {
    pub(crate) listener: TcpListener,
    tls: Option<Tls>,
}

/// Binds the address, or says why not. Nothing is answered before [`Admin::start`]. `lent` is the socket of the
/// process before, for this address or another.
pub(crate) fn bind(options: &AdminOptions, lent: Option<TcpListener>) -> Result<Bound, AdminError> {
    let address = options.address;
    let mut tokens = options.token.iter().chain(&options.read_token);
    if tokens.clone().any(|token| token.trim().is_empty()) {
        return Err(AdminError::EmptyToken);
    }
    if options.token.is_some() && options.token == options.read_token {
        return Err(AdminError::SameTokens);
    }
    if tokens.next().is_none() && !address.ip().to_canonical().is_loopback() {
        return Err(AdminError::PublicWithoutToken { address });
    }
    let tls = options.certificate.as_ref().map(tls).transpose().map_err(AdminError::Tls)?;
    let failed = |error| AdminError::Bind { address, error };
    let is_ours = |at: SocketAddr| at == address || (address.port() == 0 && at.ip() == address.ip());
    let lent = lent.filter(|socket| socket.local_addr().is_ok_and(is_ours));
    let listener = lent.map_or_else(|| TcpListener::bind(address), Ok).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(Bound { listener, tls })
}

fn tls(files: &CertificateFiles) -> Result<Tls, TlsError> {
    let settings = TlsSettings { certificates: vec![files.clone()], client_ca: None };
    Tls::new(&settings, false)
}

impl Bound {
    /// The sessions of browsers that sign in here.
    pub(crate) fn sessions(&self, options: &AdminOptions) -> io::Result<Sessions> {
        Ok(Sessions::new(options, self.listener.local_addr()?.port()))
    }
}

impl Admin {
    /// Answers on a thread of its own, so that no scrape takes time from a request.
    pub(crate) fn start(bound: Bound, options: AdminOptions, sources: Sources) -> io::Result<Self> {
        let Bound { listener, tls } = bound;
        let address = listener.local_addr()?;
        let sessions = sources.sessions.clone();
        let metrics = sources.metrics.clone();
        let app = router(sources, Guard::new(options, address, sessions, metrics.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => connections::serve(listener, tls, app, stopped, metrics).await,
                    Err(error) => tracing::error!("admin listener ended: {error}"),
                }
            });
            runtime.shutdown_timeout(GRACE);
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// The address bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn router(sources: Sources, guard: Guard) -> Router {
    let api = Router::new()
        .route("/config", get(answers::config))
        .route("/routes", get(answers::routes))
        .route("/board", get(over_time::board))
        .route("/series", get(over_time::series))
        .route("/progress", get(over_time::progress))
        .route("/plan", get(orders::plan))
        .route("/session", get(session::session))
        .route("/explain", post(answers::explain))
        .route("/reload", post(answers::reload))
        .route("/history", get(answers::history))
        .route("/history/sets/{hash}", get(answers::history_set))
        .route("/mismatches", get(mismatches::all))
        .route("/mismatches/{route}", get(mismatches::of_route))
        .route("/mismatches/{route}/samples/{id}", get(mismatches::sample))
        .route("/mismatches/{route}/requests", get(mismatches::requests))
        .route("/mismatches/{route}/reset", post(mismatches::reset))
        .route("/record", get(mismatches::record))
        .route("/announce", post(answers::announce))
        .route("/rollback", post(answers::rollback))
        .route("/rollback/end", post(answers::end_rollback))
        .route("/upgrade", post(answers::upgrade));
    let forms = Router::new()
        .route("/session", post(session::sign_in))
        .route("/session/end", post(session::sign_out))
        .route("/actions/shift", post(orders::shift))
        .route("/actions/rollback", post(orders::rollback))
        .route("/actions/undo", post(orders::undo));
    Router::new()
        .merge(forms)
        .route("/metrics", get(answers::metrics))
        .route("/healthz", get(answers::healthz))
        .route("/readyz", get(answers::readyz))
        .nest("/api/v1", api)
        .merge(dashboard::router())
        .fallback(answers::not_found)
        .method_not_allowed_fallback(answers::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::guard))
        .with_state(sources)
}
