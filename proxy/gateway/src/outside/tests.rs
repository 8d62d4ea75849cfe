//! Addresses in every shape, and what an ordinary exchange costs.

use std::sync::Arc;

use banyan_routes::{
    FileSet, PrefixRewrite, RequestParts, RewriteHost, RouteTable, SourceFile, Target, Variables,
};
use http::header::{HeaderMap, HeaderValue};
use http::{Method, header};

use super::fitting::{Fitting, Public};
use super::{CONCERNED, Outside};
use crate::forwarding::{SaidBy, Scheme, Seen, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use crate::message::Fields;

/// Targets of the candidate, what it is shown as Host, and how its paths are rewritten.
struct Inside {
    targets: Vec<Target>,
    shown: RewriteHost,
    prefix: Option<PrefixRewrite>,
}

fn inside(targets: &str, rewrite: &str) -> Inside {
    let text = format!(
        "version = 1\n[defaults]\nlegacy = \"l\"\nsticky = [\"client-ip\"]\n[upstreams.l]\ntargets = [\"http://l.internal\"]\n\
         [upstreams.c]\ntargets = [{targets}]\n[[route]]\nname = \"r\"\npath = \"/shop/*\"\nto = \"c\"\npercent = 100\n\
         methods = [\"GET\"]\nrewrite = {{ {rewrite} }}\n"
    );
    let main = SourceFile { name: "routes.toml".into(), text };
    let (table, report) = RouteTable::parse(&FileSet { main, included: Vec::new() }, &Variables::new());
    let table = Arc::new(table.unwrap_or_else(|| panic!("{report}")));
    let headers = HeaderMap::new();
    let request = RequestParts {
        method: &Method::GET,
        host: "",
        target: "/shop/",
        headers: &headers,
        client: [127, 0, 0, 1].into(),
        fresh_id: 0,
    };
    let decision = table.decide(&request);
    let upstream = table.upstream(decision.upstream.expect("the candidate"));
    Inside {
        targets: upstream.targets.clone(),
        shown: table.rewrite(decision.route).host.clone(),
        prefix: table.prefix_rewrite(&decision).cloned(),
    }
}

impl Inside {
    fn seen_from<'a>(&'a self, scheme: Scheme, host: Option<&'a str>) -> Fitting<'a> {
        Fitting {
            scheme: Scheme::Http,
            targets: &self.targets,
            shown: &self.shown,
            public: Public::new(scheme, host),
            client_origin: Some(b"http://reflected.internal:9"),
            prefix: self.prefix.as_ref(),
            asked: self.prefix.as_ref().map(|_| "/v2/7?x"),
        }
    }
}

#[track_caller]
fn references(fitting: &Fitting<'_>, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(fitting.reference(text).as_deref().unwrap_or(text), *expected, "{text}");
    }
}

#[test]
fn own_addresses_become_public_ones() {
    let inside = inside(r#""http://10.0.0.7:8080", "http://[fd00::7]", "http://app.internal""#, "");
    references(
        &inside.seen_from(Scheme::Https, Some("Shop.test:8443")),
        &[
            ("http://10.0.0.7:8080/a?b#c", "https://Shop.test:8443/a?b#c"),
            ("HTTP://10.0.0.7:8080", "https://Shop.test:8443"),
            ("http://10.0.0.7:8080?q", "https://Shop.test:8443?q"),
            ("http://10.0.0.7:08080/", "https://Shop.test:8443/"),
            ("http://[FD00:0::7]/x", "https://Shop.test:8443/x"),
            ("http://[fd00::7]:80/x", "https://Shop.test:8443/x"),
            ("http://APP.internal:80/x", "https://Shop.test:8443/x"),
            ("http://app.internal.:/x", "https://Shop.test:8443/x"),
            ("//app.internal/x", "//Shop.test:8443/x"),
            ("http://me:pw@app.internal/x", "https://me:pw@Shop.test:8443/x"),
            ("http://app.internal/é//../%7e", "https://Shop.test:8443/é//../%7e"),
        ],
    );
}

#[test]
fn other_addresses_stay() {
    let inside = inside(r#""http://10.0.0.7:8080", "http://app.internal""#, "");
    let fitting = inside.seen_from(Scheme::Https, Some("shop.test"));
    for text in [
        "http://10.0.0.7/a",
        "http://10.0.0.7:80/a",
        "http://10.0.0.7:80800/a",
        "https://10.0.0.7:8080/a",
        "https://app.internal/a",
        "http://app.internal:443/a",
        "http://app.internal@evil.test/",
        "http://app.internal:80@evil.test/",
        "http://app.internal\\@evil.test/",
        "http://app.internal.evil.test/",
        "http://evil.test/?u=http://app.internal/",
        "http://l.internal/",
        "https://shop.test/a",
        "ftp://app.internal/a",
        "mailto:me@app.internal",
        "/a",
        "a/b",
        "../a",
        "?a",
        "#a",
        "",
    ] {
        assert_eq!(fitting.reference(text), None, "{text}");
    }
}

#[test]
fn without_a_public_host_addresses_become_relative() {
    let inside = inside(r#""http://app.internal""#, "");
    references(
        &inside.seen_from(Scheme::Http, None),
        &[
            ("http://app.internal/a?b", "/a?b"),
            ("http://app.internal", "/"),
            ("http://app.internal//evil.test/", "http://app.internal//evil.test/"),
        ],
    );
}

#[test]
fn the_host_an_upstream_is_shown_is_its_own() {
    let fixed = inside(r#""http://10.0.0.7:8080""#, r#"host = "app.internal""#);
    references(
        &fixed.seen_from(Scheme::Https, Some("shop.test")),
        &[
            ("https://app.internal/a", "https://shop.test/a"),
            ("https://app.internal:443/a", "https://shop.test/a"),
            ("http://app.internal/a", "https://shop.test/a"),
            ("http://10.0.0.7:8080/a", "https://shop.test/a"),
            ("https://app.internal:8080/a", "https://app.internal:8080/a"),
        ],
    );
    let upstream = inside(r#""http://10.0.0.7:8080", "http://app.internal""#, r#"host = "upstream""#);
    references(
        &upstream.seen_from(Scheme::Https, Some("shop.test")),
        &[
            ("https://10.0.0.7:8080/a", "https://shop.test/a"),
            ("https://app.internal/a", "https://shop.test/a"),
            ("https://10.0.0.7/a", "https://10.0.0.7/a"),
        ],
    );
}

#[test]
fn the_public_name_at_the_upstreams_port_is_its_own() {
    let kept = inside(r#""http://10.0.0.7:8080", "http://10.0.0.8""#, "");
    references(
        &kept.seen_from(Scheme::Http, Some("Shop.test:9000")),
        &[
            ("http://shop.test:8080/a", "http://Shop.test:9000/a"),
            ("http://shop.test/a", "http://Shop.test:9000/a"),
            ("http://shop.test:8081/a", "http://shop.test:8081/a"),
            ("https://shop.test:8080/a", "https://shop.test:8080/a"),
        ],
    );
    references(
        &kept.seen_from(Scheme::Https, Some("shop.test")),
        &[
            ("http://shop.test:8080/a", "https://shop.test/a"),
            ("http://shop.test:80/a", "https://shop.test/a"),
            ("http://shop.test/a", "http://shop.test/a"),
        ],
    );
    let fixed = inside(r#""http://10.0.0.7:8080""#, r#"host = "app.internal""#);
    references(
        &fixed.seen_from(Scheme::Https, Some("shop.test")),
        &[
            ("http://app.internal:8080/a", "https://shop.test/a"),
            ("http://shop.test:8080/a", "http://shop.test:8080/a"),
        ],
    );
}

#[test]
fn paths_are_mapped_back() {
    let inside = inside(r#""http://app.internal""#, r#"strip_prefix = "/shop", add_prefix = "/v2""#);
    references(
        &inside.seen_from(Scheme::Http, Some("shop.test")),
        &[
            ("/v2/8?x=/v2#/v2", "/shop/8?x=/v2#/v2"),
            ("/v2", "/shop"),
            ("/v20", "/v20"),
            ("/login", "/login"),
            ("http://app.internal/v2/8", "http://shop.test/shop/8"),
            ("http://app.internal/login", "http://shop.test/login"),
            ("http://SHOP.test:80/v2/8", "http://shop.test/shop/8"),
            ("//shop.test/v2/8", "//shop.test/shop/8"),
            ("https://shop.test/v2/8", "https://shop.test/v2/8"),
            ("http://other.test/v2/8", "http://other.test/v2/8"),
            ("8?y", "/shop/8?y"),
            ("./8/", "/shop/8/"),
            ("../login", "../login"),
            ("?y", "?y"),
            ("/v2/../login", "/v2/../login"),
        ],
    );
}

#[test]
fn an_allowed_origin_is_made_public_but_never_the_clients_own() {
    let inside = inside(r#""http://app.internal:8080", "http://reflected.internal:9""#, "");
    let fitting = inside.seen_from(Scheme::Https, Some("Shop.test:443"));
    assert_eq!(fitting.origin("http://app.internal:8080").as_deref(), Some("https://shop.test"));
    for left in
        ["*", "null", "https://other.test", "http://reflected.internal:9", "http://app.internal:8080/"]
    {
        assert_eq!(fitting.origin(left), None, "{left}");
    }
    let public = inside.seen_from(Scheme::Http, Some("[FD00::1]:8080"));
    assert_eq!(public.origin("http://app.internal:8080").as_deref(), Some("http://[fd00::1]:8080"));
    assert_eq!(inside.seen_from(Scheme::Http, None).origin("http://app.internal:8080"), None);
}

#[test]
fn cookies_are_made_to_fit() {
    let inside =
        inside(r#""http://app.internal:8080", "http://shop.test:8080""#, r#"strip_prefix = "/shop""#);
    let fitting = inside.seen_from(Scheme::Http, Some("shop.test"));
    for (line, expected) in [
        ("s=1; Domain=app.internal; Path=/; Secure", Some("s=1; Path=/shop; Secure")),
        ("s=1;domain=.App.Internal", Some("s=1")),
        ("s=1; Path=/cart/", Some("s=1; Path=/shop/cart/")),
        ("s=1; Domain=shop.test", None),
        ("s=1; Domain=internal", None),
        ("s=1; Domain=app.internal.evil.test", None),
        ("s=1; Path=cart", None),
        ("s=1; Path", None),
        ("s=\"1; 2\"; HttpOnly", None),
        ("__Host-s=1; Path=/; Secure", None),
        ("__host-s=1; Path=/; Domain=app.internal", Some("__host-s=1; Path=/")),
        ("s", None),
    ] {
        let fitted = fitting.cookie(line.as_bytes()).map(|line| String::from_utf8(line).expect("text"));
        assert_eq!(fitted.as_deref(), expected, "{line}");
    }
}

#[test]
fn an_ordinary_exchange_allocates_nothing() {
    let mut request = Fields::default();
    request.append(&X_FORWARDED_PROTO, &HeaderValue::from_static("http"));
    request.append(&X_FORWARDED_HOST, &HeaderValue::from_static("shop.test"));
    let mut answer = Fields::default();
    for name in
        [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::DATE, header::CACHE_CONTROL, header::ETAG]
    {
        answer.append(&name, &HeaderValue::from_static("x"));
    }
    let has_place = |answer: &Fields| Seen::in_answer(answer).has(Seen::PLACE);
    let counted = allocation_counter::measure(|| {
        let outside = Outside::new(SaidBy::Fields);
        assert!(outside.public(&request).is_known() && !has_place(&answer));
    });
    assert_eq!(counted.count_total, 0);
    for name in CONCERNED {
        answer.append(&name, &HeaderValue::from_static("/"));
        assert!(has_place(&answer), "{name}");
        answer.remove(&name);
    }
}
