//! What Prometheus reads: the cells summed, as samples by metric.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use banyan_routes::{Arm, Reason};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::cells::{Distribution, PerWorker};
use super::list::{self, METRICS, MetricInfo, MetricKind};
use super::{
    ARMS, ArmCell, CODE_CLASSES, Failure, LEASES, Metrics, RouteCell, failing, locked, place_of_arm,
    place_of_reason, shadowing,
};
use crate::connections::Unwelcome;
use crate::guard::RefusedReason;

/// What Prometheus calls when it scrapes.
pub(super) struct Scrape {
    metrics: Arc<Metrics>,
    descriptions: Vec<Desc>,
}

impl Scrape {
    pub(super) fn new(metrics: Arc<Metrics>) -> prometheus::Result<Self> {
        let describe = |info: &MetricInfo| {
            let labels = info.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(info.name.to_owned(), info.help.to_owned(), labels, HashMap::new())
        };
        let descriptions = METRICS[..list::OURS].iter().map(describe).collect::<prometheus::Result<_>>()?;
        Ok(Self { metrics, descriptions })
    }
}

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut sheet = Sheet::default();
        self.metrics.write_routes(&mut sheet);
        self.metrics.write_upstreams(&mut sheet);
        self.metrics.write_process(&mut sheet);
        sheet.families.into_values().collect()
    }
}

impl Metrics {
    fn write_routes(&self, sheet: &mut Sheet) {
        let series = locked(&self.series);
        for (name, route) in &series.routes {
            for arm in ARMS {
                let is_expected = match arm {
                    Arm::Legacy => true,
                    Arm::Candidate => route.has_candidate,
                    Arm::Banyan => false,
                };
                write_arm(sheet, name, arm, is_expected, &route.cells);
            }
            sheet.count(&list::RETRIES, &[name], route.cells.sum(|cell| &cell.retries));
            let collisions = route.cells.sum(|cell| &cell.cookie_collisions);
            sheet.count_when(route.has_candidate, &list::COOKIE_COLLISIONS, &[name], collisions);
            let unwatched = route.cells.sum(|cell| &cell.cookies_unwatched);
            sheet.count_when(false, &list::COOKIES_UNWATCHED, &[name], unwatched);
            if let Some(share) = route.share {
                sheet.gauge(&list::SHARE, &[name], share);
            }
        }
        failing::write_fallbacks(sheet, &series.fallbacks);
        shadowing::write_shadows(sheet, &series.shadows);
        for ((route, upstream), durations) in &series.upstream_durations {
            let distribution = Distribution::of(durations.all());
            sheet.distribution(&list::UPSTREAM_DURATION, &[route, upstream], &distribution);
        }
    }

    fn write_upstreams(&self, sheet: &mut Sheet) {
        for (name, upstream) in &locked(&self.series).upstreams {
            for kind in Failure::ALL {
                let count = upstream.errors.sum(|cell| &cell[kind as usize]);
                sheet.count(&list::UPSTREAM_ERRORS, &[name, kind.as_str()], count);
            }
            if let Some(servers) = locked(&upstream.servers).upgrade() {
                failing::write_servers(sheet, name, &servers);
            }
            for (place, connection) in LEASES.into_iter().enumerate() {
                let count = upstream.leases.sum(|cell| &cell[place]);
                sheet.count(&list::POOL, &[name, connection], count);
            }
            sheet.gauge(&list::INFLIGHT, &[name], as_float(upstream.inflight.level()));
            for (target, healthy) in &*locked(&upstream.healthy) {
                sheet.gauge(&list::HEALTHY, &[name, target], f64::from(u8::from(*healthy)));
            }
        }
    }

    fn write_process(&self, sheet: &mut Sheet) {
        for reason in RefusedReason::ALL {
            let count = self.process.sum(|cell| &cell.refused[reason as usize]);
            sheet.count(&list::REFUSED, &[reason.as_str()], count);
        }
        for reason in Unwelcome::ALL {
            let count = self.process.sum(|cell| &cell.unwelcome[reason as usize]);
            sheet.count(&list::CONNECTIONS_REFUSED, &[reason.as_str()], count);
        }
        sheet.gauge(&list::CONNECTIONS, &[], as_float(self.connections.level()));
        // The last is that of copies.
        sheet.gauge(&list::WORKERS, &[], as_float(u64::try_from(self.workers - 1).unwrap_or(u64::MAX)));
        let dropped = self.process.sum(|cell| &cell.informational_dropped);
        sheet.count(&list::INFORMATIONAL_DROPPED, &[], dropped);
        self.write_shadow_bounds(sheet);
        sheet.count(&list::PANICS, &[], self.process.sum(|cell| &cell.panics));
        sheet.count(&list::LOG_DROPPED, &[], self.log_dropped.load(Ordering::Relaxed));
        sheet.gauge(&list::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    }
}

fn write_arm(sheet: &mut Sheet, route: &str, arm: Arm, is_expected: bool, cells: &PerWorker<RouteCell>) {
    let of_arm = |cell| -> &ArmCell {
        let cell: &RouteCell = cell;
        &cell.arms[place_of_arm(arm)]
    };
    let label = arm.as_str();
    for (class, name) in CODE_CLASSES.into_iter().enumerate() {
        let count = cells.all().map(|cell| of_arm(cell).code_classes[class].get()).sum();
        // No final answer is 1xx but a 101.
        let is_usual = is_expected && name != "1xx";
        sheet.count_when(is_usual, &list::REQUESTS, &[route, label, name], count);
    }
    for reason in Reason::ALL {
        let count = cells.all().map(|cell| of_arm(cell).decisions[place_of_reason(reason)].get()).sum();
        let is_usual = is_expected && reason == Reason::Share;
        sheet.count_when(is_usual, &list::DECISIONS, &[route, label, reason.as_str()], count);
    }
    let answered = cells.all().map(|cell| of_arm(cell).answered.get()).sum();
    sheet.count_when(is_expected, &list::ATTEMPTS, &[route, label, "answered"], answered);
    for failure in Failure::ALL {
        let count = cells.all().map(|cell| of_arm(cell).failed[failure as usize].get()).sum();
        sheet.count_when(false, &list::ATTEMPTS, &[route, label, failure.as_str()], count);
    }
    let durations = Distribution::of(cells.all().map(|cell| &of_arm(cell).durations));
    if is_expected || durations.count() > 0 {
        sheet.distribution(&list::REQUEST_DURATION, &[route, label], &durations);
    }
}

/// Samples of one scrape, by metric.
#[derive(Default)]
pub(super) struct Sheet {
    families: BTreeMap<&'static str, MetricFamily>,
}

impl Sheet {
    pub(super) fn count(&mut self, info: &MetricInfo, labels: &[&str], count: u64) {
        self.count_when(true, info, labels, count);
    }

    /// Leaves a zero out unless `always`.
    pub(super) fn count_when(&mut self, always: bool, info: &MetricInfo, labels: &[&str], count: u64) {
        if !always && count == 0 {
            return;
        }
        let mut value = Counter::default();
        value.set_value(as_float(count));
        let mut metric = labelled(info, labels);
        metric.set_counter(value);
        self.push(info, metric);
    }

    pub(super) fn gauge(&mut self, info: &MetricInfo, labels: &[&str], level: f64) {
        let mut value = Gauge::default();
        value.set_value(level);
        let mut metric = labelled(info, labels);
        metric.set_gauge(value);
        self.push(info, metric);
    }

    pub(super) fn distribution(&mut self, info: &MetricInfo, labels: &[&str], distribution: &Distribution) {
        let buckets = distribution.cumulative().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut value = Histogram::default();
        value.set_bucket(buckets.collect());
        value.set_sample_count(distribution.count());
        value.set_sample_sum(distribution.sum_seconds);
        let mut metric = labelled(info, labels);
        metric.set_histogram(value);
        self.push(info, metric);
    }

    pub(super) fn push(&mut self, info: &MetricInfo, metric: Metric) {
        let family = self.families.entry(info.name).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(info.name.to_owned());
            family.set_help(info.help.to_owned());
            family.set_field_type(match info.kind {
                MetricKind::Counter => MetricType::COUNTER,
                MetricKind::Gauge => MetricType::GAUGE,
                MetricKind::Histogram => MetricType::HISTOGRAM,
            });
            family
        });
        family.mut_metric().push(metric);
    }
}

fn labelled(info: &MetricInfo, values: &[&str]) -> Metric {
    debug_assert_eq!(info.labels.len(), values.len(), "{}", info.name);
    let pairs = info.labels.iter().zip(values).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus counts in doubles: exact up to 2^53")]
pub(super) fn as_float(count: u64) -> f64 {
    count as f64
}
