//! Every metric, in one list, and by name: who writes a query names a constant, and cannot misspell it.

/// Type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises, until the process starts anew.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Cumulative buckets.
    Histogram,
}

/// One metric as documentation, dashboards and tests name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// Full name. Histograms add `_bucket`, `_sum` and `_count` in the text format.
    pub name: &'static str,
    /// Type.
    pub kind: MetricKind,
    /// One sentence.
    pub help: &'static str,
    /// Labels, in order. Their values come from the configuration and from fixed sets, never from requests.
    pub labels: &'static [&'static str],
}

const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> MetricInfo {
    MetricInfo { name, kind: MetricKind::Counter, help, labels }
}

const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> MetricInfo {
    MetricInfo { name, kind: MetricKind::Gauge, help, labels }
}

const fn histogram(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> MetricInfo {
    MetricInfo { name, kind: MetricKind::Histogram, help, labels }
}

/// `banyan_requests_total`
pub const REQUESTS: MetricInfo = counter(
    "banyan_requests_total",
    "Requests that ended, by the arm that answered and the class of the status.",
    &["route", "arm", "code_class"],
);
/// `banyan_decisions_total`
pub const DECISIONS: MetricInfo =
    counter("banyan_decisions_total", "Decisions, by the arm chosen and why.", &["route", "arm", "reason"]);
/// `banyan_attempts_total`
pub const ATTEMPTS: MetricInfo = counter(
    "banyan_attempts_total",
    "Attempts to get an answer from an upstream, by what came of them.",
    &["route", "arm", "outcome"],
);
/// `banyan_retries_total`
pub const RETRIES: MetricInfo =
    counter("banyan_retries_total", "Second attempts on the same arm.", &["route"]);
/// `banyan_cookie_collisions_total`
pub const COOKIE_COLLISIONS: MetricInfo = counter(
    "banyan_cookie_collisions_total",
    "Cookies set by one arm that the other sets with another Path, Domain, Secure, HttpOnly or SameSite.",
    &["route"],
);
/// `banyan_cookies_unwatched_total`
pub const COOKIES_UNWATCHED: MetricInfo = counter(
    "banyan_cookies_unwatched_total",
    "Cookies not compared between the arms: too many names, or one too long.",
    &["route"],
);
/// `banyan_fallbacks_total`
pub const FALLBACKS: MetricInfo = counter(
    "banyan_fallbacks_total",
    "Requests that the candidate could not answer and legacy was asked, by cause.",
    &["route", "reason"],
);
/// `banyan_shadow_requests_total`
pub const SHADOW_REQUESTS: MetricInfo = counter(
    "banyan_shadow_requests_total",
    "Requests drawn to be copied to the other arm, by what became of the copy; `asked-again` are more of them.",
    &["route", "result"],
);
/// `banyan_compare_total`
pub const COMPARED: MetricInfo = counter(
    "banyan_compare_total",
    "Comparisons of the answers of both arms, by what they said in the end.",
    &["route", "verdict"],
);
/// `banyan_compare_incomparable_total`
pub const INCOMPARABLE: MetricInfo = counter(
    "banyan_compare_incomparable_total",
    "Answers that could not be compared, by why.",
    &["route", "reason"],
);
/// `banyan_shadow_dry_runs_ended_total`
pub const DRY_RUNS_ENDED: MetricInfo = counter(
    "banyan_shadow_dry_runs_ended_total",
    "Targets that agreed to dry runs and answered one as if it were none: they are sent no more.",
    &["route"],
);
/// `banyan_shadow_duration_seconds`
pub const SHADOW_DURATION: MetricInfo = histogram(
    "banyan_shadow_duration_seconds",
    "Time from the begin of a copy to the head of its answer.",
    &["route"],
);
/// `banyan_shadow_inflight`
pub const SHADOW_INFLIGHT: MetricInfo =
    gauge("banyan_shadow_inflight", "Copies on their way to the other arm now.", &[]);
/// `banyan_shadow_queue_bytes`
pub const SHADOW_BYTES: MetricInfo =
    gauge("banyan_shadow_queue_bytes", "Bytes of heads and bodies held for copies and comparisons now.", &[]);
/// `banyan_request_duration_seconds`
pub const REQUEST_DURATION: MetricInfo = histogram(
    "banyan_request_duration_seconds",
    "Time from the head of a request to the end of its answer.",
    &["route", "arm"],
);
/// `banyan_upstream_duration_seconds`
pub const UPSTREAM_DURATION: MetricInfo = histogram(
    "banyan_upstream_duration_seconds",
    "Time from the begin of an attempt to the head of its answer.",
    &["route", "upstream"],
);
/// `banyan_route_share_ratio`
pub const SHARE: MetricInfo =
    gauge("banyan_route_share_ratio", "Configured share of clients of the candidate, 0 to 1.", &["route"]);
/// `banyan_upstream_errors_total`
pub const UPSTREAM_ERRORS: MetricInfo =
    counter("banyan_upstream_errors_total", "Failures of an upstream, by kind.", &["upstream", "kind"]);
/// `banyan_upstream_healthy`
pub const HEALTHY: MetricInfo = gauge(
    "banyan_upstream_healthy",
    "1 when the target takes requests, 0 when its health check failed.",
    &["upstream", "target"],
);
/// `banyan_upstream_ejected`
pub const EJECTED: MetricInfo = gauge(
    "banyan_upstream_ejected",
    "1 while the target is taken out after failures in a row, which no health check found.",
    &["upstream", "target"],
);
/// `banyan_upstream_ejections_total`
pub const EJECTIONS: MetricInfo = counter(
    "banyan_upstream_ejections_total",
    "How often the target was taken out after failures in a row.",
    &["upstream", "target"],
);
/// `banyan_breaker_state`
pub const BREAKER_STATE: MetricInfo = gauge(
    "banyan_breaker_state",
    "Whether requests of candidates reach the upstream: 0 closed, 1 half-open, 2 open.",
    &["upstream"],
);
/// `banyan_breaker_transitions_total`
pub const BREAKER_TRANSITIONS: MetricInfo = counter(
    "banyan_breaker_transitions_total",
    "How often the breaker of the upstream came into a state.",
    &["upstream", "to"],
);
/// `banyan_inflight_requests`
pub const INFLIGHT: MetricInfo =
    gauge("banyan_inflight_requests", "Requests at an upstream now.", &["upstream"]);
/// `banyan_upstream_leases_total`
pub const POOL: MetricInfo = counter(
    "banyan_upstream_leases_total",
    "Requests given a connection to the upstream: one at hand (`idle`), or one opened or waited for (`new`).",
    &["upstream", "connection"],
);
/// `banyan_refused_total`
pub const REFUSED: MetricInfo =
    counter("banyan_refused_total", "Requests refused by their head or their length.", &["reason"]);
/// `banyan_connections_refused_total`
pub const CONNECTIONS_REFUSED: MetricInfo = counter(
    "banyan_connections_refused_total",
    "Client connections closed before their first request.",
    &["reason"],
);
/// `banyan_open_connections`
pub const CONNECTIONS: MetricInfo = gauge("banyan_open_connections", "Client connections open now.", &[]);
/// `banyan_workers`
pub const WORKERS: MetricInfo = gauge("banyan_workers", "Threads that serve requests.", &[]);
/// `banyan_informational_dropped_total`
pub const INFORMATIONAL_DROPPED: MetricInfo = counter(
    "banyan_informational_dropped_total",
    "Interim answers (1xx) of upstreams that were not passed on.",
    &[],
);
/// `banyan_panics_total`
pub const PANICS: MetricInfo = counter(
    "banyan_panics_total",
    "Panics: one while answering became a 500, one while comparing cost a comparison.",
    &[],
);
/// `banyan_access_log_dropped_total`
pub const LOG_DROPPED: MetricInfo = counter(
    "banyan_access_log_dropped_total",
    "Access log lines lost because the queue was full or the target could not be written.",
    &[],
);
/// `banyan_build_info`
pub const BUILD_INFO: MetricInfo =
    gauge("banyan_build_info", "1, labelled with the version of this build.", &["version"]);

/// `banyan_config_reloads_total`
pub const CONFIG_RELOADS: MetricInfo =
    counter("banyan_config_reloads_total", "Attempts to load a configuration, by result.", &["result"]);
/// `banyan_config_generation`
pub const CONFIG_GENERATION: MetricInfo =
    gauge("banyan_config_generation", "Number of the configuration in force.", &[]);
/// `banyan_config_info`
pub const CONFIG_INFO: MetricInfo =
    gauge("banyan_config_info", "Hash of the configuration in force; always 1.", &["hash"]);
/// `banyan_config_last_reload_successful`
pub const CONFIG_SUCCESSFUL: MetricInfo = gauge(
    "banyan_config_last_reload_successful",
    "1 when the last attempt to load was accepted, 0 when it was refused.",
    &[],
);
/// `banyan_history_dropped_total`
pub const HISTORY_DROPPED: MetricInfo = counter(
    "banyan_history_dropped_total",
    "Swaps that stayed in memory because the disk of the history was too slow.",
    &[],
);
/// `banyan_admin_connections_refused_total`
pub const ADMIN_CONNECTIONS_REFUSED: MetricInfo = counter(
    "banyan_admin_connections_refused_total",
    "Connections closed because the admin listener had as many as it takes.",
    &[],
);
/// `banyan_admin_requests_refused_total`
pub const ADMIN_REQUESTS_REFUSED: MetricInfo = counter(
    "banyan_admin_requests_refused_total",
    "Requests refused because the admin listener was asked too often.",
    &[],
);
/// `banyan_evidence_samples_dropped_total`
pub const EVIDENCE_DROPPED: MetricInfo = counter(
    "banyan_evidence_samples_dropped_total",
    "Samples of comparisons not kept, by reason.",
    &["reason"],
);
/// `process_cpu_seconds_total`
pub const CPU: MetricInfo =
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", &[]);
/// `process_open_fds`
pub const OPEN_FDS: MetricInfo = gauge("process_open_fds", "Number of open file descriptors.", &[]);
/// `process_max_fds`
pub const MAX_FDS: MetricInfo = gauge("process_max_fds", "Maximum number of open file descriptors.", &[]);
/// `process_virtual_memory_bytes`
pub const VIRTUAL_MEMORY: MetricInfo =
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", &[]);
/// `process_resident_memory_bytes`
pub const RESIDENT_MEMORY: MetricInfo =
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", &[]);
/// `process_start_time_seconds`
pub const START_TIME: MetricInfo =
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", &[]);
/// `process_threads`
pub const OS_THREADS: MetricInfo = gauge("process_threads", "Number of OS threads in the process.", &[]);

/// Every metric of the proxy: those of the request path, those of everything slower than a request (written by whoever
/// reloads the configuration), and the usual ones of a process, measured on Linux only.
pub const METRICS: &[MetricInfo] = &[
    REQUESTS,
    DECISIONS,
    ATTEMPTS,
    RETRIES,
    COOKIE_COLLISIONS,
    COOKIES_UNWATCHED,
    FALLBACKS,
    SHADOW_REQUESTS,
    COMPARED,
    INCOMPARABLE,
    DRY_RUNS_ENDED,
    SHADOW_DURATION,
    SHADOW_INFLIGHT,
    SHADOW_BYTES,
    REQUEST_DURATION,
    UPSTREAM_DURATION,
    SHARE,
    UPSTREAM_ERRORS,
    HEALTHY,
    EJECTED,
    EJECTIONS,
    BREAKER_STATE,
    BREAKER_TRANSITIONS,
    INFLIGHT,
    POOL,
    REFUSED,
    CONNECTIONS_REFUSED,
    CONNECTIONS,
    WORKERS,
    INFORMATIONAL_DROPPED,
    PANICS,
    LOG_DROPPED,
    BUILD_INFO,
    CONFIG_RELOADS,
    CONFIG_GENERATION,
    CONFIG_INFO,
    CONFIG_SUCCESSFUL,
    HISTORY_DROPPED,
    ADMIN_CONNECTIONS_REFUSED,
    ADMIN_REQUESTS_REFUSED,
    EVIDENCE_DROPPED,
    CPU,
    OPEN_FDS,
    MAX_FDS,
    VIRTUAL_MEMORY,
    RESIDENT_MEMORY,
    START_TIME,
    OS_THREADS,
];

/// How many of [`METRICS`], from the first, are those of the request path.
pub const OURS: usize = METRICS.len() - 8 - 7;
