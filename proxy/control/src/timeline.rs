//! What every route answered during the last day, sampled every ten seconds, in memory.

use std::time::{Duration, SystemTime};

use crate::api::{BoardArm, BoardMismatch, Progress, Series};

/// Time between two samples.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// Kept and read. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {}

/// A route lately. Every number is none without data.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Recent {
    /// Answers of all arms.
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) legacy: BoardArm,
    pub(crate) candidate: BoardArm,
    pub(crate) banyan: BoardArm,
    pub(crate) observed_share: Option<f64>,
    pub(crate) observed_requests: u64,
    /// Of comparisons within the window.
    pub(crate) mismatch: Option<BoardMismatch>,
    /// The newest sample.
    pub(crate) as_of: Option<SystemTime>,
}

impl Timeline {
    /// A route, or `default`, during the last `window`, or since it was last changed if that is shorter.
    pub(crate) fn recent(&self, route: &str, window: Duration) -> Recent {
        let _ = (route, window);
        Recent::default()
    }

    /// A route, or `default`, over time. None when the table in force has no such route and nothing is remembered of one.
    /// Without `marks`: the caller knows the history.
    pub(crate) fn series(
        &self,
        route: &str,
        from: SystemTime,
        to: SystemTime,
        points_max: usize,
    ) -> Option<Series> {
        let _ = (route, from, to, points_max);
        None
    }

    /// The burn-down since `from`, at most so many points.
    pub(crate) fn progress(&self, from: SystemTime, points_max: usize) -> Progress {
        let _ = (from, points_max);
        Progress { version: crate::api::API_VERSION, points: Vec::new(), problem: None }
    }
}
