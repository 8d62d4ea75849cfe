//! Files that `include` names.

use std::fs;

use banyan_control::api::ReloadResult::{Applied, Refused};

use crate::site::{LONG, SOON, Site, head, route};

fn with_includes() -> Site {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("routes.d")).unwrap();
    fs::write(folder.path().join("routes.d/a.toml"), route("a", 1)).unwrap();
    let main = head().replacen("version = 1\n", "version = 1\ninclude = [\"routes.d/*.toml\"]\n", 1);
    fs::write(folder.path().join("routes.toml"), main).unwrap();
    Site::start_in(folder)
}

#[test]
fn added_changed_and_removed() {
    let site = with_includes();
    assert_eq!(site.route_names(), ["a", "default"]);
    site.write("routes.d/b.toml", &route("b", 2));
    site.until(SOON, "added", |site| site.route_names() == ["a", "b", "default"]);
    site.write("routes.d/a.toml", &route("a", 3));
    site.until(SOON, "changed", |site| site.percent() == "3");
    fs::remove_file(site.path("routes.d/b.toml")).unwrap();
    site.until(LONG, "removed", |site| site.route_names() == ["a", "default"]);
    assert_eq!(site.attempts(Refused), 0);
}

/// Away for a moment is not removed: the other file's change comes through with both routes.
#[test]
fn away_for_a_moment() {
    let site = with_includes();
    site.write("routes.d/b.toml", &route("b", 2));
    site.until(SOON, "added", |site| site.config().generation == 2);
    fs::rename(site.path("routes.d/b.toml"), site.path("b.away")).unwrap();
    site.write("routes.d/a.toml", &route("a", 3));
    site.until(SOON, "changed", |site| site.percent() == "3");
    assert_eq!(site.route_names(), ["a", "b", "default"]);
    fs::rename(site.path("b.away"), site.path("routes.d/b.toml")).unwrap();
    site.until(SOON, "told", |site| site.attempts(Applied) == 2);
    assert_eq!(site.reload().generation, 3);
    assert_eq!(site.route_names(), ["a", "b", "default"]);
}

/// One bad file refuses all of them, the good ones too.
#[test]
fn applied_whole_or_not_at_all() {
    let site = with_includes();
    site.write("routes.d/b.toml", "garbage");
    site.until(SOON, "refused", |site| site.config().last_reload.result == Refused);
    site.write("routes.d/a.toml", &route("a", 3));
    site.until(SOON, "refused again", |site| site.attempts(Refused) == 2);
    assert_eq!(site.percent(), "1");
    site.write("routes.d/b.toml", &route("b", 2));
    site.until(SOON, "mended", |site| site.route_names() == ["a", "b", "default"]);
    assert_eq!(site.percent(), "3");
}

#[test]
fn no_longer_named_is_out_at_once() {
    let site = with_includes();
    let main = format!("{}{}", head(), route("own", 5));
    site.write("routes.toml", &main);
    site.until(SOON, "out", |site| site.route_names() == ["own", "default"]);
}

/// An unmounted volume is not an order to remove every route in it.
#[test]
fn a_vanished_folder_removes_nothing() {
    let site = with_includes();
    fs::rename(site.path("routes.d"), site.path("away")).unwrap();
    // Longer than two polls of two seconds.
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(7) {
        assert_eq!(site.route_names(), ["a", "default"]);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    site.write("away/a.toml", &route("a", 3));
    fs::rename(site.path("away"), site.path("routes.d")).unwrap();
    site.until(LONG, "back", |site| site.percent() == "3");
    assert_eq!(site.attempts(Refused), 0);
}

/// A file absent for a moment is put back where it is read: another place would be another text.
#[test]
fn files_of_two_folders_stay_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for (name, route_name) in [("routes", "a"), ("routes-extra", "b")] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("x.toml"), route(route_name, 1)).unwrap();
    }
    let patterns = "version = 1\ninclude = [\"routes/*.toml\", \"routes-extra/*.toml\"]\n";
    fs::write(folder.path().join("routes.toml"), head().replacen("version = 1\n", patterns, 1)).unwrap();
    let path = folder.path().join("routes.toml");
    let hash =
        banyan_control::text_hash(&banyan_control::read(&path, &banyan_control::Variables::new()).unwrap());
    let site = Site::start_in(folder);
    site.reload();
    assert_eq!(site.config().text_hash, hash, "proxy and commands agree");
    assert_eq!(site.route_names(), ["a", "b", "default"]);
}

/// The command that removes a file says so, and nothing in between is ever in force.
#[test]
fn an_announced_removal_is_taken_at_once() {
    let site = with_includes();
    site.write("routes.d/b.toml", &route("b", 2));
    site.until(SOON, "added", |site| site.config().generation == 2);
    fs::rename(site.path("routes.d/b.toml"), site.path("b.away")).unwrap();
    let read = banyan_control::read(&site.path("routes.toml"), &banyan_control::Variables::new()).unwrap();
    let hash = banyan_control::text_hash(&read);
    fs::rename(site.path("b.away"), site.path("routes.d/b.toml")).unwrap();
    let body = format!("{{\"who\":\"ann\",\"why\":\"gone\",\"after_hash\":\"{hash}\"}}");
    assert_eq!(site.post("/api/v1/announce", &body).status, 204);
    fs::remove_file(site.path("routes.d/b.toml")).unwrap();
    site.until(SOON, "removed", |site| site.route_names() == ["a", "default"]);
    site.until(SOON, "told by name", |site| site.history().entries[0].who == "ann");
}
