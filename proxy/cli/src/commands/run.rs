//! `banyan run`

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use banyan_control::{
    AccessLogTarget, AdminError, AdminOptions, Drained, ExitReason, LoadError, Registry, RunError,
    RunOptions, Settings as Gateway, Source, StartError,
};

use crate::args::{Process, RunArgs};
use crate::failure::{Exit, Failure};
use crate::settings::{self, ROUTES_FILE, Settings};

/// Served when nothing else is said.
const LISTEN: &str = "127.0.0.1:8080";
/// Wait for requests in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the proxy until it is told to end.
pub(super) fn perform(args: RunArgs, settings: &Settings) -> Result<Exit, Failure> {
    let process = settings::over(args.process, settings.process.clone());
    let options = RunOptions {
        source: source(&process, settings)?,
        variables: settings::variables(),
        gateway: gateway(&process)?,
        admin: AdminOptions {
            address: address(settings.admin_address(), "--admin")?,
            token: settings.admin_token()?,
            hosts: process.admin_host,
        },
        state_dir: process.state_dir,
        unready_before_stop: process.unready_before_stop.map_or(Duration::ZERO, |time| time.0),
    };
    let next = match options.source {
        Source::File(_) => "banyan check",
        Source::Legacy(_) => "banyan run --legacy http://localhost:3000",
    };
    let registry = Registry::new();
    banyan_control::run(options, &registry, |_| ()).map(exit).map_err(|error| not_run(error, next))
}

fn exit(ended: ExitReason) -> Exit {
    match ended {
        ExitReason::Stopped(Drained::Clean) => Exit::Ok,
        ExitReason::Stopped(Drained::CutOff { connections }) => {
            tracing::warn!(connections, "the drain time was over, connections were closed");
            Exit::TimedOut
        }
        ExitReason::Interrupted => Exit::Failed,
    }
}

/// A file or `--legacy`, never both: which one counts would be a guess.
fn source(process: &Process, settings: &Settings) -> Result<Source, Failure> {
    match (&process.legacy, settings.named_routes()) {
        (Some(_), Some(_)) => Err(Failure::new(Exit::Usage, "`--legacy` and `--routes` are given together")
            .hint("banyan run --routes routes.toml")),
        (Some(url), None) => Ok(Source::Legacy(url.clone())),
        (None, _) => settings.routes().map(Source::File).ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("nothing to run: no {ROUTES_FILE} here, no `--routes`, no `--legacy`"),
            )
            .hint("banyan run --listen 127.0.0.1:8080 --legacy http://localhost:3000")
        }),
    }
}

fn gateway(process: &Process) -> Result<Gateway, Failure> {
    let wanted = if process.listen.is_empty() { &vec![LISTEN.to_owned()] } else { &process.listen };
    let listen = wanted.iter().map(|text| address(text, "--listen")).collect::<Result<_, _>>()?;
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Gateway {
        listen,
        threads: process.threads.map_or_else(cores, std::num::NonZero::get),
        drain_timeout: process.drain_timeout.map_or(DRAIN_TIMEOUT, |time| time.0),
        access_log: process.access_log.as_deref().map(access_log),
        via: process.via,
    })
}

fn access_log(text: &str) -> AccessLogTarget {
    match text {
        "stdout" | "-" => AccessLogTarget::Stdout,
        file => AccessLogTarget::File(file.into()),
    }
}

/// `127.0.0.1:8080`, `:8080`, `localhost:8080`.
fn address(text: &str, flag: &str) -> Result<SocketAddr, Failure> {
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let whole = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    let found = whole.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| {
        let hint = format!("{flag} 127.0.0.1:8080, or {flag} :8080 for every IPv4 interface");
        Failure::new(Exit::Usage, format!("`{text}` is no address to listen on")).hint(hint)
    })
}

fn not_run(error: RunError, next: &str) -> Failure {
    match error {
        RunError::Configuration(LoadError::Read(error)) => super::check::unread(&error),
        RunError::Configuration(LoadError::Refused(report)) => {
            Failure::new(Exit::Invalid, format!("the configuration is not valid\n{report}")).hint(next)
        }
        RunError::Admin(AdminError::Bind { .. }) => {
            Failure::new(Exit::Failed, error.to_string()).hint("name another with `--admin 127.0.0.1:PORT`")
        }
        RunError::Gateway(StartError::Bind { .. }) => {
            Failure::new(Exit::Failed, error.to_string()).hint("name another with `--listen ADDR:PORT`")
        }
        RunError::Gateway(StartError::AccessLog { .. }) => {
            Failure::new(Exit::Failed, error.to_string()).hint("name another with `--access-log FILE`")
        }
        error => Failure::new(Exit::Failed, error.to_string()).hint_if_none("banyan run --help"),
    }
}
