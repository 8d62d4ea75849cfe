//! Copies that wait, by route: routes take turns, however many copies each has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RouteBounds;
use super::bounds::Portion;
use super::witness::Shadowed;
use crate::metrics::ShadowResult;

/// Longest wait. What is compared with an answer of long ago differs because of what happened since.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Line(VecDeque<Queue>);

/// Of one route. Never empty.
struct Queue {
    bounds: Arc<RouteBounds>,
    jobs: VecDeque<Box<Shadowed>>,
}

/// Whose turn it is, with what it takes of its route's bounds.
pub(super) struct Next {
    pub(super) job: Box<Shadowed>,
    /// Until the other arm has been asked.
    pub(super) flight: Portion,
    /// Until it has been counted.
    pub(super) unsettled: Portion,
}

impl Line {
    pub(super) fn push(&mut self, job: Box<Shadowed>) {
        let Some(bounds) = job.shadow().map(|shadow| Arc::clone(&shadow.bounds)) else { return };
        match self.0.iter_mut().find(|queue| Arc::ptr_eq(&queue.bounds, &bounds)) {
            Some(queue) => queue.jobs.push_back(job),
            None => self.0.push_back(Queue { bounds, jobs: VecDeque::from([job]) }),
        }
    }

    /// Whose turn it is among the routes that may have one more on its way.
    pub(super) fn next(&mut self) -> Option<Next> {
        for _ in 0..self.0.len() {
            let mut queue = self.0.pop_front()?;
            if queue.bounds.has_due() {
                self.0.push_back(queue);
                continue;
            }
            let portions = (queue.bounds.inflight.take(1), queue.bounds.unsettled.take(1));
            let (Some(flight), Some(unsettled)) = portions else {
                self.0.push_back(queue);
                continue;
            };
            let job = queue.jobs.pop_front();
            if !queue.jobs.is_empty() {
                self.0.push_back(queue);
            }
            if let Some(mut job) = job {
                job.place = None;
                return Some(Next { job, flight, unsettled });
            }
        }
        None
    }

    /// When the first of those who wait has waited for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let oldest = self.0.iter().filter_map(|queue| queue.jobs.front()).map(|job| job.queued).min();
        oldest.map(|queued| queued + LONGEST)
    }

    /// Drops who has waited for too long.
    pub(super) fn drop_late(&mut self, now: Instant, worker: usize) {
        for queue in &mut self.0 {
            while let Some(job) = queue.jobs.pop_front_if(|job| job.queued + LONGEST <= now) {
                if let Some(shadow) = job.shadow() {
                    shadow.metrics.result(worker, ShadowResult::InFlight);
                }
            }
        }
        self.0.retain(|queue| !queue.jobs.is_empty());
    }
}
