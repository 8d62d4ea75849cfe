//! The counts of every route at one moment, read in one pass: for whoever keeps them over time.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shadowing::ShadowVerdict;
use super::{ARMS, CODE_CLASSES, Distribution, Metrics, PerWorker, RouteCell, locked, place_of_reason};
use crate::gateway::{ArmCounts, RouteCounts};
use banyan_routes::Reason;

impl Metrics {
    /// Every route that the table in force names, and `default`. The request path is not held up: it takes no lock.
    pub(crate) fn sample(&self) -> Vec<RouteCounts> {
        let series = locked(&self.series);
        let mut fell_back: BTreeMap<&str, u64> = BTreeMap::new();
        for ((route, _), count) in &series.fallbacks {
            *fell_back.entry(route).or_default() += count.sum(|count| count);
        }
        let told = |(name, route): (&Arc<str>, &super::RouteSeries)| {
            let fallbacks = fell_back.get(&**name).copied().unwrap_or_default();
            let [legacy, candidate, banyan] =
                ARMS.map(|arm| arm_counts(&route.cells, super::place_of_arm(arm), 0));
            let candidate = ArmCounts { errors: candidate.errors + fallbacks, fallbacks, ..candidate };
            let verdict = |verdict: ShadowVerdict| {
                series.shadows.get(name).map_or(0, |cells| cells.sum(|cell| cell.verdict(verdict)))
            };
            RouteCounts {
                route: Arc::clone(name),
                arms: [legacy, candidate, banyan],
                compared: ShadowVerdict::COMPARED.map(verdict).iter().sum(),
                mismatches: verdict(ShadowVerdict::Mismatch),
            }
        };
        series.routes.iter().map(told).collect()
    }
}

/// What the cells of one arm add up to. `fallbacks` count as its errors.
pub(super) fn arm_counts(cells: &PerWorker<RouteCell>, arm: usize, fallbacks: u64) -> ArmCounts {
    let by_class = |class: usize| cells.sum(|cell| &cell.arms[arm].code_classes[class]);
    ArmCounts {
        requests: (0..CODE_CLASSES.len()).map(by_class).sum(),
        errors: by_class(CODE_CLASSES.len() - 1) + fallbacks,
        fallbacks,
        share_decisions: cells.sum(|cell| &cell.arms[arm].decisions[place_of_reason(Reason::Share)]),
        durations: Distribution::of(cells.all().map(|cell| &cell.arms[arm].durations)),
    }
}
