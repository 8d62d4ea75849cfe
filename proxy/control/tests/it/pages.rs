//! The dashboard's pages as they are sent. What a browser makes of them is `scripts/check-pages`.

use std::time::Duration;

use crate::browser::{TOKEN, with};
use crate::site::{Answer, Site, ask, head, route, routes};

/// No sample comes between two looks.
fn start(text: &str) -> Site {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), text).unwrap();
    with(folder, |options| options.sample_every = Duration::from_hours(1))
}

fn get(site: &Site, path: &str, more: &str) -> Answer {
    ask(site.admin, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}"), "")
}

fn page(site: &Site, path: &str) -> String {
    let answer = get(site, path, "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let line = answer.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {}", answer.head))
}

/// Names of the rows, from top to bottom.
fn rows(page: &str) -> Vec<&str> {
    page.split(" id=\"r-").skip(1).map(|row| row.split('"').next().unwrap()).collect()
}

#[test]
fn a_page_that_has_not_changed_is_not_sent_again() {
    let site = start(&routes(10));
    for path in ["/", "/routes/orders", "/configuration"] {
        let first = get(&site, path, "");
        let known = format!("If-None-Match: {}\r\n", field(&first, "etag"));
        let again = get(&site, path, &known);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(field(&again, "cache-control"), "no-store");
    }
    let known = format!("If-None-Match: {}\r\n", field(&get(&site, "/", ""), "etag"));
    site.write("routes.toml", &routes(50));
    assert_eq!(site.post("/api/v1/reload", "{}").status, 200);
    assert_eq!(get(&site, "/", &known).status, 200, "another share is another page");
}

#[test]
fn assets_are_kept_for_ever_and_found_in_their_version_only() {
    let site = start(&routes(10));
    let board = page(&site, "/");
    let sheet = board.split('"').find(|word| word.ends_with("/dashboard.css")).unwrap();
    let answer = get(&site, sheet, "");
    assert_eq!((answer.status, field(&answer, "content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(field(&answer, "cache-control"), "public, max-age=31536000, immutable");
    let old = sheet.replacen("/assets/", "/assets/0", 1);
    assert_eq!(get(&site, &old, "").status, 404);
    assert_eq!(field(&get(&site, &old, ""), "cache-control"), "no-store");
    assert_eq!(get(&site, "/assets/x/../../etc/passwd", "").status, 404);
}

#[test]
fn words_of_files_are_text_on_every_page() {
    let evil = "<script>alert(1)</script>\\\"'&";
    let text = format!("{}meta = {{ owner = \"{evil}\" }}\n", routes(10));
    let site = start(&text);
    for path in [
        "/",
        "/routes/orders",
        "/configuration",
        "/?q=%3Cscript%3Ealert(1)",
        "/sign-in?next=%22%3E%3Cscript%3Ealert(1)",
    ] {
        let sent = page(&site, path);
        assert!(!sent.contains("<script>"), "{path}: {sent}");
    }
    assert!(page(&site, "/routes/orders").contains("&lt;script&gt;alert(1)"));
    let missing = get(&site, "/routes/%3Cscript%3E", "");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("No route has the name &lt;script&gt;."), "{}", missing.body);
}

#[test]
fn rows_are_filtered_and_sorted_by_the_address() {
    let names = [("beta", 25), ("alpha", 100), ("gamma", 0)];
    let text = names.iter().fold(head(), |text, (name, percent)| text + &route(name, *percent));
    let site = start(&text);
    assert_eq!(rows(&page(&site, "/")), ["beta", "alpha", "gamma", "default"]);
    assert_eq!(rows(&page(&site, "/?sort=share&order=desc")), ["alpha", "beta", "gamma", "default"]);
    assert_eq!(rows(&page(&site, "/?sort=share")), ["gamma", "beta", "alpha", "default"]);
    assert_eq!(rows(&page(&site, "/?sort=name")), ["alpha", "beta", "default", "gamma"]);
    assert_eq!(rows(&page(&site, "/?stage=canary")), ["beta"]);
    assert_eq!(rows(&page(&site, "/?q=ALPHA")), ["alpha"]);
    assert_eq!(rows(&page(&site, "/?sort=nothing&order=sideways")), rows(&page(&site, "/")));
}

#[test]
fn a_board_of_500_routes_is_one_page() {
    let text = (0..500).fold(head(), |text, at| text + &route(&format!("route-{at}"), at % 101));
    let site = start(&text);
    let board = page(&site, "/");
    assert_eq!(rows(&board).len(), 501);
    assert!(board.len() < 1_000_000, "{} bytes", board.len());
    assert!(
        board.contains("<title>5 of 500 off the monolith – Banyan</title>") || board.contains(" of 500 off")
    );
}

#[test]
fn nothing_is_green_before_anything_was_measured() {
    let site = start(&routes(10));
    let board = page(&site, "/");
    assert!(board.contains("no data lately"), "{board}");
    assert!(!board.contains("class=\"state good\""), "{board}");
}

#[test]
fn whoever_has_to_sign_in_is_sent_there_and_only_to_pages_of_ours_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.toml"), routes(10)).unwrap();
    let site = with(folder, |options| options.admin.token = Some(TOKEN.to_owned()));
    for path in ["/", "/routes/orders", "/configuration", "/actions/shift?route=orders&percent=5"] {
        let answer = get(&site, path, "");
        assert_eq!(answer.status, 303, "{path}");
        assert!(field(&answer, "location").starts_with("/sign-in"), "{path}");
        assert!(!answer.body.contains("orders"), "{path}: {}", answer.body);
    }
    assert!(page(&site, "/sign-in?next=/configuration").contains("name=\"next\" value=\"/configuration\""));
    for foreign in ["//evil.example/", "https://evil.example/", "/%5Cevil.example"] {
        let form = page(&site, &format!("/sign-in?next={foreign}"));
        assert!(!form.contains("evil.example"), "{foreign}");
    }
}
