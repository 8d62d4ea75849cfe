//! From comparisons to the file and back, on a folder of its own and without a thread.

use std::fs;
use std::sync::mpsc::sync_channel;

use banyan_compare::{Answer, Body, Observation, PointerPattern, Rules, compare};
use banyan_gateway::{Asked, Compared};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use prometheus::Registry;

use super::store::Store;
use super::*;

/// What a comparison of these two documents tells whoever follows.
fn compared(route: &str, legacy: &str, candidate: &str) -> Compared {
    let answer = |body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("set-cookie", HeaderValue::from_static("sid=hunter2; Path=/"));
        let body = Body::Complete(Bytes::from(body.to_owned()));
        Observation::Answered(Answer {
            status: StatusCode::OK,
            headers,
            body,
            elapsed: Duration::from_millis(7),
        })
    };
    let (legacy, candidate) = (answer(legacy), answer(candidate));
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bearer hunter2"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    Compared {
        route: route.into(),
        at: SystemTime::now(),
        shown: banyan_routes::Arm::Legacy,
        request: Asked {
            method: Method::GET,
            target: "/api/orders/7?token=hunter2&page=2".to_owned(),
            headers,
            body: Body::Complete(Bytes::new()),
            is_safe: true,
        },
        verdict: compare(&legacy, &candidate, &Rules::default(), jiff::civil::date(2026, 6, 1)),
        legacy,
        candidate,
        is_transient: false,
        redact: [PointerPattern::parse("/note").unwrap()].into(),
        held: banyan_gateway::Held::default(),
    }
}

/// A mismatch at `/price`.
fn mismatch(route: &str, number: usize) -> Compared {
    let document = |price| format!("{{\"price\":{price},\"note\":\"hunter2\",\"password\":\"hunter2\"}}");
    compared(route, &document(number), &document(number + 1))
}

struct Site {
    folder: tempfile::TempDir,
    path: PathBuf,
    shared: Shared,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::at(path(folder.path()), folder)
    }

    fn at(path: PathBuf, folder: tempfile::TempDir) -> Self {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let shared = Shared::open(Some(path.clone()), Arc::default(), metrics);
        Self { folder, path, shared }
    }

    /// The next process on the same folder.
    fn again(self) -> Self {
        self.again_after(|_| {})
    }

    /// The same, after something happened to the file.
    fn again_after(self, happens: impl FnOnce(&Path)) -> Self {
        let Self { folder, path, shared } = self;
        drop(shared);
        happens(&path);
        Self::at(path, folder)
    }

    /// What the thread does with all of these, without its end.
    fn take(&self, told: Vec<Compared>) {
        let (sender, inbox) = sync_channel(told.len());
        for compared in told {
            sender.send(compared).unwrap();
        }
        drop(sender);
        Keeper::new(self.shared.clone(), inbox, Vec::new()).take_all();
    }

    /// The route knows of this comparison alone, at this time.
    fn count(&self, told: &Compared, now_ms: u64) {
        let mut known = RouteComparisons::default();
        known.evidence.record(&told.verdict, &told.legacy, &told.candidate, now_ms);
        self.shared.comparisons.import(BTreeMap::from([(told.route.to_string(), known)]));
    }

    fn handle(&self) -> EvidenceHandle {
        EvidenceHandle { shared: self.shared.clone() }
    }

    fn ids(&self, route: &str) -> BTreeMap<String, Vec<u64>> {
        self.handle().ids(route)
    }
}

#[test]
fn a_sample_is_kept_without_its_secrets() {
    let site = Site::new();
    site.take(vec![mismatch("orders", 1)]);
    let ids = site.ids("orders");
    assert_eq!(ids.keys().collect::<Vec<_>>(), ["/price value"]);
    let sample = site.handle().sample("orders", ids["/price value"][0]).unwrap();
    assert_eq!(sample.request.target, "/api/orders/7?token=[redacted]&page=2");
    assert!(!sample.request.whole);
    assert_eq!(sample.request.headers[0], ("authorization".to_owned(), "[redacted]".to_owned()));
    let body = r#"{"price":1,"note":"[redacted]","password":"[redacted]"}"#;
    assert_eq!(sample.legacy.body.as_deref(), Some(body));
    assert_eq!((sample.verdict.as_str(), sample.shown.as_str()), ("mismatch", "legacy"));
    assert_eq!(site.handle().sample("carts", sample.id), None);
    // Neither in the file nor in its journal.
    for file in fs::read_dir(site.folder.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(7).any(|found| found == b"hunter2"));
    }
}

/// Such as of a route with side effects: it must not be replayed for its method alone.
#[test]
fn a_sample_says_whether_its_request_is_safe() {
    let site = Site::new();
    let mut write = mismatch("orders", 1);
    write.request.is_safe = false;
    site.take(vec![mismatch("carts", 1), write]);
    let safe = |route| site.handle().requests(route)[0].safe;
    assert!(safe("carts") && !safe("orders"));
}

/// A map by token, as its place is told.
#[test]
fn a_place_is_kept_without_keys_that_are_secrets() {
    let site = Site::new();
    let document = |value| format!("{{\"0123456789abcdef\":{{\"a\":{value}}}}}");
    site.take(vec![compared("orders", &document(1), &document(2))]);
    let sample = site.handle().sample("orders", 1).unwrap();
    assert_eq!(sample.differences[0].pointer.as_deref(), Some("/[redacted]/a"));
    assert!(!serde_json::to_string(&sample).unwrap().contains("0123456789abcdef"));
}

/// It is asked again by a replay: what is only written otherwise is nothing lost.
#[test]
fn a_request_is_whole_while_nothing_of_it_is_lost() {
    let whole = |kind: &'static str, body: &str, fields: usize| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(kind));
        for _ in 0..fields {
            headers
                .append("x-field", HeaderValue::from_static("a hundred of these are still within the bound"));
        }
        let body = Body::Complete(Bytes::from(body.to_owned()));
        let asked = Asked { method: Method::POST, target: "/a".to_owned(), headers, body, is_safe: false };
        sample::request(&sample::redactor(&mismatch("orders", 1)), &asked).whole
    };
    let json = "application/json";
    assert!(whole(json, "{ \"a\" : [1.50, \"\\u00e4\"] }\n", 100));
    assert!(!whole(json, "{ \"a\": 1, \"password\": \"x\" }", 0));
    assert!(!whole(json, "{ \"a\": 1, \"note\": 2 }", 0), "by the route's own list");
    assert!(!whole(json, &format!("[{}1]", "1, ".repeat(10_000)), 0), "cut");
    assert!(!whole(json, "{}", 400), "header fields were cut");
    // Kept as JSON, which is not what was sent.
    assert!(!whole("application/x-www-form-urlencoded", "a=1", 0));
    assert!(!whole("application/x-ndjson", "{}\n{}", 0));
    assert!(!whole("text/plain", "a", 0));
    assert!(whole("text/plain", "", 0));
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    site.take(vec![mismatch("orders", 1)]);
    for file in fs::read_dir(site.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn only_what_differs_and_stays_is_worth_a_sample() {
    let site = Site::new();
    let transient = Compared { is_transient: true, ..mismatch("orders", 1) };
    site.take(vec![compared("orders", "{}", "{}"), transient]);
    assert!(site.ids("orders").is_empty());
}

#[test]
fn counts_and_samples_survive_a_restart() {
    let site = Site::new();
    let told = mismatch("orders", 1);
    let mut known = RouteComparisons::default();
    known.evidence.record(&told.verdict, &told.legacy, &told.candidate, 5);
    known.learning.compared(&told.verdict);
    let text = banyan_compare::store(&known.evidence, &known.learning);
    site.shared.comparisons.import(BTreeMap::from([("orders".to_owned(), known)]));
    site.take(vec![told]);
    let site = site.again();
    assert_eq!(site.ids("orders")["/price value"], [1]);
    assert_eq!(site.shared.comparisons.evidence("orders").map(|it| it.counts.mismatch), None);
    site.shared.put_back(&["orders"]);
    let known = &site.shared.comparisons.export()["orders"];
    assert_eq!(banyan_compare::store(&known.evidence, &known.learning), text);
}

/// Taking over, a process may have compared before it could read what the one before had counted.
#[test]
fn what_was_counted_meanwhile_is_added() {
    let site = Site::new();
    let told = mismatch("orders", 1);
    let counted = || {
        let mut known = RouteComparisons::default();
        known.evidence.record(&told.verdict, &told.legacy, &told.candidate, 5);
        BTreeMap::from([("orders".to_owned(), known)])
    };
    site.shared.comparisons.import(counted());
    site.take(Vec::new());
    let site = site.again();
    site.shared.comparisons.import(counted());
    site.shared.put_back(&["orders"]);
    assert_eq!(site.shared.comparisons.evidence("orders").map(|it| it.counts.mismatch), Some(2));
}

#[test]
fn a_reset_forgets_all_and_what_was_asked_before() {
    let site = Site::new();
    let late = mismatch("orders", 2);
    let mut known = RouteComparisons::default();
    known.evidence.record(&late.verdict, &late.legacy, &late.candidate, 5);
    site.shared.comparisons.import(BTreeMap::from([("orders".to_owned(), known)]));
    site.take(vec![mismatch("orders", 1), mismatch("carts", 1)]);
    let reset = site.handle().reset("orders").unwrap();
    assert_eq!((reset.had_counts, reset.samples), (true, 1));
    site.take(vec![late]);
    assert!(site.ids("orders").is_empty() && site.shared.comparisons.evidence("orders").is_none());
    assert_eq!(site.ids("carts").len(), 1);
    let site = site.again();
    site.shared.put_back(&["orders"]);
    assert!(site.shared.comparisons.evidence("orders").is_none());
}

/// Such as with a new build of the candidate, which the gateway sees.
#[test]
fn samples_go_when_the_counts_begin_anew() {
    let site = Site::new();
    let (sender, inbox) = sync_channel(9);
    let mut keeper = Keeper::new(site.shared.clone(), inbox, Vec::new());
    let told = mismatch("orders", 1);
    let begin = |now_ms| site.count(&told, now_ms);
    begin(1);
    sender.send(told.clone()).unwrap();
    keeper.take_waiting();
    keeper.export();
    assert_eq!(site.ids("orders").len(), 1);
    begin(clock::ms(SystemTime::now()) + 60_000);
    keeper.export();
    assert!(site.ids("orders").is_empty());
    sender.send(told.clone()).unwrap();
    keeper.take_waiting();
    site.shared.comparisons.reset("orders");
    keeper.export();
    assert!(site.ids("orders").is_empty());
}

/// As while a disk takes nothing.
#[test]
fn a_reset_that_the_disk_did_not_take_is_an_error_and_forgets_nothing() {
    let site = Site::new();
    let told = mismatch("orders", 1);
    site.count(&told, 5);
    site.take(vec![told]);
    site.shared.shelf().close();
    let refused = site.handle().reset("orders").unwrap_err();
    assert!(refused.to_string().contains("`orders`"), "{refused}");
    assert!(site.shared.comparisons.evidence("orders").is_some());
    *site.shared.shelf() = Shelf::open(Some(site.path.clone()));
    assert_eq!(site.ids("orders").len(), 1);
    assert_eq!(site.handle().reset("orders").unwrap().samples, 1);
    assert!(site.ids("orders").is_empty() && site.shared.comparisons.evidence("orders").is_none());
}

#[test]
fn samples_of_counts_that_began_anew_go_as_soon_as_the_disk_takes_it() {
    let site = Site::new();
    let (sender, inbox) = sync_channel(9);
    let mut keeper = Keeper::new(site.shared.clone(), inbox, Vec::new());
    let told = mismatch("orders", 1);
    let begin = |now_ms| site.count(&told, now_ms);
    let breaks_off = |keeper: &mut Keeper| {
        site.shared.shelf().close();
        keeper.look();
        *site.shared.shelf() = Shelf::open(Some(site.path.clone()));
        assert_eq!(site.ids("orders").len(), 1);
        keeper.look();
        assert!(site.ids("orders").is_empty());
    };
    begin(1);
    sender.send(told.clone()).unwrap();
    keeper.take_waiting();
    keeper.look();
    begin(clock::ms(SystemTime::now()) + 60_000);
    keeper.export();
    sender.send(told.clone()).unwrap();
    keeper.take_waiting();
    begin(clock::ms(SystemTime::now()) + 120_000);
    keeper.has_news = true;
    breaks_off(&mut keeper);
    sender.send(told.clone()).unwrap();
    keeper.take_waiting();
    site.shared.comparisons.reset("orders");
    keeper.has_news = true;
    breaks_off(&mut keeper);
}

/// In an upgrade, the process before may hold the file longer than the new one waits.
#[test]
fn a_file_that_was_held_at_the_start_is_used_when_it_is_free() {
    let before = Site::new();
    let told = mismatch("orders", 1);
    let count = |site: &Site| {
        let mut known = RouteComparisons::default();
        known.evidence.record(&told.verdict, &told.legacy, &told.candidate, 5);
        site.shared.comparisons.import(BTreeMap::from([("orders".to_owned(), known)]));
    };
    count(&before);
    before.take(vec![told.clone()]);
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let shared = Shared::open(Some(before.path.clone()), Arc::default(), metrics);
    let (sender, inbox) = sync_channel(9);
    let mut keeper = Keeper::new(shared.clone(), inbox, Vec::new());
    let handle = EvidenceHandle { shared: shared.clone() };
    sender.send(mismatch("orders", 2)).unwrap();
    keeper.take_waiting();
    keeper.look();
    assert_eq!(handle.kept().place, "memory");
    assert!(handle.reset("orders").is_err(), "what is in the file would come back");
    let Site { folder, path, shared: old } = before;
    drop(old);
    let after = Site { folder, path, shared };
    count(&after);
    keeper.look();
    let kept = handle.kept();
    assert_eq!((kept.place.as_str(), kept.samples, kept.problem), ("disk", 2, None));
    assert_eq!(after.shared.comparisons.evidence("orders").map(|it| it.counts.mismatch), Some(2));
    drop((keeper, handle));
    let next = after.again();
    next.shared.put_back(&["orders"]);
    assert_eq!(next.ids("orders")["/price value"].len(), 2);
    assert_eq!(next.shared.comparisons.evidence("orders").map(|it| it.counts.mismatch), Some(2));
}

#[test]
fn a_file_that_is_no_database_is_set_aside() {
    let site = Site::new();
    site.take(vec![mismatch("orders", 1)]);
    let garbage = "not a database, whatever its name says".repeat(400);
    let site = site.again_after(|path| fs::write(path, garbage).unwrap());
    assert!(site.ids("orders").is_empty());
    site.take(vec![mismatch("orders", 1)]);
    assert_eq!(site.ids("orders").len(), 1);
    assert!(site.path.with_extension("sqlite.damaged").exists());
    let kept = site.handle().kept();
    assert_eq!((kept.place.as_str(), kept.samples, kept.problem), ("disk", 1, None));
}

#[test]
fn counts_that_cannot_be_read_begin_anew() {
    let site = Site::new();
    let lines = [("orders", "{\"version\":7}"), ("carts", "torn")];
    site.shared.shelf().write(|store| store.write_counts(lines.into_iter(), 1)).unwrap();
    site.shared.put_back(&["orders", "carts"]);
    assert!(site.shared.comparisons.export().is_empty());
}

#[test]
fn where_there_can_be_no_file_memory_serves() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(folder.path());
    fs::create_dir(&path).unwrap();
    let site = Site::at(path, folder);
    site.take(vec![mismatch("orders", 1)]);
    let kept = site.handle().kept();
    assert_eq!((kept.place.as_str(), kept.samples), ("memory", 1));
    assert!(kept.problem.unwrap().contains("evidence.sqlite"));
}

/// As a failing disk does it: nothing panics, and a new file is begun.
#[test]
fn a_file_that_breaks_under_way_costs_samples_only() {
    let site = Site::new();
    site.take((0..40).map(|number| mismatch(&format!("r{number}"), 1)).collect());
    let file = fs::OpenOptions::new().write(true).open(&site.path).unwrap();
    site.shared.shelf().write(Store::checkpoint).unwrap();
    // All but the first page, which says that it is a database.
    let length = file.metadata().unwrap().len();
    std::os::unix::fs::FileExt::write_all_at(
        &file,
        &vec![0xa5; usize::try_from(length).unwrap() - 4_096],
        4_096,
    )
    .unwrap();
    for number in 0..40 {
        site.take(vec![mismatch(&format!("r{number}"), 2)]);
    }
    site.take(vec![mismatch("after", 2)]);
    assert_eq!(site.ids("after").len(), 1);
}

#[test]
fn recording_gives_every_shadowed_request_while_somebody_asks() {
    let site = Site::new();
    site.take(vec![compared("orders", "{}", "{}")]);
    let begun = site.handle().recorded(None, None, 10);
    site.take(vec![compared("orders", "{}", "{}"), mismatch("carts", 1)]);
    let drawn = site.handle().recorded(Some("orders"), Some(begun.next), 10);
    assert_eq!((drawn.requests.len(), drawn.lost, drawn.next), (1, 0, 2));
    assert_eq!(drawn.requests[0].request.target, "/api/orders/7?token=[redacted]&page=2");
}

#[test]
fn the_thread_ends_with_its_keeper() {
    let folder = tempfile::tempdir().unwrap();
    let (comparisons, metrics) = (Arc::default(), Metrics::new(&Registry::new()).unwrap());
    let file = path(folder.path());
    let keeper = EvidenceKeeper::start(Some(file.clone()), &[], &comparisons, &metrics).unwrap();
    let handle = keeper.handle();
    drop(keeper);
    assert_eq!(handle.shared.shelf().read(Store::samples), None);
    // Closed, and its journal written back.
    assert!(file.exists() && !file.with_extension("sqlite-wal").exists());
}

#[test]
fn the_thread_gives_way_to_those_that_serve() {
    let (comparisons, metrics) = (Arc::default(), Metrics::new(&Registry::new()).unwrap());
    let _keeper = EvidenceKeeper::start(None, &[], &comparisons, &metrics).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    // More, where the tests themselves run so.
    while niceness("banyan-evidence").is_none_or(|found| found < NICE) {
        assert!(Instant::now() < until, "{:?}", niceness("banyan-evidence"));
        thread::yield_now();
    }
}

/// Of a thread of this process.
fn niceness(name: &str) -> Option<i32> {
    fs::read_dir("/proc/self/task").unwrap().flatten().find_map(|task| {
        // The name is in brackets, and may have spaces in it.
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        head.ends_with(name).then(|| rest.split(' ').nth(16)?.parse().ok())?
    })
}
