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
