//! `[upstreams.NAME]`

use super::duration::Span;
use super::failing::BreakerTable;
use super::reader::Located;
use super::table::table;
use super::word::Http2Word;

table! {
    /// Where answers come from.
    UpstreamTable in "an upstream" {
        /// Servers, at least one: `http://host:port`, or all of them `https://host:port`.
        must targets: Vec<Located<String>>,
        /// Active check; without one every target counts as healthy.
        may health: HealthTable,
        /// Longest wait for a connection, TLS included; that of `[defaults]` when absent.
        may connect_timeout: Span,
        /// How long an idle connection is kept, `60s` when absent.
        may keep_alive: Span,
        /// Most connections to each target, over all threads; unlimited when absent.
        may max_connections: u32,
        /// Most requests at a time, over all targets and threads; unlimited when absent.
        may max_requests: u32,
        /// When requests of candidates leave the upstream alone.
        may breaker: BreakerTable,
        /// How `https://` targets are verified, and what they are shown; the system's authorities when absent.
        may tls: TlsTable,
        /// HTTP/2: `alpn` when absent, which is for `https://`; `prior-knowledge` is for `http://`.
        may http2: Http2Word,
    }
    later ["retry"]
    hints [
        "" => "write `[upstreams.NAME]`, and `targets = [\"http://127.0.0.1:3000\"]` below it",
        "targets" => "write it like `targets = [\"http://127.0.0.1:3000\"]`",
        "target" => "did you mean `targets`? it is a list: `targets = [\"http://127.0.0.1:3000\"]`",
        "url" => "did you mean `targets`? it is a list: `targets = [\"http://127.0.0.1:3000\"]`",
        "servers" => "did you mean `targets`?",
        "timeout" => "`timeout` belongs to `[defaults]` or a route; an upstream has `connect_timeout`",
        "keepalive" => "did you mean `keep_alive`?",
        "tls_ca" => "did you mean `tls`? write `tls = { ca_file = \"ca.pem\" }`",
        "tls_verify" => "did you mean `tls`? write `tls = { verify = false }`",
        "h2c" => "did you mean `http2`? write `http2 = \"prior-knowledge\"`",
        "protocol" => "did you mean `http2`? write `http2 = \"prior-knowledge\"` or `\"off\"`",
    ]
}

table! {
    /// TLS to the targets of an upstream. Files are PEM, named from the folder of this file.
    TlsTable in "`tls`" {
        /// Authorities that are believed, in place of the system's.
        may ca_file: String,
        /// Certificate to show to the upstream, then its chain; needs `client_key_file`.
        may client_certificate_file: String,
        /// Its key, without a password.
        may client_key_file: String,
        /// Name that is asked for and verified, the target's host when absent.
        may server_name: String,
        /// `false` believes any certificate; `true` when absent.
        may verify: bool,
    }
    later []
    hints [
        "" => "write it like `tls = { ca_file = \"ca.pem\" }`; `https://` alone needs no `tls`",
        "ca" => "did you mean `ca_file`?",
        "cert_file" => "did you mean `client_certificate_file`?",
        "client_cert_file" => "did you mean `client_certificate_file`?",
        "key_file" => "did you mean `client_key_file`?",
        "sni" => "did you mean `server_name`?",
        "insecure" => "did you mean `verify`? write `verify = false`",
    ]
}

table! {
    /// An active health check: GET, and 2xx is healthy.
    HealthTable in "`health`" {
        /// Path asked, with query if need be.
        must path: String,
        /// Time between two questions, `5s` when absent.
        may every: Span,
        /// Longest wait for one answer, `2s` when absent.
        may timeout: Span,
        /// Failures in a row that make a target unhealthy, 3 when absent.
        may unhealthy_after: u32,
        /// Successes in a row that make it healthy again, 2 when absent.
        may healthy_after: u32,
    }
    later ["status", "headers", "host", "method", "port"]
    hints [
        "" => "write it like `health = { path = \"/healthz\" }`",
        "path" => "write it like `health = { path = \"/healthz\" }`",
        "interval" => "did you mean `every`?",
    ]
}
