//! `banyan run`

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

use banyan_control::{
    AccessLogTarget, AdminError, AdminOptions, CertificateFiles, Drained, ExitReason,
    Limits as GatewayLimits, LoadError, PrometheusOptions, Registry, RunError, RunOptions, SAMPLE_EVERY,
    Settings as Gateway, Source, StartError, TlsSettings,
};

use crate::admin::{HTTPS, authorities};
use crate::args::{Limits, Most, Process, RunArgs, Size};
use crate::failure::{Exit, Failure};
use crate::settings::{self, ROUTES_FILE, Settings};

/// Served when nothing else is said.
const LISTEN: &str = "127.0.0.1:8080";
/// Wait for requests in flight.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Less would refuse what every browser sends; more finds no room in what hyper reads of a head.
const HEAD_BYTES: RangeInclusive<usize> = 1 << 10..=256 << 10;
/// Longer ones are not routed.
const TARGET_BYTES: RangeInclusive<usize> = 1 << 10..=64 << 10;
/// Room is made for all of them with each request.
const FIELDS: RangeInclusive<usize> = 10..=1000;

/// Runs the proxy until it is told to end.
pub(super) fn perform(args: RunArgs, settings: &Settings) -> Result<Exit, Failure> {
    let process = settings::over(args.process, settings.process.clone());
    let options = RunOptions {
        source: source(&process, settings)?,
        variables: settings::variables(),
        gateway: gateway(&process)?,
        admin: AdminOptions {
            certificate: admin_certificate(&process, settings.admin_address())?,
            address: admin_address(settings.admin_address())?,
            token: settings.admin_token()?,
            read_token: process.admin_read_token_file.as_deref().map(settings::token_in).transpose()?,
            read_only: process.admin_read_only,
            hosts: process.admin_host,
        },
        state_dir: process.state_dir,
        unready_before_stop: process.unready_before_stop.map_or(Duration::ZERO, |time| time.0),
        sample_every: SAMPLE_EVERY,
        prometheus: process.prometheus.as_deref().map(prometheus).transpose()?,
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
        ExitReason::Stopped(Drained::Clean) | ExitReason::Replaced(Drained::Clean) => Exit::Ok,
        ExitReason::Stopped(Drained::CutOff { connections })
        | ExitReason::Replaced(Drained::CutOff { connections }) => {
            tracing::warn!(connections, "the drain time was over, connections were closed");
            Exit::TimedOut
        }
        ExitReason::Stopped(Drained::NeverServed)
        | ExitReason::Replaced(Drained::NeverServed)
        | ExitReason::Interrupted => Exit::Failed,
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
    let usual = process.listen.is_empty() && process.listen_tls.is_empty();
    let wanted = if usual { &vec![LISTEN.to_owned()] } else { &process.listen };
    let listen = addresses(wanted, "--listen")?;
    let listen_tls = addresses(&process.listen_tls, "--listen-tls")?;
    refuse_overlap(&[named(&listen, "--listen"), named(&listen_tls, "--listen-tls")].concat())?;
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Gateway {
        listen,
        tls: tls(process)?,
        listen_tls,
        h2c: !process.no_h2c,
        proxy_protocol_from: process.proxy_protocol_from.iter().map(|network| network.0).collect(),
        limits: limits(&process.limits)?,
        threads: process.threads.map_or_else(cores, std::num::NonZero::get),
        drain_timeout: process.drain_timeout.map_or(DRAIN_TIMEOUT, |time| time.0),
        access_log: process.access_log.as_deref().map(access_log),
        via: process.via,
    })
}

fn limits(flags: &Limits) -> Result<GatewayLimits, Failure> {
    let usual = GatewayLimits::default();
    let size = |flag: Option<Size>, usual: usize| flag.map_or(usual, |size| size.0);
    let head_bytes = size(flags.max_head_bytes, usual.head_bytes);
    let target_bytes = size(flags.max_target_bytes, usual.target_bytes);
    let fields = flags.max_fields.map_or(usual.fields, |most| most.get().into());
    within(head_bytes, "--max-head-bytes", &HEAD_BYTES, "64KiB")?;
    within(target_bytes, "--max-target-bytes", &TARGET_BYTES, "16KiB")?;
    within(fields, "--max-fields", &FIELDS, "100")?;
    Ok(GatewayLimits {
        head_bytes,
        fields,
        target_bytes,
        head_timeout: flags.head_timeout.map_or(usual.head_timeout, |time| time.0),
        keep_alive: flags.keep_alive_timeout.map_or(usual.keep_alive, |time| time.0),
        requests_per_connection: most(flags.max_requests_per_connection, usual.requests_per_connection),
        connections: most(flags.max_connections, usual.connections),
        connections_per_address: most(flags.max_connections_per_address, usual.connections_per_address),
    })
}

fn most(flag: Option<Most>, usual: Option<u64>) -> Option<u64> {
    flag.map_or(usual, |most| most.0)
}

fn within(found: usize, flag: &str, range: &RangeInclusive<usize>, usual: &str) -> Result<(), Failure> {
    if range.contains(&found) {
        return Ok(());
    }
    let message = format!("`{flag}` must be from {} to {}, found {found}", range.start(), range.end());
    Err(Failure::new(Exit::Usage, message).hint(format!("{flag} {usual}")))
}

/// Certificates and TLS addresses come together or not at all.
fn tls(process: &Process) -> Result<Option<TlsSettings>, Failure> {
    let usage = |message: String| {
        let hint = "--listen-tls :8443 --tls-certificate site.pem --tls-key site.key";
        Err(Failure::new(Exit::Usage, message).hint(hint))
    };
    let Process {
        listen_tls, tls_certificate: certificates, tls_key: keys, tls_client_ca: client_ca, ..
    } = process;
    let has_files = !certificates.is_empty() || !keys.is_empty() || client_ca.is_some();
    match (listen_tls.is_empty(), certificates.len(), keys.len()) {
        (true, ..) if !has_files => Ok(None),
        (true, ..) => usage("certificates are given, and no address to serve with them".to_owned()),
        (false, 0, _) => usage("`--listen-tls` needs a certificate".to_owned()),
        (false, certificates, keys) if certificates != keys => {
            usage(format!("{certificates} certificates and {keys} keys: each certificate needs its key"))
        }
        _ => {
            let pairs = certificates.iter().cloned().zip(keys.iter().cloned());
            let certificates =
                pairs.map(|(certificate, key)| CertificateFiles { certificate, key }).collect();
            Ok(Some(TlsSettings { certificates, client_ca: client_ca.clone() }))
        }
    }
}

/// The address says `https`, and there are a certificate and its key; or none of that.
fn admin_certificate(process: &Process, address: &str) -> Result<Option<CertificateFiles>, Failure> {
    let usage = |message: &str| {
        let hint =
            "--admin https://127.0.0.1:9900 --admin-tls-certificate admin.pem --admin-tls-key admin.key";
        Err(Failure::new(Exit::Usage, message).hint(hint))
    };
    match (address.starts_with(HTTPS), &process.admin_tls_certificate, &process.admin_tls_key) {
        (false, None, None) => Ok(None),
        (true, Some(certificate), Some(key)) => {
            Ok(Some(CertificateFiles { certificate: certificate.clone(), key: key.clone() }))
        }
        (true, None, None) => usage("an admin address with `https` needs a certificate"),
        (_, Some(_), None) => usage("the admin certificate needs its key"),
        (_, None, Some(_)) => usage("an admin key is given, and no certificate"),
        (false, Some(_), Some(_)) => usage("an admin certificate is given, and `--admin` is not `https://`"),
    }
}

/// An address of Prometheus, and a client that believes the authorities of the system.
fn prometheus(url: &str) -> Result<PrometheusOptions, Failure> {
    let usage =
        |message: String| Failure::new(Exit::Usage, message).hint("--prometheus http://127.0.0.1:9090");
    let parsed: http::Uri = url.parse().map_err(|error| usage(format!("`--prometheus {url}`: {error}")))?;
    let is_https = parsed.scheme_str() == Some("https");
    if (!is_https && parsed.scheme_str() != Some("http")) || parsed.host().is_none_or(str::is_empty) {
        return Err(usage(format!(
            "`--prometheus {url}` is no address that begins with `http://` or `https://`"
        )));
    }
    let config = ureq::Agent::config_builder().tls_config(authorities::tls(None, is_https)?).build();
    Ok(PrometheusOptions { url: url.to_owned(), agent: config.into() })
}

fn admin_address(text: &str) -> Result<SocketAddr, Failure> {
    address(text.strip_prefix(HTTPS).unwrap_or(text), "--admin")
}

fn addresses(texts: &[String], flag: &str) -> Result<Vec<SocketAddr>, Failure> {
    texts.iter().map(|text| address(text, flag)).collect()
}

fn named(listen: &[SocketAddr], flag: &'static str) -> Vec<(&'static str, SocketAddr)> {
    listen.iter().map(|address| (flag, *address)).collect()
}

/// Each of two such addresses can be bound alone, so nothing else notices before both are being served.
fn refuse_overlap(listen: &[(&str, SocketAddr)]) -> Result<(), Failure> {
    for (place, (flag, one)) in listen.iter().enumerate() {
        if let Some((before, other)) = listen[..place].iter().find(|(_, other)| overlap(*other, *one)) {
            let message = format!("`{before} {other}` and `{flag} {one}` take the same port");
            return Err(Failure::new(Exit::Usage, message).hint(format!("leave `{flag} {one}` out")));
        }
    }
    Ok(())
}

/// `[::]` takes the port on the interfaces of IPv4, too. A single interface beside all of them is served.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let every = |address: SocketAddr| address.ip().is_unspecified();
    let same_port = one.port() == other.port() && one.port() != 0;
    same_port && (one.ip() == other.ip() || (every(one) && every(other)))
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
        RunError::Admin(AdminError::Tls(_)) => Failure::new(Exit::Failed, error.to_string())
            .hint("name others with `--admin-tls-certificate FILE` and `--admin-tls-key FILE`"),
        RunError::Gateway(StartError::Bind { .. }) => {
            Failure::new(Exit::Failed, error.to_string()).hint("name another with `--listen ADDR:PORT`")
        }
        RunError::Gateway(StartError::Tls(_)) => Failure::new(Exit::Failed, error.to_string())
            .hint("name others with `--tls-certificate FILE` and `--tls-key FILE`"),
        RunError::Gateway(StartError::AccessLog { .. }) => {
            Failure::new(Exit::Failed, error.to_string()).hint("name another with `--access-log FILE`")
        }
        error => Failure::new(Exit::Failed, error.to_string()).hint_if_none("banyan run --help"),
    }
}
