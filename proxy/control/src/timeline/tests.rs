//! The arithmetic of samples: nothing is invented, and nothing is zero that is not known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use banyan_gateway::{ArmCounts, DURATION_BUCKETS, Distribution};
use banyan_routes::{FileSet, Share, SourceFile, Variables};
use proptest::prelude::{Strategy, prop, proptest};

use super::*;

/// Any hour of the clock.
const BEGIN: u64 = 4_985_280 * HOUR;

fn at(tick: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + SAMPLE_EVERY * u32::try_from(tick).unwrap()
}

/// Routes `r0`, `r1`, ... at these percents.
fn table(percents: &[u32]) -> RouteTable {
    let mut text = "version = 1\n[defaults]\nlegacy = \"old\"\nsticky = [\"client-ip\"]\n\
        [upstreams]\nold = { targets = [\"http://127.0.0.1:1\"] }\nnew = { targets = [\"http://127.0.0.1:2\"] }\n\
        [stores]\none = { mode = \"shared\" }\n"
        .to_owned();
    for (number, percent) in percents.iter().enumerate() {
        write!(
            text,
            "[[route]]\nname = \"r{number}\"\npath = \"/r{number}/*\"\nto = \"new\"\nstore = \"one\"\npercent = {percent}\n"
        )
        .unwrap();
    }
    let main = SourceFile { name: "routes.toml".to_owned(), text };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    table.unwrap_or_else(|| panic!("{report}"))
}

fn arm(requests: u64, bucket: usize, errors: u64, share_decisions: u64) -> ArmCounts {
    let mut buckets = [0; DURATION_BUCKETS];
    buckets[bucket] = requests;
    let durations = Distribution::of_buckets(buckets);
    ArmCounts { requests, errors, fallbacks: 0, share_decisions, durations }
}

/// Counters of a route whose legacy answered this many, and its candidate that many.
fn counts(route: &str, legacy: u64, candidate: u64) -> RouteCounts {
    RouteCounts {
        route: route.into(),
        arms: [arm(legacy, 3, 0, legacy), arm(candidate, 5, candidate / 2, candidate), arm(0, 0, 0, 0)],
        compared: candidate,
        mismatches: candidate / 4,
    }
}

fn hours(timeline: &Timeline, route: &str, hours: u64, points: usize) -> Series {
    let to = at(timeline.known().last_tick.unwrap());
    timeline.series(route, to - Duration::from_hours(hours), to, points).unwrap()
}

/// Requests of legacy by point, rates made counts again.
fn requests(series: &Series) -> Vec<Option<u64>> {
    let seconds = series.step_seconds as f64;
    let count = |rate: &Option<f64>| rate.map(|rate| (rate * seconds).round() as u64);
    series.legacy.requests_per_second.iter().map(count).collect()
}

/// What happens with the sampler and the route from one look to the next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// So many requests, and a look one tick later.
    On(u64),
    /// So many requests, and a look so many ticks too late.
    Late(u64, u64),
    /// The route is gone at the next look.
    Gone,
    /// It went and came again, and answered so many since.
    Again(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..12, 0_u64..50, 1_u64..5).prop_map(|(kind, requests, late)| match kind {
        0 => Step::Late(requests, late),
        1 => Step::Gone,
        2 => Step::Again(requests),
        3 => Step::On(0),
        _ => Step::On(requests),
    });
    prop::collection::vec(step, 1..80)
}

proptest! {
    #[test]
    fn nothing_is_invented_and_a_gap_is_no_zero(steps in steps()) {
        let (timeline, table) = (Timeline::new(SAMPLE_EVERY), table(&[50]));
        let (mut tick, mut total) = (BEGIN, 0);
        timeline.take(at(tick), &[counts("r0", total, 0)], &table);
        let (mut was_there, mut expected) = (true, BTreeMap::new());
        for step in steps {
            tick += 1;
            let (before, mut known) = (total, was_there);
            match step {
                Step::On(requests) => total += requests,
                Step::Late(requests, late) => {
                    (tick, total, known) = (tick + late, total + requests, false);
                }
                Step::Gone => {}
                Step::Again(requests) => total = requests,
            }
            was_there = !matches!(step, Step::Gone);
            let seen = if was_there { vec![counts("r0", total, 0)] } else { Vec::new() };
            timeline.take(at(tick), &seen, &table);
            if was_there && known {
                // A counter that fell began anew. One that did not fall may have, too: then it says less than there was.
                let rose = total.checked_sub(before).unwrap_or(total);
                if let Step::On(requests) | Step::Again(requests) = step {
                    assert!(rose <= requests);
                }
                expected.insert(tick, rose);
            }
        }
        let Some(series) = timeline.series("r0", at(BEGIN), at(tick), 2_000) else {
            assert!(expected.is_empty());
            return Ok(());
        };
        for (end, found) in series.times.iter().zip(requests(&series)) {
            proptest::prop_assert_eq!(found, expected.get(&(end / 10)).copied(), "at {}", end);
        }
        let told = requests(&series).into_iter().flatten().count();
        proptest::prop_assert_eq!(told, expected.len(), "all of it is in the series");
    }

    /// However coarse the points are, they add up to what was counted.
    #[test]
    fn points_add_up(each in prop::collection::vec(0_u64..400, 1..900), points in 1_usize..700) {
        let (timeline, table) = (Timeline::new(SAMPLE_EVERY), table(&[50]));
        let mut total = 7;
        timeline.take(at(BEGIN), &[counts("r0", total, total)], &table);
        for (place, requests) in each.iter().enumerate() {
            total += requests;
            timeline.take(at(BEGIN + 1 + place as u64), &[counts("r0", total, total)], &table);
        }
        let last = BEGIN + each.len() as u64;
        let series = timeline.series("r0", at(BEGIN), at(last), points).unwrap();
        proptest::prop_assert!(series.times.len() <= points);
        let covered = each.iter().enumerate().filter(|(place, _)| {
            let end = 10 * (BEGIN + 1 + *place as u64);
            end > series.times[0] - series.step_seconds && end <= *series.times.last().unwrap()
        });
        let wanted: u64 = covered.map(|(_, requests)| requests).sum();
        let known = known_seconds(&series, last);
        let found: f64 = series.legacy.requests_per_second.iter().zip(known)
            .map(|(rate, seconds)| rate.unwrap_or(0.0) * seconds).sum();
        proptest::prop_assert!((found - wanted as f64).abs() < 1.0, "{} of {}", found, wanted);
    }
}

/// Seconds with samples of each point, when the samples begin with `BEGIN` and end with `last`.
fn known_seconds(series: &Series, last: u64) -> Vec<f64> {
    let known = |end: &u64| {
        let (from, to) = ((end - series.step_seconds).max(10 * BEGIN), (*end).min(10 * last));
        to.saturating_sub(from) as f64
    };
    series.times.iter().map(known).collect()
}

#[test]
fn numbers_of_each_arm_are_its_own() {
    let (timeline, table) = (Timeline::new(SAMPLE_EVERY), table(&[20]));
    timeline.take(at(BEGIN), &[counts("r0", 100, 100)], &table);
    assert_eq!(
        timeline.recent("r0", Duration::from_mins(5)).requests_per_second,
        None,
        "one look is no data"
    );
    timeline.take(at(BEGIN + 1), &[counts("r0", 180, 120)], &table);
    let recent = timeline.recent("r0", Duration::from_mins(5));
    assert_eq!(recent.requests_per_second, Some(10.0));
    assert_eq!(
        (recent.legacy.requests_per_second, recent.candidate.requests_per_second),
        (Some(8.0), Some(2.0))
    );
    assert_eq!((recent.legacy.error_ratio, recent.candidate.error_ratio), (Some(0.0), Some(0.5)));
    assert_eq!((recent.observed_share, recent.observed_requests), (Some(0.2), 100));
    let mismatch = recent.mismatch.unwrap();
    assert_eq!((mismatch.ratio, mismatch.compared), (0.25, 20));
    assert!(mismatch.low < 0.25 && mismatch.high > 0.25);
    // Bucket 3 is 2.5 to 5 ms, bucket 5 is 10 to 25 ms.
    assert_eq!((recent.legacy.p50_seconds, recent.candidate.p50_seconds), (Some(0.00375), Some(0.0175)));
    assert_eq!(recent.banyan.requests_per_second, Some(0.0));
    assert_eq!((recent.banyan.error_ratio, recent.banyan.p50_seconds), (None, None), "of no requests");
    assert_eq!(timeline.requests_off(), Some(0.2));
}

#[test]
fn what_was_before_a_change_is_no_news_after_it() {
    let (timeline, table) = (Timeline::new(SAMPLE_EVERY), table(&[20]));
    let window = Duration::from_mins(5);
    for tick in 0..10 {
        timeline.take(at(BEGIN + tick), &[counts("r0", 80 * tick, 20 * tick)], &table);
    }
    assert_eq!(timeline.recent("r0", window).observed_share, Some(0.2));
    let share = |percent: u32| Share::from_thousandths(percent * 1000).unwrap();
    let change =
        RouteChange::Shifted { route: "r0".into(), from: share(20), to: share(60), moves: share(40) };
    timeline.changed(&[change], at(BEGIN + 9) + Duration::from_secs(3));
    let after = |more: u64| {
        timeline.take(at(BEGIN + 9 + more), &[counts("r0", 720 + 40 * more, 180 + 60 * more)], &table);
        timeline.recent("r0", window)
    };
    assert_eq!(after(1).observed_share, None, "this tick is partly of before");
    assert_eq!(after(2).observed_share, Some(0.6));
    assert_eq!(hours(&timeline, "r0", 1, 360).observed_share.iter().flatten().count(), 11, "charts keep it");
}

#[test]
fn a_clock_that_is_set_back_repeats_nothing() {
    let (timeline, table) = (Timeline::new(SAMPLE_EVERY), table(&[20]));
    let look = |tick: u64, total: u64| timeline.take(at(tick), &[counts("r0", total, 0)], &table).lost;
    for tick in 0..100 {
        assert_eq!(look(BEGIN + tick, 10 * tick), None);
    }
    assert_eq!(look(BEGIN + 60, 1_000), Some((Lost::Clock, 1)), "that time is taken");
    assert_eq!((look(BEGIN + 100, 1_400), look(BEGIN + 101, 1_410)), (None, None));
    let series = hours(&timeline, "r0", 1, 360);
    let found: Vec<u64> = requests(&series).into_iter().flatten().collect();
    assert_eq!(found, vec![10; 100], "{found:?}");
    // A year back: nothing that is remembered has a time any more.
    assert_eq!(look(BEGIN - 3_000_000, 1_500), Some((Lost::Clock, 100)));
    assert_eq!((look(BEGIN - 2_999_999, 1_510), look(BEGIN - 2_999_998, 1_530)), (None, None));
    assert_eq!(timeline.recent("r0", Duration::from_mins(5)).legacy.requests, 20);
}

#[test]
fn a_day_is_remembered_and_no_more() {
    let (timeline, table) = (Timeline::new(SAMPLE_EVERY), table(&[20]));
    for tick in 0..REMEMBERED + 3 * HOUR {
        timeline.take(at(BEGIN + tick), &[counts("r0", 4 * tick, tick)], &table);
    }
    let series = hours(&timeline, "r0", 24, 2_000);
    assert!(requests(&series).iter().all(Option::is_some), "24 whole hours");
    let since = series.memory_since.unwrap();
    assert!((10 * (BEGIN + 2 * HOUR)..=10 * (BEGIN + 3 * HOUR + 1)).contains(&since), "{since}");
    timeline.take(at(BEGIN + 2 * REMEMBERED + 5 * HOUR), &[], &table);
    assert!(
        timeline.series("r0", at(BEGIN), at(BEGIN + 1), 10).is_none(),
        "a route that is gone is forgotten"
    );
}

#[test]
fn the_oldest_hour_goes_when_there_is_no_room() {
    const BYTES: usize = 60_000;
    const HOURS: u64 = 12;
    let timeline = Timeline::with_memory(SAMPLE_EVERY, BYTES);
    let (table, mut lost, mut traffic) = (table(&[20, 20, 20, 20]), 0, Traffic(1));
    let mut all: Vec<_> = (0..4).map(|route| counts(&format!("r{route}"), 0, 0)).collect();
    for tick in 0..HOURS * HOUR {
        for counts in &mut all {
            traffic.tick(counts, 20);
        }
        let taken = timeline.take(at(BEGIN + tick), &all, &table);
        assert!(taken.bytes <= BYTES, "{}", taken.bytes);
        if let Some((why, samples)) = taken.lost {
            assert_eq!(why, Lost::Memory);
            lost += samples;
        }
    }
    assert!(lost > 0 && lost.is_multiple_of(4), "whole hours of every route: {lost}");
    let held: u64 = timeline.known().tracks.values().map(Track::samples).sum();
    assert_eq!(held + lost, 4 * (HOURS * HOUR - 1), "what is not there is counted");
}

/// Numbers that look like traffic, the same each time.
struct Traffic(u64);

impl Traffic {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A tick of a route that `per_tick` requests come to, about: most to legacy, some to the candidate, in several buckets.
    fn tick(&mut self, counts: &mut RouteCounts, per_tick: u64) {
        for (arm, requests) in [(0, self.below(2 * per_tick)), (1, self.below(1 + per_tick / 4))] {
            let mut buckets = *counts.arms[arm].durations.buckets();
            for _ in 0..requests {
                buckets[[3, 4, 4, 4, 5, 5, 6, 8][usize::try_from(self.below(8)).unwrap()]] += 1;
            }
            counts.arms[arm].durations = Distribution::of_buckets(buckets);
            counts.arms[arm].requests += requests;
            counts.arms[arm].share_decisions += requests;
            counts.arms[arm].errors += u64::from(self.below(20) == 0);
        }
        counts.compared += self.below(1 + per_tick / 10);
        counts.mismatches += u64::from(self.below(50) == 0);
    }
}

/// What so many hours of so many routes take, packed and in all, every route as busy as any other: what costs most.
fn busy(routes: u32, per_tick: u64, hours: u64) -> (usize, usize, Duration) {
    let (timeline, table) = (Timeline::new(SAMPLE_EVERY), table(&vec![20; routes as usize]));
    let mut traffic = Traffic(7);
    let mut all: Vec<_> = (0..routes).map(|route| counts(&format!("r{route}"), 0, 0)).collect();
    let mut spent = Duration::ZERO;
    for tick in 0..hours * HOUR {
        for counts in &mut all {
            traffic.tick(counts, per_tick);
        }
        let began = Instant::now();
        let taken = timeline.take(at(BEGIN + tick), &all, &table);
        spent += began.elapsed();
        assert!(taken.lost.is_none() && taken.bytes <= MEMORY_MAX, "{taken:?}");
    }
    let known = timeline.known();
    let packed = known.tracks.values().map(Track::packed_memory).sum();
    (packed, known.memory(), spent / u32::try_from(hours * HOUR).unwrap())
}

/// 2 000 requests/s on so many routes. Routes are alike, and so are hours: some of them say what a day of all takes, without the
/// minutes that it takes here. `TIMELINE_DAY=1` takes them.
#[test]
#[expect(clippy::print_stderr, reason = "the figure is what it is run for")]
fn a_day_of_a_thousand_busy_routes_fits() {
    for routes in [500, 1_000] {
        let per_tick = 20_000 / u64::from(routes);
        if std::env::var_os("TIMELINE_DAY").is_some() {
            let (_, all, a_sample) = busy(routes, per_tick, 24);
            eprintln!("{routes} routes: {:.1} MiB a day, {a_sample:?} a sample of all", mib(all));
            continue;
        }
        let (packed, all, a_sample) = busy(50, per_tick, 3);
        // Two hours are packed, one is under way, as at the end of a day.
        let day = (all + packed / 2 * 21) * routes as usize / 50;
        eprintln!("{routes} routes: {:.1} MiB a day, {a_sample:?} a sample of 50", mib(day));
        assert!(day <= MEMORY_MAX, "{day}");
    }
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[test]
fn the_burn_down_has_a_point_an_hour_and_one_a_change() {
    let timeline = Timeline::new(SAMPLE_EVERY);
    let (before, after) = (table(&[20, 20]), table(&[100, 20]));
    let mut points = Vec::new();
    for tick in 0..2 * HOUR {
        let table = if tick < HOUR / 2 { &before } else { &after };
        let all = [counts("r0", 60 * tick, 20 * tick), counts("r1", 20 * tick, 0)];
        points.extend(timeline.take(at(BEGIN + tick), &all, table).point);
    }
    let told: Vec<_> =
        points.iter().map(|point| (point.at / 10 - BEGIN, point.routes, point.routes_off)).collect();
    assert_eq!(told, [(0, 2, 0), (HOUR / 2, 2, 1), (HOUR, 2, 1)]);
    let ratios: Vec<_> = points.iter().map(|point| point.requests_off_ratio).collect();
    assert_eq!(ratios, [None, Some(0.2), Some(0.2)], "no requests are no share");
    assert_eq!(timeline.progress(at(BEGIN), 100).points, points);
    assert_eq!(timeline.progress(at(BEGIN), 2).points.last(), points.last(), "thinned, the newest stays");
    assert!(timeline.progress(at(BEGIN + HOUR + 1), 100).points.is_empty());
}
