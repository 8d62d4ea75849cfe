//! One application to the outside: what an upstream says of itself is what the client knows.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderName, Response};
use http_body_util::Full;

use crate::client::{Answer, Client, get};
use crate::log;
use crate::proxy::{Proxy, legacy_at};
use crate::upstream::{Seen, Upstream, nobody};

/// Answers with the field `NAME` for every `X-Say-NAME` of the request.
async fn saying() -> Upstream {
    Upstream::http(|seen: &Seen| {
        let mut response = Response::new(Full::new(Bytes::from("said")));
        for (name, value) in &seen.headers {
            if let Some(name) = name.as_str().strip_prefix("x-say-") {
                response.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.clone());
            }
        }
        response
    })
    .await
}

/// Header lines that make [`saying`] answer with these fields.
fn say(fields: &[(&str, &str)]) -> String {
    fields.iter().fold(String::new(), |lines, (name, value)| format!("{lines}X-Say-{name}: {value}\r\n"))
}

/// Every value of a field.
fn values<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// A route below `/api/orders` to the candidate, beside legacy; `keys` are added to it.
fn to_candidate(legacy: &Upstream, candidate: &Upstream, keys: &str) -> String {
    let (legacy, candidate) = (legacy.url(), candidate.url());
    format!(
        "version = 1\n[defaults]\nlegacy = \"legacy\"\nsticky = [\"client-ip\"]\n\
         [upstreams.legacy]\ntargets = [\"{legacy}\"]\n[upstreams.orders]\ntargets = [\"{candidate}\"]\n\
         [stores.one]\nmode = \"shared\"\n[[route]]\nname = \"orders\"\npath = \"/api/orders/*\"\nto = \"orders\"\n\
         percent = 100\nstore = \"one\"\n{keys}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_redirects_stays_outside() {
    let upstream = Upstream::http(|seen: &Seen| {
        let own = seen.headers["host"].to_str().unwrap();
        let answer = Response::builder();
        let answer = match seen.target.as_str() {
            "/start" => answer.status(301).header("location", format!("http://{own}/second?from=/start")),
            "/second?from=/start" => answer.status(302).header("location", format!("//{own}/third#here")),
            "/third" => answer.status(303).header("location", "/end"),
            _ => answer.status(200),
        };
        answer.body(Full::new(Bytes::from("end"))).unwrap()
    })
    .await;
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nrewrite = { host = \"upstream\" }\n";
    let proxy = Proxy::start(&(legacy_at(&upstream.url()) + route));
    let mut client = Client::connect(proxy.address).await;
    let mut location = "http://shop.test/start".to_owned();
    let mut visited = Vec::new();
    let last = loop {
        let target = location.trim_start_matches("http:").trim_start_matches("//shop.test");
        let target = target.split('#').next().unwrap().to_owned();
        assert!(target.starts_with('/') && !target.starts_with("//"), "left for {location}");
        visited.push(location.clone());
        let answer = client.get(&target, "").await;
        match answer.header("location") {
            Some(next) => next.clone_into(&mut location),
            None => break answer,
        }
    };
    assert_eq!(
        visited,
        ["http://shop.test/start", "http://shop.test/second?from=/start", "//shop.test/third#here", "/end"]
    );
    assert_eq!((last.status, last.text()), (200, "end"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_with_an_address_is_made_public() {
    let upstream = saying().await;
    let proxy = Proxy::before(&upstream);
    let own = upstream.url();
    let link = format!("<{own}/2>; rel=next; title=\"<{own}/x>, \", <https://cdn.test/>; rel=preload");
    let fields = [
        ("Location", &*format!("{own}/a")),
        ("Content-Location", &format!("{own}/b?c")),
        ("Refresh", &format!("3; URL='{own}/d'")),
        ("Link", &link),
        ("Link", &format!("<{own}>; rel=up,<//{}/e>;rel=first", upstream.address)),
        ("Set-Cookie", "one=1; Domain=127.0.0.1; Path=/; HttpOnly"),
        ("Set-Cookie", "two=2; Domain=shop.test; Secure"),
        ("Access-Control-Allow-Origin", &own),
        ("X-Other", &own),
    ];
    let answer = get(proxy.address, "/", &say(&fields)).await;
    assert_eq!(values(&answer, "location"), ["http://shop.test/a"]);
    assert_eq!(values(&answer, "content-location"), ["http://shop.test/b?c"]);
    assert_eq!(values(&answer, "refresh"), ["3; URL='http://shop.test/d'"]);
    assert_eq!(
        values(&answer, "link"),
        [
            &*format!(
                "<http://shop.test/2>; rel=next; title=\"<{own}/x>, \", <https://cdn.test/>; rel=preload"
            ),
            "<http://shop.test>; rel=up,<//shop.test/e>;rel=first",
        ]
    );
    assert_eq!(values(&answer, "set-cookie"), ["one=1; Path=/; HttpOnly", "two=2; Domain=shop.test; Secure"]);
    assert_eq!(values(&answer, "access-control-allow-origin"), ["http://shop.test"]);
    assert_eq!(values(&answer, "x-other"), [own]);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_elsewhere_and_paths_come_through_as_they_are() {
    let upstream = saying().await;
    let proxy = Proxy::before(&upstream);
    let mut client = Client::connect(proxy.address).await;
    let (own, port) = (upstream.address, upstream.address.port());
    for left in [
        "/path?q#f".to_owned(),
        "next".to_owned(),
        "https://other.test/".to_owned(),
        format!("https://{own}/"),
        format!("http://{own}@evil.test/"),
        format!("http://evil.test/?back=http://{own}/"),
        format!("http://127.0.0.1:{}/", port - 1),
        format!("http://localhost:{port}/"),
        "mailto:help@shop.test".to_owned(),
    ] {
        let answer = client.get("/", &say(&[("Location", &left)])).await;
        assert_eq!(values(&answer, "location"), [left]);
    }
    let user = client.get("/", &say(&[("Location", &format!("http://me:pw@{own}/x"))])).await;
    assert_eq!(values(&user, "location"), ["http://me:pw@shop.test/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_target_is_the_upstreams_own_address() {
    let upstream = saying().await;
    let other = nobody().port();
    // The second target takes no connection, so that each request ends up at the first.
    let text = legacy_at(&upstream.url()).replace("\"]\n", &format!("\", \"http://[::1]:{other}\"]\n"));
    let proxy = Proxy::start(&text);
    let location = format!("http://[0:0:0:0:0:0:0:1]:{other}/x");
    for _ in 0..8 {
        let answer = get(proxy.address, "/", &say(&[("Location", &location)])).await;
        assert_eq!(values(&answer, "location"), ["http://shop.test/x"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_shown_is_the_upstreams_own_address_and_port_80_is_the_default() {
    let upstream = saying().await;
    let route = "[[route]]\nname = \"all\"\npath = \"/*\"\nrewrite = { host = \"legacy.internal\" }\n";
    let proxy = Proxy::start(&(legacy_at(&upstream.url()) + route));
    let mut client = Client::connect(proxy.address).await;
    for own in ["http://legacy.internal/x", "http://LEGACY.internal:80/x", "http://legacy.internal:/x"] {
        let answer = client.get("/", &say(&[("Location", own)])).await;
        assert_eq!(values(&answer, "location"), ["http://shop.test/x"], "{own}");
    }
    let cookie = client.get("/", &say(&[("Set-Cookie", "a=b; Domain=.Legacy.Internal")])).await;
    assert_eq!(values(&cookie, "set-cookie"), ["a=b"]);
    let elsewhere = client.get("/", &say(&[("Location", "http://legacy.internal:8080/x")])).await;
    assert_eq!(values(&elsewhere, "location"), ["http://legacy.internal:8080/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_address_is_what_a_trusted_proxy_saw() {
    let upstream = saying().await;
    let text = legacy_at(&upstream.url());
    let proxy = Proxy::start(&text);
    let location = format!("{}/x", upstream.url());
    let lines = say(&[("Location", &location)])
        + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test, www.shop.test\r\n";
    let answer = get(proxy.address, "/", &lines).await;
    assert_eq!(values(&answer, "location"), ["http://shop.test/x"], "nobody vouches for the peer");
    proxy.apply(&text.replace("[upstreams", "trusted_proxies = [\"127.0.0.0/8\"]\n[upstreams"), 2);
    let answer = get(proxy.address, "/", &lines).await;
    assert_eq!(
        values(&answer, "location"),
        ["https://www.shop.test/x"],
        "not what a client may have written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_names_no_host_gets_a_path() {
    let upstream = saying().await;
    let proxy = Proxy::before(&upstream);
    let lines = say(&[("Location", &format!("{}/x?y", upstream.url()))]);
    let answer = Client::connect(proxy.address)
        .await
        .send(format!("GET / HTTP/1.0\r\n{lines}\r\n"))
        .await
        .head()
        .await;
    assert_eq!(values(&answer, "location"), ["/x?y"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_does_not_know_the_public_path() {
    let (legacy, candidate) = (saying().await, saying().await);
    let keys = "rewrite = { strip_prefix = \"/api/orders\", add_prefix = \"/v2\", host = \"upstream\" }";
    let text = to_candidate(&legacy, &candidate, keys);
    let proxy = Proxy::start(&text);
    let mut client = Client::connect(proxy.address).await;
    let fields = [("Location", "/v2/8"), ("Set-Cookie", "draft=1; path=/v2; Secure"), ("Link", "</other>")];
    let answer = client.get("//api/./orders/%7e7?q=/../%7e", &say(&fields)).await;
    assert_eq!(values(&answer, "location"), ["/api/orders/8"]);
    assert_eq!(values(&answer, "set-cookie"), ["draft=1; path=/api/orders; Secure"]);
    assert_eq!(values(&answer, "link"), ["</other>"]);
    let seen = candidate.seen();
    assert_eq!(seen[0].target, "/v2/~7?q=/../%7e");
    assert_eq!(seen[0].headers["host"], candidate.address.to_string());

    // Legacy knows the public path; its fields are mapped by nobody.
    proxy.apply(&text.replace("percent = 100", "percent = 0"), 2);
    let answer = client.get("//api/./orders/%7e7?q=/../%7e", &say(&fields)).await;
    assert_eq!(values(&answer, "location"), ["/v2/8"]);
    assert_eq!(values(&answer, "set-cookie"), ["draft=1; path=/v2; Secure"]);
    let seen = legacy.seen();
    assert_eq!(seen[0].target, "//api/./orders/%7e7?q=/../%7e");
    assert_eq!(seen[0].headers["host"], legacy.address.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_reaches_the_candidate_outside_of_its_prefix() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let keys = "rewrite = { strip_prefix = \"/api/orders\", add_prefix = \"/v2\" }";
    let proxy = Proxy::start(&to_candidate(&legacy, &candidate, keys));
    for spelling in
        ["/api/orders/..%2forders/7", "/api/orders/..;/orders/7", "/api/orders/x\\..\\..\\orders/7"]
    {
        let answer = get(proxy.address, spelling, "").await;
        assert_eq!(
            (answer.status, answer.header("banyan-reason")),
            (400, Some("ambiguous-path")),
            "{spelling}"
        );
    }
    assert_eq!(get(proxy.address, "/api/orders/x/../../carts", "").await.text(), "legacy");
    assert_eq!(get(proxy.address, "/api/orders/x/../7", "").await.text(), "candidate");
    let targets: Vec<_> = candidate.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/v2/7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_grows_too_long_is_414() {
    let (legacy, candidate) = (Upstream::named("legacy").await, Upstream::named("candidate").await);
    let proxy = Proxy::start(&to_candidate(&legacy, &candidate, "rewrite = { add_prefix = \"/v2\" }"));
    // Each of them takes three bytes in normal form.
    let answer = get(proxy.address, &format!("/api/orders/{}", "\"".repeat(30_000)), "").await;
    assert_eq!((answer.status, answer.header("banyan-reason")), (414, Some("target-too-long")));
    assert!(candidate.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_left_right() {
    let (legacy, candidate) = (saying().await, saying().await);
    let proxy = Proxy::start(&to_candidate(&legacy, &candidate, ""));
    let own = candidate.url();
    let allowed = |lines: String| async move {
        let answer = get(proxy.address, "/api/orders/7", &lines).await;
        values(&answer, "access-control-allow-origin").concat()
    };
    let say = |origin: &str| say(&[("Access-Control-Allow-Origin", origin)]);
    for (lines, expected) in [
        (say(&own), "http://shop.test"),
        (say(&own) + "Origin: https://page.test\r\n", "http://shop.test"),
        (say(&own) + &format!("Origin: {own}\r\n"), &own),
        (say("https://page.test") + "Origin: https://page.test\r\n", "https://page.test"),
        (say("*"), "*"),
        (say("null"), "null"),
        (say(&legacy.url()), &legacy.url()),
    ] {
        assert_eq!(allowed(lines.clone()).await, expected, "{lines}");
    }
    let asked = &candidate.seen()[2].headers;
    assert_eq!(asked["origin"], own, "what the client sent is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_turned_off() {
    let (legacy, candidate) = (saying().await, saying().await);
    let keys = "rewrite = { strip_prefix = \"/api/orders\" }\nrewrite_answers = false";
    let text = to_candidate(&legacy, &candidate, keys);
    let proxy = Proxy::start(&text);
    let (at_candidate, at_legacy) = (format!("{}/8", candidate.url()), format!("{}/8", legacy.url()));
    let cookie = ("Set-Cookie", "a=b; Domain=127.0.0.1; Path=/");
    let answer = get(proxy.address, "/api/orders/7", &say(&[("Location", &at_candidate), cookie])).await;
    assert_eq!(values(&answer, "location"), [&*at_candidate]);
    assert_eq!(values(&answer, "set-cookie"), [cookie.1]);
    assert_eq!(candidate.seen()[0].target, "/7", "the way to the candidate is another matter");
    let answer = get(proxy.address, "/elsewhere", &say(&[("Location", &at_legacy)])).await;
    assert_eq!(values(&answer, "location"), ["http://shop.test/8"]);

    let off = text.replace("rewrite_answers = false", "rewrite_answers = true");
    proxy.apply(&off.replace("[defaults]", "[defaults]\nrewrite_answers = false"), 2);
    let answer = get(proxy.address, "/elsewhere", &say(&[("Location", &at_legacy)])).await;
    assert_eq!(values(&answer, "location"), [&*at_legacy]);
    let answer = get(proxy.address, "/api/orders/7", &say(&[("Location", &at_candidate)])).await;
    assert_eq!(values(&answer, "location"), ["http://shop.test/api/orders/8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_the_arms_set_differently_raises_the_alarm() {
    log::catch();
    let (legacy, candidate) = (saying().await, saying().await);
    let keys = "pin = [{ header = \"x-old\", present = true, to = \"legacy\" }]";
    let proxy = Proxy::start(&to_candidate(&legacy, &candidate, keys));
    let mut client = Client::connect(proxy.address).await;
    let collisions = r#"banyan_cookie_collisions_total{route="orders"}"#;
    let mut set = async |target: &str, cookie: &str, lines: &str| {
        client.get(target, &(say(&[("Set-Cookie", cookie)]) + lines)).await;
        // Whole numbers.
        format!("{}", proxy.metric(collisions))
    };
    assert!(proxy.metrics().contains(collisions), "there from the start");
    let old = "X-Old: 1\r\n";
    assert_eq!(set("/api/orders/7", "colliding=s3cret; Path=/; HttpOnly", old).await, "0");
    assert_eq!(set("/api/orders/7", "colliding=s3cret; HttpOnly; path=/", "").await, "0");
    assert_eq!(set("/api/orders/7", "colliding=s3cret; Path=/api; Secure", "").await, "1");
    assert_eq!(set("/api/orders/7", "colliding=s3cret; Path=/", "").await, "2");
    assert_eq!(set("/api/orders/7", "unrelated=1; Path=/x", "").await, "2");
    // What legacy sets counts wherever it does.
    assert_eq!(set("/sign-in", "far=1; Path=/; SameSite=Lax", "").await, "2");
    assert_eq!(set("/api/orders/7", "far=1; Path=/; SameSite=None", "").await, "3");
    assert_eq!(set("/api/orders/7", "far=; Path=/x; Max-Age=0", "").await, "3");
    // Lines come in order, so that with the last one all are there.
    proxy.until("both are told", || !log::lines_with("cookie=far").is_empty());
    let told = log::lines_with("cookie=colliding");
    assert_eq!(told.len(), 1, "once per name: {told:?}");
    for part in ["WARN", "route=orders", "legacy=Path=/; HttpOnly", "candidate=Path=/api; Secure"] {
        assert!(told[0].contains(part), "{part}: {}", told[0]);
    }
    assert!(log::lines_with("s3cret").is_empty(), "values are nobody's business");
    for number in 0..40 {
        set("/api/orders/7", &format!("many{number}=1"), "").await;
    }
    let unwatched = proxy.metric(r#"banyan_cookies_unwatched_total{route="orders"}"#);
    assert!((unwatched - 12.0).abs() < f64::EPSILON, "{}", proxy.counters());
}

/// What docs/one-application.md says, with the upstreams' addresses in place of those on the page.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/one-application.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (legacy, candidate) = (saying().await, saying().await);
    let page = page.replace("127.0.0.1:3000", &legacy.address.to_string());
    let page = page.replace("127.0.0.1:4001", &candidate.address.to_string());
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (routes, rest) = rest.split_once("```\n").unwrap();
    let (_, rows) = rest.split_once("| the service answers | the client gets |\n|---|---|\n").unwrap();
    let proxy = Proxy::start(routes);
    let mut count = 0;
    for row in rows.lines().take_while(|line| line.starts_with('|')) {
        let [said, got] = row.split('`').skip(1).step_by(2).collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (name, value) = said.split_once(": ").unwrap();
        let answer = get(proxy.address, "/api/orders/7/edit", &say(&[(name, value)])).await;
        let found = format!("{name}: {}", values(&answer, name).concat());
        assert_eq!(found, got, "{said}");
        count += 1;
    }
    assert_eq!(count, 12);
    assert!(candidate.seen().iter().all(|seen| seen.target == "/7/edit"));
}
