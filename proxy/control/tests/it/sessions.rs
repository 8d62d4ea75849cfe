//! Who may look at the dashboard, and whose forms count.

use std::fs;

use crate::browser::{Browser, READ_TOKEN, TOKEN, guarded, location, post, with};
use crate::site::{Answer, LONG, Site, ask, routes};

const FORMS: [&str; 4] = ["/actions/shift", "/actions/rollback", "/actions/undo", "/session/end"];

fn get(site: &Site, path: &str, more: &str) -> Answer {
    ask(site.admin, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{more}"), "")
}

fn fields(csrf: &str) -> [(&str, &str); 3] {
    [("csrf", csrf), ("route", "orders"), ("percent", "100")]
}

fn untouched(site: &Site) {
    let text = fs::read_to_string(site.path("routes.toml")).unwrap();
    assert_eq!(text, routes(10));
    let config = get(site, "/api/v1/config", &format!("Authorization: Bearer {TOKEN}\r\n"));
    assert!(config.body.contains("\"generation\":1,"), "{}", config.body);
}

#[test]
fn pages_want_a_session_and_say_where_to_sign_in() {
    let site = guarded(&routes(10));
    let asked = get(&site, "/routes/orders?from=1&to=2", "");
    assert_eq!(asked.status, 303);
    assert_eq!(location(&asked), "/sign-in?next=%2froutes%2forders%3ffrom%3d1%26to%3d2");
    assert_eq!(get(&site, "/api/v1/board", "").status, 401, "programs get no page");

    let browser = Browser::sign_in(&site, TOKEN);
    assert_ne!(browser.get("/routes/orders").status, 303);
    assert_eq!(browser.get("/api/v1/board").status, 200);
    let session = browser.session();
    assert_eq!((session["may"].as_str(), session["session"]["who"].as_str()), (Some("change"), Some("ann")));
}

#[test]
fn the_cookie_is_for_nobody_else() {
    let site = guarded(&routes(10));
    let answer = post(site.admin, "/session", "", &[("token", TOKEN), ("next", "/routes/orders")]);
    assert_eq!(location(&answer), "/routes/orders");
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let (pair, rest) = cookie.split_once("; ").unwrap();
    assert_eq!(rest, "path=/; httponly; samesite=strict; max-age=43200");
    let (name, id) = pair.split_once('=').unwrap();
    assert_eq!(name, format!("banyan-session-{}", site.admin.port()), "ports share cookies");
    assert_eq!(id.len(), 64);
    let other = post(site.admin, "/session", "", &[("token", TOKEN), ("next", "https://evil.example/")]);
    assert_eq!(location(&other), "/");
    // The same name twice says nothing, and neither does another's number.
    for cookies in [format!("{pair}; {pair}"), format!("{name}=x{}", &id[1..]), format!("x{pair}")] {
        assert_eq!(get(&site, "/api/v1/board", &format!("Cookie: {cookies}\r\n")).status, 401, "{cookies}");
    }
    assert_eq!(get(&site, "/api/v1/board", &format!("Cookie: a=b; {pair}\r\n")).status, 200);
}

#[test]
fn forms_without_a_session_or_its_number_change_nothing() {
    let site = guarded(&routes(10));
    let (browser, other) = (Browser::sign_in(&site, TOKEN), Browser::sign_in(&site, TOKEN));
    let (csrf, of_other) = (browser.csrf(), other.csrf());
    for path in FORMS {
        let none = post(site.admin, path, "", &fields(&csrf));
        assert_eq!((none.status, location(&none)), (303, "/sign-in?refused=session".to_owned()), "{path}");
        for wrong in ["", "0", &of_other, &csrf[1..]] {
            let answer = browser.post(path, &fields(wrong));
            assert_eq!(answer.status, 403, "{path}");
            assert!(answer.body.contains("\"csrf\""), "{}", answer.body);
        }
        let cookie = format!("Cookie: {}\r\n", browser.cookie);
        for origin in ["http://evil.example", "null", "http://localhost:1"] {
            let foreign = post(site.admin, path, &format!("{cookie}Origin: {origin}\r\n"), &fields(&csrf));
            assert_eq!(foreign.status, 403, "{path} from {origin}");
            assert!(foreign.body.contains("foreign-origin"), "{}", foreign.body);
        }
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{cookie}Content-Type: text/plain\r\n");
        assert_eq!(ask(site.admin, &head, &format!("csrf={csrf}")).status, 415, "{path}");
        let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
        assert_eq!(post(site.admin, path, &bearer, &fields(&csrf)).status, 403, "{path} without a session");
    }
    // What the API changes wants the token itself.
    let head = format!(
        "POST /api/v1/rollback HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nCookie: {}\r\n",
        browser.cookie
    );
    assert_eq!(ask(site.admin, &head, "{\"who\":\"ann\",\"why\":null}").status, 401);
    untouched(&site);
}

#[test]
fn a_session_that_ended_is_none() {
    let site = guarded(&routes(10));
    let browser = Browser::sign_in(&site, TOKEN);
    let csrf = browser.csrf();
    let out = browser.post("/session/end", &[("csrf", &csrf)]);
    assert_eq!(location(&out), "/sign-in");
    assert!(out.head.contains("max-age=0"), "{}", out.head);
    for path in FORMS {
        let stale = browser.post(path, &fields(&csrf));
        assert_eq!((stale.status, location(&stale)), (303, "/sign-in?refused=session".to_owned()), "{path}");
    }
    assert_eq!(browser.get("/api/v1/board").status, 401);
    untouched(&site);
}

#[test]
fn the_read_token_looks_and_changes_nothing() {
    let site = guarded(&routes(10));
    let browser = Browser::sign_in(&site, READ_TOKEN);
    assert_eq!(browser.session()["may"], "read-token");
    assert_eq!(browser.get("/api/v1/board").status, 200);
    let plan = "/api/v1/plan?action=rollback";
    assert_eq!(browser.get(plan).status, 403, "it takes the lock");
    for (token, status) in [(READ_TOKEN, 403), (TOKEN, 200)] {
        assert_eq!(get(&site, plan, &format!("Authorization: Bearer {token}\r\n")).status, status);
    }
    let csrf = browser.csrf();
    for path in &FORMS[..3] {
        assert_eq!(browser.post(path, &fields(&csrf)).status, 403, "{path}");
    }
    untouched(&site);
    assert_eq!(location(&browser.post("/session/end", &[("csrf", &csrf)])), "/sign-in");
}

#[test]
fn without_a_token_pages_are_open_and_actions_are_off() {
    let site = Site::start(&routes(10));
    let session = get(&site, "/api/v1/session", "");
    assert!(session.body.contains("\"may\":\"no-token\""), "{}", session.body);
    assert_ne!(get(&site, "/routes/orders", "").status, 303);
    for path in FORMS {
        assert_eq!(post(site.admin, path, "", &fields("")).status, 403, "{path}");
    }
    let sign_in = post(site.admin, "/session", "", &[("token", "")]);
    assert_eq!(sign_in.status, 403);
    assert!(sign_in.body.contains("--admin-token-file"), "{}", sign_in.body);
    untouched(&site);
}

#[test]
fn a_listener_that_is_read_only_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), routes(10)).unwrap();
    let site = with(folder, |options| {
        options.admin.token = Some(TOKEN.to_owned());
        options.admin.read_only = true;
    });
    let browser = Browser::sign_in(&site, TOKEN);
    assert_eq!(browser.session()["may"], "read-only");
    assert_eq!(browser.post("/actions/shift", &fields(&browser.csrf())).status, 403);
    untouched(&site);
}

/// Ten tries at once; the right token is none of those that come too soon after.
#[test]
fn guessing_takes_its_time() {
    let site = guarded(&routes(10));
    let guess =
        |token: &str| location(&post(site.admin, "/session", "", &[("token", token), ("next", "/x")]));
    let told: Vec<String> = (0..12).map(|number| guess(&format!("guess-{number}"))).collect();
    assert_eq!(
        told.iter().filter(|told| *told == "/sign-in?refused=token&next=%2fx").count(),
        10,
        "{told:?}"
    );
    assert_eq!(guess(TOKEN), "/sign-in?refused=rate&next=%2fx", "not even looked at");
    site.until(LONG, "soon there is room for one more", |_| guess(TOKEN) == "/x");
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    assert_eq!(get(&site, "/api/v1/config", &bearer).status, 200, "commands are not held up");
}

#[test]
fn every_answer_says_who_may_show_it() {
    let site = guarded(&routes(10));
    for path in ["/", "/sign-in", "/nothing", "/api/v1/board", "/healthz"] {
        let head = get(&site, path, "").head;
        for line in [
            "content-security-policy: default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
            "x-content-type-options: nosniff",
            "referrer-policy: same-origin",
            "cache-control: no-store",
        ] {
            assert!(head.contains(line), "{path}: {head}");
        }
    }
}
