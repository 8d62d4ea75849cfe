//! What reload, history and admin listener say of themselves in numbers, and the text of a scrape. The only file
//! that names `prometheus` besides `run.rs`, which passes the registry on.

use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::api::ReloadResult;
use crate::evidence::Dropped;
use crate::timeline::Lost;

/// Content type of a scrape.
pub(crate) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The gauges and counters of everything slower than a request.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    reloads: IntCounterVec,
    generation: IntGauge,
    info: IntGaugeVec,
    successful: IntGauge,
    history_dropped: IntCounter,
    admin_refused: IntCounter,
    admin_rate_limited: IntCounter,
    evidence_dropped: IntCounterVec,
    timeline_dropped: IntCounterVec,
    timeline_bytes: IntGauge,
}

impl Metrics {
    /// Registers them; an error says which name is taken.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let reloads =
            Opts::new("banyan_config_reloads_total", "Attempts to load a configuration, by result.");
        let info = Opts::new("banyan_config_info", "Hash of the configuration in force; always 1.");
        let evidence_dropped =
            Opts::new("banyan_evidence_samples_dropped_total", "Samples of comparisons not kept, by reason.");
        let timeline_dropped = Opts::new(
            "banyan_timeline_samples_dropped_total",
            "Samples of routes that the dashboard's own history lost, by reason.",
        );
        let metrics = Self {
            reloads: IntCounterVec::new(reloads, &["result"])?,
            generation: IntGauge::new("banyan_config_generation", "Number of the configuration in force.")?,
            info: IntGaugeVec::new(info, &["hash"])?,
            successful: IntGauge::new(
                "banyan_config_last_reload_successful",
                "1 when the last attempt to load was accepted, 0 when it was refused.",
            )?,
            history_dropped: IntCounter::new(
                "banyan_history_dropped_total",
                "Swaps that stayed in memory because the disk of the history was too slow.",
            )?,
            admin_refused: IntCounter::new(
                "banyan_admin_connections_refused_total",
                "Connections closed because the admin listener had as many as it takes.",
            )?,
            admin_rate_limited: IntCounter::new(
                "banyan_admin_requests_refused_total",
                "Requests refused because the admin listener was asked too often.",
            )?,
            evidence_dropped: IntCounterVec::new(evidence_dropped, &["reason"])?,
            timeline_dropped: IntCounterVec::new(timeline_dropped, &["reason"])?,
            timeline_bytes: IntGauge::new("banyan_timeline_bytes", "Memory of the dashboard's own history.")?,
        };
        registry.register(Box::new(metrics.reloads.clone()))?;
        registry.register(Box::new(metrics.generation.clone()))?;
        registry.register(Box::new(metrics.info.clone()))?;
        registry.register(Box::new(metrics.successful.clone()))?;
        registry.register(Box::new(metrics.history_dropped.clone()))?;
        registry.register(Box::new(metrics.admin_refused.clone()))?;
        registry.register(Box::new(metrics.admin_rate_limited.clone()))?;
        registry.register(Box::new(metrics.evidence_dropped.clone()))?;
        registry.register(Box::new(metrics.timeline_dropped.clone()))?;
        registry.register(Box::new(metrics.timeline_bytes.clone()))?;
        // From 0, so that the first refusal is already an increase.
        for result in [ReloadResult::Applied, ReloadResult::Unchanged, ReloadResult::Refused] {
            metrics.reloads.with_label_values(&[word(result)]);
        }
        for reason in Dropped::ALL {
            metrics.evidence_dropped.with_label_values(&[reason.as_str()]);
        }
        for reason in Lost::ALL {
            metrics.timeline_dropped.with_label_values(&[reason.as_str()]);
        }
        metrics.successful.set(1);
        Ok(metrics)
    }

    /// An attempt ended.
    pub(crate) fn attempted(&self, result: ReloadResult) {
        self.reloads.with_label_values(&[word(result)]).inc();
        self.successful.set(i64::from(result != ReloadResult::Refused));
    }

    /// Another table is in force.
    pub(crate) fn in_force(&self, generation: u64, hash: &str) {
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.info.reset();
        self.info.with_label_values(&[hash]).set(1);
    }

    /// A swap, or the files it speaks of, did not get to the disk.
    pub(crate) fn history_dropped(&self) {
        self.history_dropped.inc();
    }

    /// Samples of comparisons were not kept.
    pub(crate) fn evidence_dropped(&self, why: Dropped, count: u64) {
        self.evidence_dropped.with_label_values(&[why.as_str()]).inc_by(count);
    }

    /// Samples of routes were not kept, or not any more.
    pub(crate) fn timeline_lost(&self, why: Lost, count: u64) {
        self.timeline_dropped.with_label_values(&[why.as_str()]).inc_by(count);
    }

    /// What the samples take.
    pub(crate) fn timeline_holds(&self, bytes: usize) {
        self.timeline_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The admin listener was asked too often.
    pub(crate) fn admin_request_refused(&self) {
        self.admin_rate_limited.inc();
    }

    /// The admin listener had no place left.
    pub(crate) fn admin_connection_refused(&self) {
        self.admin_refused.inc();
    }
}

/// What a scrape of the process answers.
#[derive(Clone)]
pub(crate) struct Scrape {
    registry: Registry,
}

impl Scrape {
    /// Of everything in the registry.
    pub(crate) fn new(registry: &Registry) -> Self {
        Self { registry: registry.clone() }
    }

    /// Prometheus' text format.
    pub(crate) fn text(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

fn word(result: ReloadResult) -> &'static str {
    match result {
        ReloadResult::Applied => "applied",
        ReloadResult::Unchanged => "unchanged",
        ReloadResult::Refused => "refused",
    }
}
