//! Process settings: a flag counts before its variable, the variable before `banyan.toml`, and that before the
//! default.

use std::path::{Path, PathBuf};

use banyan_routes::Variables;
use serde::Deserialize;

use crate::admin::{Admin, AdminUrl};
use crate::args::{Global, Limits, LogFormat, Most, Network, Process, Shared, Size, Time};
use crate::failure::{Exit, Failure};

/// Read when it is there.
const CONFIG_FILE: &str = "banyan.toml";
/// Read when it is there.
pub(crate) const ROUTES_FILE: &str = "routes.toml";
/// Where the admin API is.
pub(crate) const ADMIN_ADDRESS: &str = "127.0.0.1:9900";

/// What the command line and `banyan.toml` say together.
#[derive(Debug)]
pub(crate) struct Settings {
    shared: Shared,
    /// The token file is named by a flag or its variable, not by `banyan.toml`.
    token_file_by_flag: bool,
    /// `run`'s part of `banyan.toml`.
    pub(crate) process: Process,
}

/// `banyan.toml`: one table, the names of the flags.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct ConfigFile {
    routes: Option<PathBuf>,
    admin: Option<String>,
    admin_ca: Option<PathBuf>,
    admin_token_file: Option<PathBuf>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    listen: Vec<String>,
    listen_tls: Vec<String>,
    tls_certificate: Vec<PathBuf>,
    tls_key: Vec<PathBuf>,
    tls_client_ca: Option<PathBuf>,
    no_h2c: bool,
    proxy_protocol_from: Vec<Network>,
    legacy: Option<String>,
    state_dir: Option<PathBuf>,
    threads: Option<std::num::NonZeroUsize>,
    drain_timeout: Option<Time>,
    unready_before_stop: Option<Time>,
    access_log: Option<String>,
    admin_read_token_file: Option<PathBuf>,
    admin_read_only: bool,
    admin_host: Vec<String>,
    admin_tls_certificate: Option<PathBuf>,
    admin_tls_key: Option<PathBuf>,
    prometheus: Option<String>,
    via: bool,
    max_head_bytes: Option<Size>,
    max_fields: Option<std::num::NonZeroU16>,
    max_target_bytes: Option<Size>,
    head_timeout: Option<Time>,
    keep_alive_timeout: Option<Time>,
    max_requests_per_connection: Option<Most>,
    max_connections: Option<Most>,
    max_connections_per_address: Option<Most>,
}

impl Settings {
    /// Reads `banyan.toml` and puts the flags before it.
    pub(crate) fn load(global: Global) -> Result<Self, Failure> {
        let (shared, process) = split(read_config(global.config.as_deref())?);
        let flags = global.shared;
        let token_file_by_flag = flags.admin_token_file.is_some();
        let shared = Shared {
            routes: flags.routes.or(shared.routes),
            admin: flags.admin.or(shared.admin),
            admin_ca: flags.admin_ca.or(shared.admin_ca),
            admin_token_file: flags.admin_token_file.or(shared.admin_token_file),
            log: flags.log.or(shared.log),
            log_format: flags.log_format.or(shared.log_format),
        };
        Ok(Self { shared, token_file_by_flag, process })
    }

    /// The routing file that was named.
    pub(crate) fn named_routes(&self) -> Option<&Path> {
        self.shared.routes.as_deref()
    }

    /// The routing file that was named, or `routes.toml` if it is there.
    pub(crate) fn routes(&self) -> Option<PathBuf> {
        let usual = || Some(PathBuf::from(ROUTES_FILE)).filter(|path| path.exists());
        self.shared.routes.clone().or_else(usual)
    }

    /// The routing file of a command that needs one.
    pub(crate) fn needed_routes(&self) -> Result<PathBuf, Failure> {
        self.routes().ok_or_else(|| {
            Failure::new(Exit::Failed, format!("no {ROUTES_FILE} here, and no file named"))
                .hint("name it with `--routes FILE`")
        })
    }

    /// The admin address as written.
    pub(crate) fn admin_address(&self) -> &str {
        self.shared.admin.as_deref().unwrap_or(ADMIN_ADDRESS)
    }

    /// The client of the admin API.
    pub(crate) fn admin(&self) -> Result<Admin, Failure> {
        let url = AdminUrl::parse(self.admin_address())
            .map_err(|error| Failure::new(Exit::Usage, error).hint(format!("--admin {ADMIN_ADDRESS}")))?;
        Admin::new(url, self.admin_token()?, self.shared.admin_ca.as_deref())
    }

    /// The admin token: the first line of the file that a flag or its variable names, else
    /// `BANYAN_ADMIN_TOKEN`, else the file that `banyan.toml` names.
    pub(crate) fn admin_token(&self) -> Result<Option<String>, Failure> {
        let variable = || std::env::var("BANYAN_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
        if !self.token_file_by_flag
            && let Some(token) = variable()
        {
            return Ok(Some(token));
        }
        let Some(path) = &self.shared.admin_token_file else { return Ok(None) };
        token_in(path).map(Some)
    }

    /// What is logged, where it was said.
    pub(crate) fn log(&self) -> Option<&str> {
        self.shared.log.as_deref()
    }

    /// How log lines look.
    pub(crate) fn log_format(&self) -> LogFormat {
        self.shared.log_format.unwrap_or_default()
    }
}

/// The token in a file: its first line.
pub(crate) fn token_in(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot read admin token file {}: {error}", path.display()))
            .hint("name another with `--admin-token-file FILE`, or set BANYAN_ADMIN_TOKEN")
    })?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// The environment for `${VAR}`.
pub(crate) fn variables() -> Variables {
    banyan_control::environment()
}

fn split(file: ConfigFile) -> (Shared, Process) {
    let ConfigFile { routes, admin, admin_ca, admin_token_file, log, log_format, .. } = file;
    let shared = Shared { routes, admin, admin_ca, admin_token_file, log, log_format };
    let process = Process {
        listen: file.listen,
        listen_tls: file.listen_tls,
        tls_certificate: file.tls_certificate,
        tls_key: file.tls_key,
        tls_client_ca: file.tls_client_ca,
        no_h2c: file.no_h2c,
        proxy_protocol_from: file.proxy_protocol_from,
        legacy: file.legacy,
        state_dir: file.state_dir,
        threads: file.threads,
        drain_timeout: file.drain_timeout,
        unready_before_stop: file.unready_before_stop,
        access_log: file.access_log,
        admin_read_token_file: file.admin_read_token_file,
        admin_read_only: file.admin_read_only,
        admin_host: file.admin_host,
        admin_tls_certificate: file.admin_tls_certificate,
        admin_tls_key: file.admin_tls_key,
        prometheus: file.prometheus,
        via: file.via,
        limits: Limits {
            max_head_bytes: file.max_head_bytes,
            max_fields: file.max_fields,
            max_target_bytes: file.max_target_bytes,
            head_timeout: file.head_timeout,
            keep_alive_timeout: file.keep_alive_timeout,
            max_requests_per_connection: file.max_requests_per_connection,
            max_connections: file.max_connections,
            max_connections_per_address: file.max_connections_per_address,
        },
    };
    (shared, process)
}

fn read_config(named: Option<&Path>) -> Result<ConfigFile, Failure> {
    let path = named.unwrap_or(Path::new(CONFIG_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(ConfigFile::default());
        }
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            return Err(Failure::new(Exit::Failed, message).hint("name another with `--config FILE`"));
        }
    };
    toml::from_str(&text).map_err(|error| {
        let message = format!("{} is not valid\n{}", path.display(), error.to_string().trim_end());
        Failure::new(Exit::Invalid, message).hint("the keys are the flags of `banyan run --help`")
    })
}

/// A flag or its variable, then `banyan.toml`.
pub(crate) fn over(flags: Process, file: Process) -> Process {
    Process {
        listen: list(flags.listen, file.listen),
        listen_tls: list(flags.listen_tls, file.listen_tls),
        tls_certificate: list(flags.tls_certificate, file.tls_certificate),
        tls_key: list(flags.tls_key, file.tls_key),
        tls_client_ca: flags.tls_client_ca.or(file.tls_client_ca),
        no_h2c: flags.no_h2c || file.no_h2c,
        proxy_protocol_from: list(flags.proxy_protocol_from, file.proxy_protocol_from),
        legacy: flags.legacy.or(file.legacy),
        state_dir: flags.state_dir.or(file.state_dir),
        threads: flags.threads.or(file.threads),
        drain_timeout: flags.drain_timeout.or(file.drain_timeout),
        unready_before_stop: flags.unready_before_stop.or(file.unready_before_stop),
        access_log: flags.access_log.or(file.access_log),
        admin_read_token_file: flags.admin_read_token_file.or(file.admin_read_token_file),
        admin_read_only: flags.admin_read_only || file.admin_read_only,
        admin_host: list(flags.admin_host, file.admin_host),
        admin_tls_certificate: flags.admin_tls_certificate.or(file.admin_tls_certificate),
        admin_tls_key: flags.admin_tls_key.or(file.admin_tls_key),
        prometheus: flags.prometheus.or(file.prometheus),
        via: flags.via || file.via,
        limits: limits(&flags.limits, &file.limits),
    }
}

fn limits(flags: &Limits, file: &Limits) -> Limits {
    Limits {
        max_head_bytes: flags.max_head_bytes.or(file.max_head_bytes),
        max_fields: flags.max_fields.or(file.max_fields),
        max_target_bytes: flags.max_target_bytes.or(file.max_target_bytes),
        head_timeout: flags.head_timeout.or(file.head_timeout),
        keep_alive_timeout: flags.keep_alive_timeout.or(file.keep_alive_timeout),
        max_requests_per_connection: flags.max_requests_per_connection.or(file.max_requests_per_connection),
        max_connections: flags.max_connections.or(file.max_connections),
        max_connections_per_address: flags.max_connections_per_address.or(file.max_connections_per_address),
    }
}

fn list<T>(flag: Vec<T>, file: Vec<T>) -> Vec<T> {
    if flag.is_empty() { file } else { flag }
}
