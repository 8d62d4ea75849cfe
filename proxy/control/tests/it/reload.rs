//! From save to effect.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use banyan_control::api::ReloadResult::{Applied, Refused, Unchanged};
use banyan_control::api::{HistoryKind, RolledBack};
use banyan_control::{LoadError, Proxy, Registry, RunError};

use crate::log;
use crate::site::{LONG, SOON, Site, head, options, route, routes};

/// Five saves in a row, each in effect within a second, none refused on the way: a watch that is lost with the
/// first save shows at the second.
fn five_saves(site: &Site, save: impl Fn(&Site, u32, &str)) {
    for percent in [10, 20, 30, 40, 50] {
        save(site, percent, &routes(percent));
        site.until(SOON, &format!("{percent} % in force"), |site| site.percent() == percent.to_string());
    }
    site.until(SOON, "five swaps told", |site| site.config().generation == 6);
    assert_eq!((site.attempts(Applied), site.attempts(Refused)), (5, 0));
}

#[test]
fn written_in_place() {
    five_saves(&Site::start(&routes(0)), |site, _, text| site.write("routes.toml", text));
}

#[test]
fn renamed_over() {
    five_saves(&Site::start(&routes(0)), |site, _, text| {
        site.write(".routes.toml.new", text);
        fs::rename(site.path(".routes.toml.new"), site.path("routes.toml")).unwrap();
    });
}

#[test]
fn renamed_away_and_created() {
    five_saves(&Site::start(&routes(0)), |site, _, text| {
        fs::rename(site.path("routes.toml"), site.path("routes.toml~")).unwrap();
        site.write("routes.toml", text);
    });
}

/// As the kubelet does it: a new folder, and a link renamed over `..data`.
#[test]
fn link_to_the_folder_swapped() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("..v0")).unwrap();
    fs::write(folder.path().join("..v0/routes.toml"), routes(0)).unwrap();
    symlink("..v0", folder.path().join("..data")).unwrap();
    symlink("..data/routes.toml", folder.path().join("routes.toml")).unwrap();
    five_saves(&Site::start_in(folder), |site, percent, text| {
        let old = fs::read_link(site.path("..data")).unwrap();
        fs::create_dir(site.path(&format!("..v{percent}"))).unwrap();
        site.write(&format!("..v{percent}/routes.toml"), text);
        symlink(format!("..v{percent}"), site.path("..data_tmp")).unwrap();
        fs::rename(site.path("..data_tmp"), site.path("..data")).unwrap();
        fs::remove_dir_all(site.path(old.to_str().unwrap())).unwrap();
    });
}

#[test]
fn the_target_of_a_link_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("elsewhere")).unwrap();
    fs::write(folder.path().join("elsewhere/real.toml"), routes(0)).unwrap();
    symlink("elsewhere/real.toml", folder.path().join("routes.toml")).unwrap();
    five_saves(&Site::start_in(folder), |site, _, text| site.write("elsewhere/real.toml", text));
}

/// An access log in the same folder gives events without end.
#[test]
fn saved_in_a_folder_that_is_never_quiet() {
    let site = Site::start(&routes(0));
    let done = AtomicBool::new(false);
    let mut log = File::create(site.path("access.log")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                log.write_all(b"line\n").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        five_saves(&site, |site, _, text| site.write("routes.toml", text));
        done.store(true, Ordering::Relaxed);
    });
}

/// The first half of the file is a configuration too, but nobody has saved it.
#[test]
fn a_half_written_file_is_not_taken() {
    let site = Site::start(&routes(0));
    let text = format!("{}{}", routes(10), route("carts", 10));
    let half = routes(10).len();
    let mut file = File::create(site.path("routes.toml")).unwrap();
    file.write_all(&text.as_bytes()[..half]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    file.write_all(&text.as_bytes()[half..]).unwrap();
    drop(file);
    site.until(SOON, "the whole file in force", |site| site.route_names() == ["orders", "carts", "default"]);
    site.until(SOON, "told", |site| site.config().generation == 2);
    assert_eq!((site.attempts(Applied), site.attempts(Refused)), (1, 0));
}

#[test]
fn garbage_is_refused_whole_and_seen() {
    let site = Site::start(&routes(10));
    let before = site.config();
    for garbage in ["not toml at all [", "", "version = 1\nrouts = 3\n"] {
        site.write("routes.toml", garbage);
        site.until(SOON, "refused", |site| site.config().last_reload.text_hash != before.text_hash);
        let config = site.config();
        assert_eq!((config.generation, &config.hash), (1, &before.hash));
        assert_eq!(config.last_reload.result, Refused);
        assert!(!config.last_reload.problems.is_empty() && !config.last_reload.report.is_empty());
        assert_eq!(site.percent(), "10");
        assert_eq!(site.metric("banyan_config_last_reload_successful"), 0);
        site.write("routes.toml", &routes(10));
        site.until(SOON, "mended", |site| site.config().last_reload.result == Unchanged);
        assert_eq!(site.metric("banyan_config_last_reload_successful"), 1);
    }
    assert_eq!(site.attempts(Refused), 3);
    assert_eq!(site.history().entries.len(), 1, "a refusal is no swap");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let site = Site::start(&routes(10));
    fs::write(site.path("routes.toml"), b"version = \xff").unwrap();
    site.until(SOON, "refused", |site| site.config().last_reload.result == Refused);
    assert_eq!(site.config().last_reload.problems[0].code, "file-not-utf8");
    assert_eq!(site.percent(), "10");
}

/// One route at this percent, to an upstream that is believed by a file beside routes.toml.
fn routes_by_tls(percent: u32) -> String {
    let tls = "[upstreams.orders]\ntls = { ca_file = \"ca.pem\" }\ntargets = [\"https://127.0.0.1:9\"]";
    routes(percent).replace("[upstreams.orders]\ntargets = [\"http://127.0.0.1:9\"]", tls)
}

#[test]
fn a_table_whose_certificates_cannot_be_read_is_refused() {
    let site = Site::start(&routes(10));
    site.write("routes.toml", &routes_by_tls(20));
    site.until(SOON, "refused", |site| site.config().last_reload.result == Refused);
    let problem = &site.config().last_reload.problems[0];
    assert_eq!((problem.code.as_str(), problem.line), ("unusable-tls", 10), "{problem:?}");
    assert!(problem.message.contains("ca.pem"), "{problem:?}");
    assert_eq!((site.percent(), site.config().generation), ("10".to_owned(), 1));

    let authority = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
    site.write("ca.pem", &authority.cert.pem());
    assert_eq!(site.reload().result, Applied, "asked for, the same text is tried again");
    assert_eq!(site.percent(), "20");
}

#[test]
fn a_proxy_whose_certificates_cannot_be_read_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), routes_by_tls(20)).unwrap();
    let refused = Proxy::start(options(folder.path()), &Registry::new()).map(|_| ()).unwrap_err();
    let RunError::Configuration(LoadError::Refused(report)) = refused else { panic!("{refused}") };
    assert_eq!(report.problems[0].code, "unusable-tls");
}

#[test]
fn a_vanished_file_is_waited_for() {
    let site = Site::start(&routes(10));
    fs::rename(site.path("routes.toml"), site.path("away")).unwrap();
    site.until(LONG, "missed", |site| site.config().last_reload.result == Refused);
    assert_eq!(site.config().last_reload.problems[0].code, "file-missing");
    assert_eq!((site.config().generation, site.percent()), (1, "10".to_owned()));
    fs::rename(site.path("away"), site.path("routes.toml")).unwrap();
    site.until(SOON, "found again", |site| site.config().last_reload.result == Unchanged);
    assert_eq!(site.config().generation, 1);
}

#[test]
fn a_folder_removed_and_made_again_is_watched_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/real.toml"), routes(0)).unwrap();
    symlink("sub/real.toml", folder.path().join("routes.toml")).unwrap();
    let site = Site::start_in(folder);
    fs::remove_dir_all(site.path("sub")).unwrap();
    site.until(LONG, "missed", |site| site.config().last_reload.result == Refused);
    fs::create_dir(site.path("sub")).unwrap();
    site.write("sub/real.toml", &routes(5));
    site.until(SOON, "found again", |site| site.percent() == "5");
    five_more(&site);
}

fn five_more(site: &Site) {
    for percent in [10, 20, 30, 40, 50] {
        site.write("sub/real.toml", &routes(percent));
        site.until(SOON, "in force", |site| site.percent() == percent.to_string());
    }
}

#[test]
fn the_last_route_is_not_removed_unsaid() {
    let site = Site::start(&routes(10));
    site.write("routes.toml", &head());
    site.until(SOON, "refused", |site| site.config().last_reload.result == Refused);
    let problems = site.config().last_reload.problems;
    assert!(problems.iter().any(|problem| problem.code == "empty-routes"), "{problems:?}");
    assert_eq!(site.percent(), "10");
    site.write("routes.toml", &head().replacen("[defaults]\n", "[defaults]\nallow_empty = true\n", 1));
    site.until(SOON, "allowed", |site| site.route_names() == ["default"]);
}

/// Reading the files gives events of its own; acting on them would go round for ever.
#[test]
fn one_save_is_one_attempt() {
    let site = Site::start(&routes(0));
    site.write("routes.toml", &routes(10));
    site.until(SOON, "in force", |site| site.config().generation == 2);
    // Two more readings, by request, so that the events of all readings so far have come round.
    assert_eq!((site.reload().result, site.reload().result), (Unchanged, Unchanged));
    assert_eq!((site.attempts(Applied), site.attempts(Unchanged), site.attempts(Refused)), (1, 2, 0));
}

#[test]
fn another_comment_is_another_text_but_no_swap() {
    let site = Site::start(&routes(10));
    let before = site.config();
    site.write("routes.toml", &format!("# by ann\n{}", routes(10)));
    site.until(SOON, "read", |site| site.config().text_hash != before.text_hash);
    let after = site.config();
    assert_eq!((after.generation, after.hash, after.last_reload.result), (1, before.hash, Unchanged));
    assert_eq!(site.history().entries.len(), 1);
}

#[test]
fn a_reload_asked_for_tries_what_was_tried() {
    let site = Site::start(&routes(10));
    site.proxy.reload();
    site.until(LONG, "tried", |site| site.attempts(Unchanged) == 1);
    site.write("routes.toml", "garbage");
    site.until(SOON, "refused", |site| site.attempts(Refused) == 1);
    let again = site.reload();
    assert_eq!((again.result, again.generation), (Refused, 1));
    assert!(again.report.contains("routes.toml"), "{}", again.report);
}

/// The floor holds whatever the file says anew in other words, and ends when it says something else.
#[test]
fn a_rollback_held_in_memory() {
    let site = Site::start(&routes(50));
    let answer = site.post("/api/v1/rollback", "{\"who\":\"ann\",\"why\":\"errors\"}");
    let rolled: RolledBack = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((rolled.result, rolled.generation, rolled.kept.len()), (Applied, 2, 0));
    assert_eq!(site.percent(), "0");
    let config = site.config();
    assert!(config.floor && config.hash == rolled.hash && config.generation == 2);
    let entry = site.history().entries.remove(0);
    assert_eq!((entry.kind, entry.who.as_str()), (HistoryKind::Rollback, "ann"));
    assert_eq!(fs::read_to_string(site.path("routes.toml")).unwrap(), routes(50));

    site.write("routes.toml", &format!("# still 50\n{}", routes(50)));
    site.until(SOON, "read", |site| site.config().last_reload.result == Unchanged);
    assert_eq!((site.reload().generation, site.percent()), (2, "0".to_owned()));
    let again: RolledBack =
        serde_json::from_str(&site.post("/api/v1/rollback", "{\"who\":\"ann\",\"why\":null}").body).unwrap();
    assert_eq!((again.result, again.generation), (Unchanged, 2));

    site.write("routes.toml", &routes(10));
    site.until(SOON, "the file again", |site| site.percent() == "10");
    site.until(SOON, "told", |site| !site.config().floor);
}

/// Legacy's data is behind where the candidate writes: only who insists goes back.
#[test]
fn a_rollback_leaves_what_the_candidate_writes() {
    let store = "\n[stores.orders]\nmode = \"separate\"\nwriter = \"candidate\"\n";
    let text = format!("{}{store}{}store = \"orders\"\n", head(), route("orders", 100));
    let site = Site::start(&text);
    let rollback = |body: &str| -> RolledBack {
        serde_json::from_str(&site.post("/api/v1/rollback", body).body).unwrap()
    };
    let left = rollback("{\"who\":\"ann\",\"why\":null}");
    assert_eq!((left.result, left.kept), (Unchanged, vec!["orders".to_owned()]));
    assert_eq!(site.percent(), "100");
    let forced = rollback("{\"who\":\"ann\",\"why\":null,\"force\":true}");
    assert_eq!((forced.result, forced.kept.len()), (Applied, 0));
    assert_eq!(site.percent(), "0");
}

fn rollback(site: &Site, body: &str) -> RolledBack {
    let answer = site.post("/api/v1/rollback", body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

/// Pinned clients stay with the candidate, and whoever rolls back is told so.
#[test]
fn a_rollback_names_the_pins_it_does_not_reach() {
    let pinned =
        |name| route(name, 50) + "pin = [{ header = \"x-beta\", equals = \"yes\", to = \"candidate\" }]\n";
    let site = Site::start(&format!("{}{}", routes(50), pinned("carts")));
    let pinned = |body: &str| -> serde_json::Value {
        let answer = site.post("/api/v1/rollback", body);
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["pinned"].clone()
    };
    let origin = format!("{}:20", site.path("routes.toml").display());
    let carts = serde_json::json!([{ "route": "carts", "origin": origin }]);
    assert_eq!(pinned("{\"who\":\"ann\",\"why\":null,\"route\":\"orders\"}"), serde_json::json!([]));
    assert_eq!(pinned("{\"who\":\"ann\",\"why\":null}"), carts);
    assert_eq!(pinned("{\"who\":\"ann\",\"why\":null,\"route\":\"carts\"}"), carts, "at 0 already");
    let told: serde_json::Value = site.get("/api/v1/routes");
    let pins: Vec<_> =
        told["routes"].as_array().unwrap().iter().map(|route| &route["pins_candidate"]).collect();
    assert_eq!(pins, [false, true, false]);
}

/// One route in trouble is no reason to move the others.
#[test]
fn a_rollback_of_one_route() {
    let site = Site::start(&format!("{}{}", routes(50), route("carts", 40)));
    let rolled = rollback(&site, "{\"who\":\"ann\",\"why\":null,\"route\":\"carts\"}");
    assert_eq!(rolled.changes, ["carts 40 % -> 0 % (40 % of clients move to legacy)"]);
    assert_eq!(site.percents(), ["50", "0"]);
    assert!(site.config().floor);
    let unknown = site.post("/api/v1/rollback", "{\"who\":\"ann\",\"why\":null,\"route\":\"cart\"}");
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("no-such-route") && unknown.body.contains("`cart`"), "{}", unknown.body);
}

#[test]
fn a_rollback_ended_on_purpose() {
    let site = Site::start(&routes(50));
    let end = || -> RolledBack {
        let answer = site.post("/api/v1/rollback/end", "{\"who\":\"bob\",\"why\":\"mended\"}");
        serde_json::from_str(&answer.body).unwrap()
    };
    assert_eq!(end().result, Unchanged, "nothing is held yet");
    rollback(&site, "{\"who\":\"ann\",\"why\":null}");
    let ended = end();
    assert_eq!((ended.result, ended.generation), (Applied, 3));
    assert_eq!(ended.changes, ["orders 0 % -> 50 % (50 % of clients move to the candidate)"]);
    assert_eq!((site.percent(), site.config().floor), ("50".to_owned(), false));
    let entry = site.history().entries.remove(0);
    assert_eq!((entry.kind, entry.who.as_str()), (HistoryKind::RollbackEnd, "bob"));
    assert_eq!(entry.text_hash_before, Some(entry.text_hash));
}

/// The operator reads it in the log, without asking anybody.
#[test]
fn swaps_and_refusals_are_logged() {
    log::catch();
    let name = format!("route-{}", std::process::id());
    let site = Site::start(&format!("{}{}", head(), route(&name, 0)));
    site.write("routes.toml", &format!("{}{}", head(), route(&name, 25)));
    site.until(SOON, "in force", |site| site.config().generation == 2);
    assert!(log::caught().contains(&format!("configuration in force: {name} 0 % -> 25 %")));
    site.write("routes.toml", "garbage");
    site.until(SOON, "refused", |site| site.config().last_reload.result == Refused);
    let log = log::caught();
    assert!(log.contains("configuration refused whole, the old one stays in force"), "{log}");
    assert!(log.contains(&format!("{}:1", site.path("routes.toml").display())), "{log}");
}

/// What was saved before the order is taken in under the floor.
#[test]
fn a_rollback_outlasts_what_was_saved_before_it() {
    let site = Site::start(&routes(50));
    for percent in [60, 70, 80] {
        site.write("routes.toml", &routes(percent));
        rollback(&site, "{\"who\":\"ann\",\"why\":null}");
        site.until(LONG, "read", |site| site.reload().result == Unchanged);
        assert_eq!((site.percent(), site.config().floor), ("0".to_owned(), true), "saved at {percent} %");
    }
    site.write("routes.toml", &routes(10));
    site.until(SOON, "saved later", |site| site.percent() == "10");
}
