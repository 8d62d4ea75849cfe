//! What every program of the shop does alike: flags, health, metrics, events, the end.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, FromRef, Request, State as Extracted},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{ALLOW, CONTENT_TYPE, SERVER},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Args;
use reqwest::{Client, ClientBuilder, RequestBuilder, Url};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    bus::{self, Bus},
    database::Database,
    identity::Sessions,
    inbox::{Inbox, Module},
    metrics::{self, Metrics},
    problem::Problem,
    query,
    server::{serve, stop_on_signal},
    writer::{self, Gate, Owned, State, Writers},
};

/// Says that a request comes from one of us, where that is not plain from its address.
pub(crate) const INTERNAL: HeaderName = HeaderName::from_static("x-internal-token");
/// `INTERNAL_TOKEN`, read once; `None` without one.
static TOKEN: LazyLock<Result<Option<HeaderValue>, &str>> =
    LazyLock::new(|| token(std::env::var_os("INTERNAL_TOKEN")));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For an answer as a whole, where nothing else is said: longer than a request may wait for a hand-over.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
/// For questions that every request waits for, and for the acts of a hand-over.
pub const SOON: Duration = Duration::from_secs(5);

/// The flags of every service.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one. The bound address is printed on stderr
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The own database: a `SQLite` file, made when missing, or `postgres://...`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database: String,
    /// The monolith: asked for sessions, and the other side of every hand-over
    #[arg(long, env = "LEGACY_URL", default_value = "http://127.0.0.1:3000")]
    pub legacy: Url,
    /// Where events go to
    #[command(flatten)]
    pub events: Events,
}

/// How events travel.
#[derive(Args, Clone, Debug, Default)]
pub struct Events {
    /// `http`, or the NATS server as `nats://HOST:PORT`
    #[arg(long, env = "BUS", hide_env_values = true, default_value = "http")]
    pub bus: Bus,
    /// Who gets every event over HTTP; once for each
    #[arg(long = "subscriber", env = "SUBSCRIBERS", value_delimiter = ',')]
    pub subscribers: Vec<Url>,
}

/// What every handler can reach.
#[derive(Clone)]
pub struct Kit {
    /// The name in the `Server` field and in metrics.
    pub name: &'static str,
    /// The own database.
    pub database: Database,
    /// For requests to others.
    pub client: Client,
    /// Who writes what.
    pub writers: Writers,
    /// Ends streams that would otherwise outlive the server.
    pub stop: CancellationToken,
}

impl Kit {
    /// Puts the parts together and writes down who writes at first.
    pub async fn new(
        name: &'static str,
        database: Database,
        (module, owned): (Arc<dyn Module>, &'static [Owned]),
        (other, at_first): (BTreeMap<&'static str, Url>, State),
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        TOKEN.as_ref().map_err(|told| *told)?;
        let client = client()?;
        let passing_on = patient_client().build()?;
        let writers = Writers::new((database.clone(), passing_on), module, owned, other);
        writers.begin(at_first).await?;
        Ok(Self { name, database, client, writers, stop })
    }

    /// The gate before the routes of a module.
    pub fn gate(&self, module: &'static str) -> Gate {
        Gate { writers: self.writers.clone(), module, reads_write: false }
    }

    /// The whole HTTP surface: the program's own routes, with health, metrics and what only we ask.
    pub fn app(&self, own: Router, inbox: Inbox) -> Result<Router, Failure> {
        let metrics = Metrics::new(self.name)?;
        let inside = bus::routes(inbox).merge(writer::routes(self.writers.clone()));
        Ok(own
            .merge(inside.layer(middleware::from_fn(inside_only)))
            .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
            .merge(Router::new().route("/readyz", get(ready)).with_state(self.database.clone()))
            .merge(Router::new().route("/metrics", get(metrics::show)).with_state(metrics.clone()))
            .fallback(|| async { Problem::not_found("page") })
            .layer(middleware::map_response(refuse_method))
            .layer(middleware::from_fn_with_state(metrics, metrics::observe))
            .layer(middleware::map_response_with_state(self.name, sign)))
    }

    /// Begins to send and to receive events.
    pub fn start_events(&self, events: &Events, inbox: Inbox) {
        let stores = (self.database.clone(), inbox);
        bus::start(
            &events.bus,
            self.name,
            stores,
            events.subscribers.clone(),
            &self.client,
            self.stop.clone(),
        );
    }
}

impl FromRef<Kit> for Database {
    fn from_ref(kit: &Kit) -> Self {
        kit.database.clone()
    }
}

/// A service as its crate describes it.
pub struct Service {
    /// Such as `boxoffice-orders`.
    pub name: &'static str,
    /// The tables of its own.
    pub migrations: Migrator,
    /// The modules whose writer it can become.
    pub owned: &'static [Owned],
}

/// A running service's parts before it listens: see [`run`].
pub struct Parts {
    /// What handlers reach.
    pub kit: Kit,
    /// Asks the monolith whose session a cookie is.
    pub sessions: Sessions,
}

/// The whole life of a service's process: `module` is made from its database, `routes` from its parts.
pub async fn run<M: Module>(
    service: Service,
    options: Options,
    module: impl FnOnce(&Database) -> M,
    routes: impl FnOnce(&Parts) -> Router,
) -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let ended = async {
        let stop = stop_on_signal()?;
        let database = Database::open(&options.database, service.migrations).await?;
        let listener = bind(options.listen).await?;
        let module: Arc<dyn Module> = Arc::new(module(&database));
        let (app, _) =
            assemble((service.name, service.owned), &options, database.clone(), module, routes, stop.clone())
                .await?;
        serve(listener, app, stop).await?;
        database.close().await;
        Ok::<_, Failure>(())
    }
    .await;
    exit_code(ended)
}

/// The application of a service, its events on their way: what [`run`] serves, for tests without a process too.
pub async fn assemble(
    (name, owned): (&'static str, &'static [Owned]),
    options: &Options,
    database: Database,
    module: Arc<dyn Module>,
    routes: impl FnOnce(&Parts) -> Router,
    stop: CancellationToken,
) -> Result<(Router, Kit), Failure> {
    let other = owned.iter().map(|owned| (owned.name, options.legacy.clone())).collect();
    let inbox = Inbox::new(database.clone(), module.clone());
    let kit = Kit::new(name, database, (module, owned), (other, State::Replica), stop).await?;
    let sessions = Sessions::new(options.legacy.clone(), kit.client.clone());
    let parts = Parts { kit: kit.clone(), sessions };
    let app = kit.app(routes(&parts), inbox.clone())?;
    kit.start_events(&options.events, inbox);
    Ok((app, kit))
}

/// Why a program cannot run.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Says on stderr why a program ended.
pub fn exit_code(ended: Result<(), Failure>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes a port.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}").into())
}

/// A client for requests between the programs of the shop: none waits for ever.
pub fn client() -> reqwest::Result<Client> {
    patient_client().timeout(PATIENCE).build()
}

/// Streams live longer than any time limit: who passes them on limits the wait for the head alone.
fn patient_client() -> ClientBuilder {
    Client::builder().no_proxy().connect_timeout(CONNECT_TIMEOUT).redirect(reqwest::redirect::Policy::none())
}

/// Adds the word that [`inside_only`] asks for, when there is one (`INTERNAL_TOKEN`).
pub fn internal(request: RequestBuilder) -> RequestBuilder {
    match &*TOKEN {
        Ok(Some(token)) => request.header(INTERNAL, token),
        _ => request,
    }
}

/// An empty token would let everybody in who sends an empty field: it is no token, and no way to say that there is none.
fn token(variable: Option<OsString>) -> Result<Option<HeaderValue>, &'static str> {
    let Some(variable) = variable else { return Ok(None) };
    let token = variable.into_string().ok().filter(|token| !token.trim().is_empty());
    let token = token.and_then(|token| HeaderValue::try_from(token).ok());
    token.map(Some).ok_or("INTERNAL_TOKEN is empty or no field value: set a secret, or leave it away")
}

/// A layer for routes that only the programs of the shop may ask: by `INTERNAL_TOKEN`, else from this machine and not
/// through a proxy. A proxy on this machine is loopback too; what it forwards comes from somewhere else.
pub async fn inside_only(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let token = TOKEN.as_ref().map(Option::as_ref);
    if token.is_ok_and(|token| is_inside(token, request.headers(), peer)) {
        next.run(request).await
    } else {
        Problem::not_found("page").into_response()
    }
}

fn is_inside(token: Option<&HeaderValue>, headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
    if let Some(token) = token {
        // In constant time: how long it takes tells nothing of how much was right.
        return headers.get(INTERNAL).is_some_and(|given| given.as_bytes().ct_eq(token.as_bytes()).into());
    }
    let forwarded = ["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name));
    peer.is_some_and(|peer| peer.ip().is_loopback()) && !forwarded
}

async fn ready(Extracted(database): Extracted<Database>) -> Result<Json<Value>, Problem> {
    match query!("SELECT 1").execute(&database.read).await {
        Ok(_) => Ok(Json(json!({ "status": "ready" }))),
        Err(error) => {
            tracing::warn!("not ready: {error}");
            Err(Problem::unavailable("the database does not answer"))
        }
    }
}

/// axum's answer to a method that a route does not have, in our shape. As the router's own fallback it would stand before
/// the layers of the routes, one of which may want to answer `OPTIONS`.
async fn refuse_method(response: Response) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED || response.headers().contains_key(CONTENT_TYPE) {
        return response;
    }
    let mut refusal = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed").into_response();
    if let Some(allowed) = response.headers().get(ALLOW) {
        refusal.headers_mut().insert(ALLOW, allowed.clone());
    }
    refusal
}

/// Every answer says who made it; one that was passed on has said so already.
async fn sign(Extracted(name): Extracted<&'static str>, mut response: Response) -> Response {
    response.headers_mut().entry(SERVER).or_insert(HeaderValue::from_static(name));
    response
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{INTERNAL, is_inside, token};

    #[test]
    fn the_token_opens_and_an_empty_one_is_refused() {
        let secret = token(Some("secret".into()));
        let peer = Some(([127, 0, 0, 1], 1).into());
        let asked = |given| is_inside(secret.as_ref().ok().and_then(Option::as_ref), &given, peer);
        let with = |value| HeaderMap::from_iter([(INTERNAL, HeaderValue::from_static(value))]);
        assert!(asked(with("secret")));
        for wrong in [with(""), with("secre"), with("secrets"), with("Secret"), HeaderMap::new()] {
            assert!(!asked(wrong.clone()), "{wrong:?}");
        }
        for refused in ["", " ", "a\nb"] {
            assert!(token(Some(refused.into())).is_err(), "{refused:?}");
        }
        assert!(token(None) == Ok(None) && is_inside(None, &HeaderMap::new(), peer));
    }
}
