//! Every metric, in one list.

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

pub(super) const REQUESTS: MetricInfo = counter(
    "banyan_requests_total",
    "Requests that ended, by the arm that answered and the class of the status.",
    &["route", "arm", "code_class"],
);
pub(super) const DECISIONS: MetricInfo =
    counter("banyan_decisions_total", "Decisions, by the arm chosen and why.", &["route", "arm", "reason"]);
pub(super) const ATTEMPTS: MetricInfo = counter(
    "banyan_attempts_total",
    "Attempts to get an answer from an upstream, by what came of them.",
    &["route", "arm", "outcome"],
);
pub(super) const RETRIES: MetricInfo =
    counter("banyan_retries_total", "Second attempts on the same arm.", &["route"]);
pub(super) const COOKIE_COLLISIONS: MetricInfo = counter(
    "banyan_cookie_collisions_total",
    "Cookies set by one arm that the other sets with another Path, Domain, Secure, HttpOnly or SameSite.",
    &["route"],
);
pub(super) const COOKIES_UNWATCHED: MetricInfo = counter(
    "banyan_cookies_unwatched_total",
    "Cookies not compared between the arms: too many names, or one too long.",
    &["route"],
);
pub(super) const FALLBACKS: MetricInfo = counter(
    "banyan_fallbacks_total",
    "Requests that the candidate could not answer and legacy was asked, by cause.",
    &["route", "reason"],
);
pub(super) const SHADOW_REQUESTS: MetricInfo = counter(
    "banyan_shadow_requests_total",
    "Requests drawn to be copied to the other arm, by what became of the copy; `asked-again` are more of them.",
    &["route", "result"],
);
pub(super) const COMPARED: MetricInfo = counter(
    "banyan_compare_total",
    "Comparisons of the answers of both arms, by what they said in the end.",
    &["route", "verdict"],
);
pub(super) const INCOMPARABLE: MetricInfo = counter(
    "banyan_compare_incomparable_total",
    "Answers that could not be compared, by why.",
    &["route", "reason"],
);
pub(super) const DRY_RUNS_ENDED: MetricInfo = counter(
    "banyan_shadow_dry_runs_ended_total",
    "Targets that agreed to dry runs and answered one as if it were none: they are sent no more.",
    &["route"],
);
pub(super) const SHADOW_DURATION: MetricInfo = histogram(
    "banyan_shadow_duration_seconds",
    "Time from the begin of a copy to the head of its answer.",
    &["route"],
);
pub(super) const SHADOW_INFLIGHT: MetricInfo =
    gauge("banyan_shadow_inflight", "Copies on their way to the other arm now.", &[]);
pub(super) const SHADOW_BYTES: MetricInfo =
    gauge("banyan_shadow_queue_bytes", "Bytes of heads and bodies held for copies and comparisons now.", &[]);
pub(super) const REQUEST_DURATION: MetricInfo = histogram(
    "banyan_request_duration_seconds",
    "Time from the head of a request to the end of its answer.",
    &["route", "arm"],
);
pub(super) const UPSTREAM_DURATION: MetricInfo = histogram(
    "banyan_upstream_duration_seconds",
    "Time from the begin of an attempt to the head of its answer.",
    &["route", "upstream"],
);
pub(super) const SHARE: MetricInfo =
    gauge("banyan_route_share_ratio", "Configured share of clients of the candidate, 0 to 1.", &["route"]);
pub(super) const UPSTREAM_ERRORS: MetricInfo =
    counter("banyan_upstream_errors_total", "Failures of an upstream, by kind.", &["upstream", "kind"]);
pub(super) const HEALTHY: MetricInfo = gauge(
    "banyan_upstream_healthy",
    "1 when the target takes requests, 0 when its health check failed.",
    &["upstream", "target"],
);
pub(super) const EJECTED: MetricInfo = gauge(
    "banyan_upstream_ejected",
    "1 while the target is taken out after failures in a row, which no health check found.",
    &["upstream", "target"],
);
pub(super) const EJECTIONS: MetricInfo = counter(
    "banyan_upstream_ejections_total",
    "How often the target was taken out after failures in a row.",
    &["upstream", "target"],
);
pub(super) const BREAKER_STATE: MetricInfo = gauge(
    "banyan_breaker_state",
    "Whether requests of candidates reach the upstream: 0 closed, 1 half-open, 2 open.",
    &["upstream"],
);
pub(super) const BREAKER_TRANSITIONS: MetricInfo = counter(
    "banyan_breaker_transitions_total",
    "How often the breaker of the upstream came into a state.",
    &["upstream", "to"],
);
pub(super) const INFLIGHT: MetricInfo =
    gauge("banyan_inflight_requests", "Requests at an upstream now.", &["upstream"]);
pub(super) const REFUSED: MetricInfo =
    counter("banyan_refused_total", "Requests refused by their head or their length.", &["reason"]);
pub(super) const CONNECTIONS_REFUSED: MetricInfo = counter(
    "banyan_connections_refused_total",
    "Client connections closed before their first request.",
    &["reason"],
);
pub(super) const CONNECTIONS: MetricInfo =
    gauge("banyan_open_connections", "Client connections open now.", &[]);
pub(super) const INFORMATIONAL_DROPPED: MetricInfo = counter(
    "banyan_informational_dropped_total",
    "Interim answers (1xx) of upstreams that were not passed on.",
    &[],
);
pub(super) const PANICS: MetricInfo = counter(
    "banyan_panics_total",
    "Panics: one while answering became a 500, one while comparing cost a comparison.",
    &[],
);
pub(super) const LOG_DROPPED: MetricInfo = counter(
    "banyan_access_log_dropped_total",
    "Access log lines lost because the queue was full or the target could not be written.",
    &[],
);
pub(super) const BUILD_INFO: MetricInfo =
    gauge("banyan_build_info", "1, labelled with the version of this build.", &["version"]);

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
    REFUSED,
    CONNECTIONS_REFUSED,
    CONNECTIONS,
    INFORMATIONAL_DROPPED,
    PANICS,
    LOG_DROPPED,
    BUILD_INFO,
    counter("banyan_config_reloads_total", "Attempts to load a configuration, by result.", &["result"]),
    gauge("banyan_config_generation", "Number of the configuration in force.", &[]),
    gauge("banyan_config_info", "Hash of the configuration in force; always 1.", &["hash"]),
    gauge(
        "banyan_config_last_reload_successful",
        "1 when the last attempt to load was accepted, 0 when it was refused.",
        &[],
    ),
    counter(
        "banyan_history_dropped_total",
        "Swaps that stayed in memory because the disk of the history was too slow.",
        &[],
    ),
    counter(
        "banyan_admin_connections_refused_total",
        "Connections closed because the admin listener had as many as it takes.",
        &[],
    ),
    counter(
        "banyan_admin_requests_refused_total",
        "Requests refused because the admin listener was asked too often.",
        &[],
    ),
    counter(
        "banyan_evidence_samples_dropped_total",
        "Samples of comparisons not kept, by reason.",
        &["reason"],
    ),
    counter(
        "banyan_timeline_samples_dropped_total",
        "Samples of routes that the dashboard's own history lost, by reason.",
        &["reason"],
    ),
    gauge("banyan_timeline_bytes", "Memory of the dashboard's own history.", &[]),
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", &[]),
    gauge("process_open_fds", "Number of open file descriptors.", &[]),
    gauge("process_max_fds", "Maximum number of open file descriptors.", &[]),
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", &[]),
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", &[]),
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", &[]),
    gauge("process_threads", "Number of OS threads in the process.", &[]),
];

/// How many of [`METRICS`], from the first, are those of the request path.
pub(super) const OURS: usize = METRICS.len() - 10 - 7;
