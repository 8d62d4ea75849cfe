//! The burn-down: how many routes are off the monolith, and how many requests. A point per hour, and one per change.

use std::collections::VecDeque;

use banyan_routes::{RouteTable, Stage};

use super::HOUR;
use super::sample::ratio;
use crate::api::ProgressPoint;

/// Points remembered: two years of hours.
pub(super) const POINTS_MAX: usize = 20_000;

/// Points, oldest first, and what the next one will be made of.
#[derive(Debug, Default)]
pub(super) struct BurnDown {
    points: VecDeque<ProgressPoint>,
    problem: Option<String>,
    /// Answers since the last point: not legacy's, and all.
    off: u64,
    all: u64,
    hour: Option<u64>,
    /// Routes in all, and off the monolith.
    routes: Option<(u64, u64)>,
}

impl BurnDown {
    /// Points of the processes before.
    pub(super) fn remember(&mut self, points: Vec<ProgressPoint>, problem: Option<String>) {
        self.routes = points.last().map(|last| (last.routes, last.routes_off));
        for point in points {
            self.push(point);
        }
        self.problem = problem;
    }

    pub(super) fn set_problem(&mut self, problem: Option<String>) {
        self.problem = problem;
    }

    /// A tick passed with so many answers. The point it makes, if any.
    pub(super) fn passed(
        &mut self,
        tick: u64,
        now: u64,
        table: &RouteTable,
        (off, all): (u64, u64),
    ) -> Option<ProgressPoint> {
        (self.off, self.all) = (self.off + off, self.all + all);
        let (hour, routes) = (tick / HOUR, Some(routes(table)));
        let is_due = self.hour.is_some_and(|last| last != hour) || self.routes != routes;
        (self.hour, self.routes) = (Some(hour), routes);
        if is_due { self.point(now) } else { None }
    }

    /// The point of an hour that is not over; none if nothing happened in it.
    pub(super) fn last(&mut self, now: u64) -> Option<ProgressPoint> {
        if self.all > 0 { self.point(now) } else { None }
    }

    fn point(&mut self, at: u64) -> Option<ProgressPoint> {
        let (routes, routes_off) = self.routes?;
        let requests_off_ratio = ratio(self.off, self.all).map(super::tidied);
        (self.off, self.all) = (0, 0);
        let point = ProgressPoint { at, routes, routes_off, requests_off_ratio };
        self.push(point);
        Some(point)
    }

    fn push(&mut self, point: ProgressPoint) {
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// Those since `from`, seconds since 1970, oldest first: the last one always, of the others as many as there is room for.
    pub(super) fn points(&self, from: u64, points_max: usize) -> (Vec<ProgressPoint>, Option<String>) {
        let wanted: Vec<_> = self.points.iter().filter(|point| point.at >= from).copied().collect();
        let every = wanted.len().div_ceil(points_max.max(1)).max(1);
        // Counted from the end: the newest is what is true now.
        let mut thinned: Vec<_> = wanted.iter().rev().step_by(every).copied().collect();
        thinned.reverse();
        (thinned, self.problem.clone())
    }
}

/// Routes in all, and those that need no monolith.
pub(crate) fn routes(table: &RouteTable) -> (u64, u64) {
    let is_off = |stage: Stage| matches!(stage, Stage::Extracted | Stage::Retired);
    let off = table.routes().iter().filter(|route| is_off(route.stage())).count();
    (table.routes().len() as u64, off as u64)
}
