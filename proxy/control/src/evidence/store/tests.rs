//! One database with bounds that are soon reached.

use super::*;
use crate::api::{SampleAnswer, SampleDifference};

const FEW: Bounds = Bounds { replaced_after_ms: 0, of_route: 10, samples: 15, ..Bounds::MEMORY };

fn sample(route: &str, verdict: &str, signature: &str, body: &str) -> Sample {
    let answer = || SampleAnswer {
        status: Some(200),
        problem: None,
        headers: Vec::new(),
        body: Some(body.to_owned()),
        seconds: None,
    };
    Sample {
        version: 1,
        id: 0,
        route: route.to_owned(),
        at: String::new(),
        verdict: verdict.to_owned(),
        shown: "legacy".to_owned(),
        differences: vec![SampleDifference { signature: signature.to_owned(), pointer: None, count: 1 }],
        request: SampleRequest {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            headers: Vec::new(),
            body: None,
            whole: true,
            safe: true,
        },
        legacy: answer(),
        candidate: answer(),
    }
}

fn mismatch(route: &str, signature: &str) -> Sample {
    sample(route, "mismatch", signature, "{}")
}

#[test]
fn the_oldest_and_the_newest_stay() {
    let mut store = Store::in_memory(FEW).unwrap();
    for time in 0..9 {
        assert_eq!(store.keep(&mismatch("a", "/x value"), time).unwrap(), Outcome::Kept);
    }
    assert_eq!(store.ids("a").unwrap()["/x value"], [1, 2, 3, 7, 8, 9]);
    assert_eq!(store.samples().unwrap(), 6);
    assert_eq!(store.requests("a").unwrap().len(), 6);
}

/// Each signature keeps its own few, and a sample that another one needs stays for that.
#[test]
fn a_sample_stays_while_one_signature_needs_it() {
    let mut store = Store::in_memory(FEW).unwrap();
    let mut both = mismatch("a", "/x value");
    both.differences.push(SampleDifference { signature: "/y value".to_owned(), pointer: None, count: 1 });
    for time in 0..4 {
        store.keep(&both, time).unwrap();
    }
    for time in 4..9 {
        store.keep(&mismatch("a", "/x value"), time).unwrap();
    }
    let ids = store.ids("a").unwrap();
    assert_eq!((&ids["/x value"][..], &ids["/y value"][..]), (&[1, 2, 3, 7, 8, 9][..], &[1, 2, 3, 4][..]));
    assert_eq!(store.samples().unwrap(), 7);
}

#[test]
fn a_newer_one_is_not_wanted_at_once() {
    let mut store = Store::in_memory(Bounds { replaced_after_ms: 1_000, ..FEW }).unwrap();
    for time in 0..6 {
        assert!(store.wants("a", ["/x value"].into_iter(), time).unwrap());
        store.keep(&mismatch("a", "/x value"), time).unwrap();
    }
    assert!(!store.wants("a", ["/x value"].into_iter(), 1_004).unwrap());
    assert!(store.wants("a", ["/x value"].into_iter(), 1_005).unwrap());
    assert!(store.wants("a", ["/x value", "/y value"].into_iter(), 7).unwrap());
}

#[test]
fn a_route_and_all_routes_have_a_bound() {
    let mut store = Store::in_memory(FEW).unwrap();
    let mut keep = |route: &str, verdict: &str, number: usize| {
        store.keep(&sample(route, verdict, &format!("/{number} value"), "{}"), 1).unwrap()
    };
    let kept = |outcomes: Vec<Outcome>| outcomes.iter().filter(|it| **it == Outcome::Kept).count();
    assert_eq!(kept((0..20).map(|number| keep("a", "noise", number)).collect()), 5);
    assert_eq!(kept((20..40).map(|number| keep("a", "mismatch", number)).collect()), 5);
    assert_eq!(kept((0..20).map(|number| keep("b", "mismatch", number)).collect()), 5);
    assert_eq!(store.samples().unwrap(), 15);
    store.forget("a").unwrap();
    assert_eq!((store.samples().unwrap(), store.ids("a").unwrap().len()), (5, 0));
}

/// Samples leave room for the counts.
#[test]
fn bytes_have_a_bound() {
    let bounds = Bounds { pages_of_samples: 40, pages: 60, ..Bounds::MEMORY };
    let mut store = Store::in_memory(bounds).unwrap();
    let big = |number: usize| sample("a", "mismatch", &format!("/{number} value"), &"x".repeat(9_000));
    let outcomes: Vec<_> = (0..40).map(|number| store.keep(&big(number), 1).unwrap()).collect();
    let kept = outcomes.iter().filter(|it| **it == Outcome::Kept).count();
    assert!((5..10).contains(&kept), "{kept}");
    assert!(!store.has_room().unwrap());
    store.write_counts([("a", "x".repeat(20_000).as_str())].into_iter(), 1).unwrap();
    let far_too_much = store.write_counts([("b", "x".repeat(200_000).as_str())].into_iter(), 1);
    assert!(matches!(far_too_much, Err(StoreError::Full)), "{far_too_much:?}");
    assert_eq!(store.counts(&["a", "b"], 0).unwrap().len(), 1);
}

#[test]
fn samples_grow_old() {
    let mut store = Store::in_memory(FEW).unwrap();
    store.keep(&mismatch("a", "/x value"), 10).unwrap();
    store.keep(&mismatch("a", "/x value"), 20).unwrap();
    store.expire(20).unwrap();
    assert_eq!(store.ids("a").unwrap()["/x value"], [2]);
    assert_eq!(store.sample("a", 1).unwrap(), None);
}

#[test]
fn counts_of_routes_that_are_gone_grow_old() {
    let mut store = Store::in_memory(FEW).unwrap();
    store.write_counts([("here", "1"), ("gone", "2")].into_iter(), 10).unwrap();
    assert_eq!(store.counts(&["here"], 11).unwrap(), [("here".to_owned(), "1".to_owned())]);
    assert_eq!(store.counts(&[], 10).unwrap().len(), 2);
}

/// As while one process takes over from another, or somebody looks into the file.
#[test]
fn another_process_is_waited_for_but_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sqlite");
    let mut store = Store::open(&path, FEW).unwrap();
    assert_eq!(store.keep(&mismatch("a", "/x value"), 1).unwrap(), Outcome::Kept);
    let other = Store::open(&path, FEW);
    assert!(matches!(other, Err(StoreError::Unusable(_))), "{other:?}");
    assert!(!folder.path().join("evidence.sqlite-shm").exists());
    drop(store);
    assert_eq!(Store::open(&path, FEW).unwrap().samples().unwrap(), 1);
}

#[test]
fn tables_of_another_version_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sqlite");
    drop(Store::open(&path, FEW).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let opened = Store::open(&path, FEW);
    assert!(matches!(&opened, Err(StoreError::Damaged(found)) if found.contains("found 9")), "{opened:?}");
}
