//! The flags of `run`.

use std::path::PathBuf;

use clap::Args;

use super::{Most, Network, Size, Time};

/// `run`
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:
  banyan run --listen :8080 --legacy http://localhost:3000
  banyan run --routes routes.toml --listen 127.0.0.1:8080 --state-dir /var/lib/banyan

SIGTERM drains and ends, a second one ends at once; SIGHUP reloads, SIGUSR1 opens the access log anew,
SIGUSR2 upgrades as `banyan upgrade` does.")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) process: Process,
}

/// Settings of the process that `run` starts.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Process {
    /// Address to serve, `:8080` on every IPv4 interface; can be repeated [default: 127.0.0.1:8080]
    #[arg(long, env = "BANYAN_LISTEN", hide_env = true, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) listen: Vec<String>,
    /// Address to serve with TLS, for example `:8443`; can be repeated
    #[arg(long, env = "BANYAN_LISTEN_TLS", hide_env = true, value_name = "ADDR", value_delimiter = ',')]
    pub(crate) listen_tls: Vec<String>,
    /// Certificate and its chain (PEM), read again when it changes; can be repeated, the first is the default
    #[arg(long, env = "BANYAN_TLS_CERTIFICATE", hide_env = true, value_name = "FILE", value_delimiter = ',')]
    pub(crate) tls_certificate: Vec<PathBuf>,
    /// Key of the certificate (PEM), once for each and in the same order
    #[arg(long, env = "BANYAN_TLS_KEY", hide_env = true, value_name = "FILE", value_delimiter = ',')]
    pub(crate) tls_key: Vec<PathBuf>,
    /// Take only clients with a certificate of these authorities (PEM)
    #[arg(long, env = "BANYAN_TLS_CLIENT_CA", hide_env = true, value_name = "FILE")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Refuse HTTP/2 where there is no TLS
    #[arg(long, env = "BANYAN_NO_H2C", hide_env = true)]
    pub(crate) no_h2c: bool,
    /// Peers that begin with a PROXY header, and must, for example `10.0.0.0/8`; can be repeated
    #[arg(
        long,
        env = "BANYAN_PROXY_PROTOCOL_FROM",
        hide_env = true,
        value_name = "NET",
        value_delimiter = ','
    )]
    pub(crate) proxy_protocol_from: Vec<Network>,
    /// Instead of a file: every request goes to this one application
    #[arg(long, env = "BANYAN_LEGACY", hide_env = true, value_name = "URL")]
    pub(crate) legacy: Option<String>,
    /// Where history and undo are kept [default: in memory]
    #[arg(long, env = "BANYAN_STATE_DIR", hide_env = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Worker threads [default: one per core]
    #[arg(long, env = "BANYAN_THREADS", hide_env = true, value_name = "N")]
    pub(crate) threads: Option<std::num::NonZeroUsize>,
    /// Longest wait for requests in flight after a stop [default: 30s]
    #[arg(long, env = "BANYAN_DRAIN_TIMEOUT", hide_env = true, value_name = "TIME")]
    pub(crate) drain_timeout: Option<Time>,
    /// How long /readyz fails before the listeners close [default: 0s]
    #[arg(long, env = "BANYAN_UNREADY_BEFORE_STOP", hide_env = true, value_name = "TIME")]
    pub(crate) unready_before_stop: Option<Time>,
    /// One JSON line per request: a file, or `stdout` [default: none]
    #[arg(long, env = "BANYAN_ACCESS_LOG", hide_env = true, value_name = "FILE")]
    pub(crate) access_log: Option<String>,
    /// File that holds a token which may read the admin API, and change nothing
    #[arg(long, env = "BANYAN_ADMIN_READ_TOKEN_FILE", hide_env = true, value_name = "FILE")]
    pub(crate) admin_read_token_file: Option<PathBuf>,
    /// Let nobody change anything over the admin API
    #[arg(long, env = "BANYAN_ADMIN_READ_ONLY", hide_env = true)]
    pub(crate) admin_read_only: bool,
    /// Further host name under which the admin API may be asked; can be repeated
    #[arg(long, env = "BANYAN_ADMIN_HOST", hide_env = true, value_name = "NAME", value_delimiter = ',')]
    pub(crate) admin_host: Vec<String>,
    /// Certificate and its chain (PEM) of an admin address with TLS, read again when it changes
    #[arg(long, env = "BANYAN_ADMIN_TLS_CERTIFICATE", hide_env = true, value_name = "FILE")]
    pub(crate) admin_tls_certificate: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(long, env = "BANYAN_ADMIN_TLS_KEY", hide_env = true, value_name = "FILE")]
    pub(crate) admin_tls_key: Option<PathBuf>,
    /// Prometheus, for charts of the dashboard that reach further back than a day, for example `http://127.0.0.1:9090`
    #[arg(long, env = "BANYAN_PROMETHEUS", hide_env = true, value_name = "URL")]
    pub(crate) prometheus: Option<String>,
    /// Add `Via: 1.1 banyan` in both directions
    #[arg(long, env = "BANYAN_VIA", hide_env = true)]
    pub(crate) via: bool,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// How much a client may take; docs/limits.md says what becomes of who goes beyond it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Most bytes of the fields of a request [default: 64KiB]
    #[arg(long, env = "BANYAN_MAX_HEAD_BYTES", hide_env = true, value_name = "SIZE")]
    pub(crate) max_head_bytes: Option<Size>,
    /// Most fields of a request [default: 100]
    #[arg(long, env = "BANYAN_MAX_FIELDS", hide_env = true, value_name = "N")]
    pub(crate) max_fields: Option<std::num::NonZeroU16>,
    /// Longest target of a request [default: 16KiB]
    #[arg(long, env = "BANYAN_MAX_TARGET_BYTES", hide_env = true, value_name = "SIZE")]
    pub(crate) max_target_bytes: Option<Size>,
    /// Longest wait for the rest of a head, and for a PROXY header [default: 30s]
    #[arg(long, env = "BANYAN_HEAD_TIMEOUT", hide_env = true, value_name = "TIME")]
    pub(crate) head_timeout: Option<Time>,
    /// Longest rest of a connection before a request [default: 75s]
    #[arg(long, env = "BANYAN_KEEP_ALIVE_TIMEOUT", hide_env = true, value_name = "TIME")]
    pub(crate) keep_alive_timeout: Option<Time>,
    /// Most requests on one connection [default: none]
    #[arg(long, env = "BANYAN_MAX_REQUESTS_PER_CONNECTION", hide_env = true, value_name = "N")]
    pub(crate) max_requests_per_connection: Option<Most>,
    /// Most connections of clients at a time [default: 65536]
    #[arg(long, env = "BANYAN_MAX_CONNECTIONS", hide_env = true, value_name = "N")]
    pub(crate) max_connections: Option<Most>,
    /// Most connections from one address, from one /64 with IPv6 [default: none]
    #[arg(long, env = "BANYAN_MAX_CONNECTIONS_PER_ADDRESS", hide_env = true, value_name = "N")]
    pub(crate) max_connections_per_address: Option<Most>,
}
