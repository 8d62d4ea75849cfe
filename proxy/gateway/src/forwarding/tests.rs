//! What reaches the upstream, and what comes back.

use std::net::IpAddr;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version};
use ipnet::IpNet;

use super::{
    Identity, Onward, Peer, Scheme, Seen, client_address, is_wanted_switch, prepare_answer, wanted_upgrade,
};
use crate::guard::Refused;
use crate::message::Fields;

fn fields(lines: &[(&str, &str)]) -> Fields {
    let mut headers = Fields::default();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(&name, &HeaderValue::from_str(value).expect("a value"));
    }
    headers
}

fn peer(address: &str) -> Peer {
    Peer::new((address.parse::<IpAddr>().expect("an address"), 4711).into())
}

fn nets(nets: &[&str]) -> Vec<IpNet> {
    nets.iter().map(|net| net.parse().expect("a net")).collect()
}

/// What the upstream sees, without what every request gets.
fn forwarded(lines: &[(&str, &str)], from: &str, trusted: &[&str]) -> HeaderMap {
    let mut headers = fields(lines);
    let upgrade = wanted_upgrade(Version::HTTP_11, &headers);
    let onward = Onward {
        identity: &Identity::new(false),
        peer: &peer(from),
        trusted_proxies: &nets(trusted),
        scheme: Scheme::Http,
        version: Version::HTTP_11,
        upgrade,
    };
    prepare(&onward, &mut headers);
    HeaderMap::from(&headers)
}

fn prepare(onward: &Onward<'_>, fields: &mut Fields) {
    let seen = Seen::in_request(fields);
    if let Some(added) = onward.prepare(fields, seen).added {
        added.put_into(fields);
    }
}

fn line<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    assert_eq!(headers.get_all(name).iter().count(), 1, "{name}");
    headers[name].to_str().expect("text")
}

#[test]
fn hop_by_hop_and_nominated_fields_go() {
    let headers = forwarded(
        &[
            ("host", "h"),
            ("connection", "close, X-Private"),
            ("connection", "Keep-Alive, x-other , é, host, content-length, "),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy", "http://evil"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("x-private", "1"),
            ("x-other", "2"),
            ("content-length", "3"),
            ("trailer", "x-sum"),
            ("cookie", "a=b"),
            ("authorization", "Bearer t"),
        ],
        "192.0.2.7",
        &[],
    );
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "authorization",
            "banyan-hop",
            "content-length",
            "cookie",
            "forwarded",
            "host",
            "traceparent",
            "trailer",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
        ]
    );
}

#[test]
fn trailers_are_announced_onwards() {
    let headers =
        forwarded(&[("host", "h"), ("connection", "TE"), ("te", "gzip;q=0.5, Trailers")], "192.0.2.7", &[]);
    assert_eq!((line(&headers, "te"), line(&headers, "connection")), ("trailers", "te"));
}

#[test]
fn an_upgrade_passes_with_its_connection_option() {
    let lines = [
        ("host", "h"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "k"),
    ];
    let headers = forwarded(&lines, "192.0.2.7", &[]);
    assert_eq!((line(&headers, "upgrade"), line(&headers, "connection")), ("websocket", "upgrade"));
    assert_eq!(line(&headers, "sec-websocket-key"), "k");
}

#[test]
fn some_upgrades_are_not_passed_on() {
    let websocket = [("connection", "upgrade"), ("upgrade", "websocket")];
    assert!(wanted_upgrade(Version::HTTP_11, &fields(&websocket)).is_some());
    assert!(wanted_upgrade(Version::HTTP_10, &fields(&websocket)).is_none());
    for lines in [
        &[("upgrade", "websocket")][..],
        &[("connection", "close"), ("upgrade", "websocket")],
        &[("connection", "upgrade")],
        &[("connection", "upgrade"), ("upgrade", "")],
        &[("connection", "upgrade, http2-settings"), ("upgrade", "h2c")],
        &[("connection", "upgrade"), ("upgrade", "websocket, H2C")],
        &[("connection", "upgrade"), ("upgrade", "websocket"), ("upgrade", "h2c")],
    ] {
        assert!(wanted_upgrade(Version::HTTP_11, &fields(lines)).is_none(), "{lines:?}");
    }
}

#[test]
fn a_101_must_switch_to_what_was_asked_for() {
    let websocket = HeaderValue::from_static("websocket, chat/2");
    let chosen = |protocol| fields(&[("upgrade", protocol)]);
    assert!(is_wanted_switch(&websocket, &chosen("WebSocket")));
    assert!(is_wanted_switch(&websocket, &chosen("chat/2")));
    assert!(!is_wanted_switch(&websocket, &chosen("tls/1.0")));
    assert!(!is_wanted_switch(&websocket, &Fields::default()));
}

#[test]
fn an_untrusted_peer_is_not_believed() {
    let headers = forwarded(
        &[
            ("host", "shop.example:8080"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x_forwarded_for", "127.0.0.1"),
            ("x-forwarded_for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-prefix", "/evil"),
            ("x-real-ip", "127.0.0.1"),
            ("x_real_ip", "127.0.0.1"),
            ("forwarded", "for=127.0.0.1"),
            ("x-forwardedish", "stays"),
        ],
        "192.0.2.7",
        &["10.0.0.0/8"],
    );
    assert_eq!(line(&headers, "x-forwarded-for"), "192.0.2.7");
    assert_eq!(line(&headers, "x-forwarded-proto"), "http");
    assert_eq!(line(&headers, "x-forwarded-host"), "shop.example:8080");
    assert_eq!(line(&headers, "forwarded"), r#"for=192.0.2.7;proto=http;host="shop.example:8080""#);
    assert_eq!(line(&headers, "x-forwardedish"), "stays");
    let text = format!("{headers:?}");
    assert!(!text.contains("127.0.0.1") && !text.contains("evil") && !text.contains("x-real"), "{text}");
    assert!(headers.keys().all(|name| !name.as_str().contains('_')));
}

#[test]
fn ipv6_is_quoted_and_mapped_ipv4_is_ipv4() {
    let headers = forwarded(&[("host", "h")], "2001:db8::7", &[]);
    assert_eq!(line(&headers, "x-forwarded-for"), "2001:db8::7");
    assert_eq!(line(&headers, "forwarded"), r#"for="[2001:db8::7]";proto=http;host=h"#);
    let headers = forwarded(&[], "::ffff:192.0.2.7", &[]);
    assert_eq!(line(&headers, "x-forwarded-for"), "192.0.2.7");
    assert_eq!(line(&headers, "forwarded"), "for=192.0.2.7;proto=http");
    assert!(!headers.contains_key("x-forwarded-host"));
}

#[test]
fn a_trusted_peer_is_continued() {
    let headers = forwarded(
        &[
            ("host", "inner"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-port", "443"),
            ("forwarded", "for=203.0.113.9;proto=https"),
        ],
        "10.0.0.1",
        &["10.0.0.0/8"],
    );
    assert_eq!(line(&headers, "x-forwarded-for"), "203.0.113.9, 10.0.0.2, 10.0.0.1");
    assert_eq!(line(&headers, "x-forwarded-proto"), "https");
    assert_eq!(line(&headers, "x-forwarded-host"), "shop.example");
    assert_eq!(line(&headers, "x-forwarded-port"), "443");
    assert_eq!(
        line(&headers, "forwarded"),
        "for=203.0.113.9;proto=https, for=10.0.0.1;proto=http;host=inner"
    );
}

#[test]
fn the_missing_one_of_two_lists_is_made_from_the_other() {
    let lines = [
        ("host", "h"),
        ("x-forwarded-for", "2001:db8::9, nonsense"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a:1"),
    ];
    let headers = forwarded(&lines, "10.0.0.1", &["10.0.0.0/8"]);
    assert_eq!(
        line(&headers, "forwarded"),
        r#"for="[2001:db8::9]";proto=https;host="a:1", for=unknown, for=10.0.0.1;proto=http;host=h"#
    );
    let lines =
        [("host", "h"), ("forwarded", r#"proto=https;For="[2001:db8::9]:4711";by="a,b;c", for=10.9.9.9"#)];
    let headers = forwarded(&lines, "10.0.0.1", &["10.0.0.0/8"]);
    assert_eq!(line(&headers, "x-forwarded-for"), "2001:db8::9, 10.9.9.9, 10.0.0.1");
    let lines = [("host", "h"), ("forwarded", "for=_hidden, for=10.9.9.9")];
    assert_eq!(line(&forwarded(&lines, "10.0.0.1", &["10.0.0.0/8"]), "x-forwarded-for"), "10.0.0.1");
}

#[test]
fn the_client_is_the_rightmost_untrusted_address() {
    let trusted = ["10.0.0.0/8", "2001:db8:1::/48"];
    for (lines, from, client) in [
        (&[("x-forwarded-for", "1.1.1.1")][..], "192.0.2.7", "192.0.2.7"),
        (&[], "10.0.0.1", "10.0.0.1"),
        (&[("x-forwarded-for", "1.1.1.1")], "10.0.0.1", "1.1.1.1"),
        (&[("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.2")], "10.0.0.1", "2.2.2.2"),
        (&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "10.0.0.2,")], "10.0.0.1", "1.1.1.1"),
        (&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.1", "10.0.0.3"),
        (&[("x-forwarded-for", "1.1.1.1, junk, 10.0.0.2")], "10.0.0.1", "10.0.0.2"),
        (&[("x-forwarded-for", "1.1.1.1:4711")], "10.0.0.1", "1.1.1.1"),
        (&[("x-forwarded-for", "[2001:db8::9]:4711")], "10.0.0.1", "2001:db8::9"),
        (&[("x-forwarded-for", "2001:db8::9, 2001:db8:1::5")], "::ffff:10.0.0.1", "2001:db8::9"),
        (&[("x-forwarded-for", "::ffff:1.1.1.1")], "10.0.0.1", "1.1.1.1"),
        (&[("x-forwarded-for", "")], "10.0.0.1", "10.0.0.1"),
        (&[("forwarded", r#"for=1.1.1.1, for="[2001:db8::9]", for=10.0.0.2"#)], "10.0.0.1", "2001:db8::9"),
        (&[("forwarded", "for=1.1.1.1, proto=http")], "10.0.0.1", "10.0.0.1"),
        (&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "2.2.2.2")], "10.0.0.1", "2.2.2.2"),
    ] {
        let found = client_address(&fields(lines), &peer(from), &nets(&trusted));
        assert_eq!(found.to_string(), client, "{lines:?} from {from}");
    }
}

#[test]
fn words_of_our_own_are_not_taken_from_clients() {
    let lines = [("host", "h"), ("banyan-shadow", "dry-run"), ("Banyan_Reason", "x"), ("banyan_hop", "y")];
    let headers = forwarded(&lines, "192.0.2.7", &[]);
    let own: Vec<&str> =
        headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("banyan")).collect();
    assert_eq!(own, ["banyan-hop"]);
}

#[test]
fn two_gateways_in_a_chain_are_fine_and_a_loop_is_not() {
    let (first, second) = (Identity::new(false), Identity::new(false));
    let mut headers = fields(&[("host", "h")]);
    for identity in [&first, &second] {
        assert_eq!(identity.check_loop(&headers), Ok(()));
        let onward = Onward {
            identity,
            peer: &peer("192.0.2.7"),
            trusted_proxies: &[],
            scheme: Scheme::Http,
            version: Version::HTTP_11,
            upgrade: None,
        };
        prepare(&onward, &mut headers);
    }
    assert_eq!(line(&HeaderMap::from(&headers), "banyan-hop").len(), 16 + 2 + 16);
    assert_eq!(first.check_loop(&headers), Err(Refused::Loop));
    assert_eq!(second.check_loop(&headers), Err(Refused::Loop));
    assert_eq!(Identity::new(false).check_loop(&headers), Ok(()));
}

#[test]
fn too_many_hops_are_a_loop() {
    let identity = Identity::new(false);
    let hops = |count: usize| fields(&[("banyan-hop", &vec!["x"; count].join(","))]);
    assert_eq!(identity.check_loop(&hops(7)), Ok(()));
    assert_eq!(identity.check_loop(&hops(8)), Err(Refused::Loop));
}

#[test]
fn a_valid_trace_passes_unchanged() {
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings";
    for given in [traceparent, later] {
        let headers =
            forwarded(&[("host", "h"), ("traceparent", given), ("tracestate", "a=1")], "192.0.2.7", &[]);
        assert_eq!((line(&headers, "traceparent"), line(&headers, "tracestate")), (given, "a=1"));
    }
}

#[test]
fn an_invalid_trace_is_begun_anew() {
    for given in [
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
    ] {
        let headers =
            forwarded(&[("host", "h"), ("traceparent", given), ("tracestate", "a=1")], "192.0.2.7", &[]);
        let begun = line(&headers, "traceparent");
        assert!(
            super::trace::pass_or_begin(
                &mut Fields::from(&headers),
                Seen::in_request(&Fields::from(&headers))
            )
            .0
            .as_str()
                == &begun[3..35],
            "{given}"
        );
        assert!(
            begun != given && begun.len() == 55 && begun.starts_with("00-") && begun.ends_with("-01"),
            "{begun}"
        );
        assert!(!headers.contains_key("tracestate"));
    }
    let twice = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"); 2];
    assert!(line(&forwarded(&twice, "192.0.2.7", &[]), "traceparent").ends_with("-01"));
    let fresh = || forwarded(&[], "192.0.2.7", &[])["traceparent"].clone();
    assert_ne!(fresh(), fresh());
}

#[test]
fn answers_lose_what_is_not_the_clients() {
    let mut headers = fields(&[
        ("connection", "keep-alive, x-private"),
        ("keep-alive", "timeout=5"),
        ("x-private", "1"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-authenticate", "Basic"),
        ("banyan-reason", "timeout"),
        ("banyan-shadow", "honoured"),
        ("trailer", "x-sum"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("content-length", "3"),
    ]);
    prepare_answer(StatusCode::OK, Version::HTTP_11, &mut headers, &Identity::new(false));
    assert!(headers.names().eq(["trailer", "set-cookie", "set-cookie"].map(str::as_bytes)));
}

#[test]
fn a_switch_keeps_its_protocol() {
    let mut headers =
        fields(&[("connection", "Upgrade, x-private"), ("upgrade", "websocket"), ("x-private", "1")]);
    prepare_answer(StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11, &mut headers, &Identity::new(false));
    let headers = HeaderMap::from(&headers);
    assert_eq!((line(&headers, "upgrade"), line(&headers, "connection")), ("websocket", "upgrade"));
    assert!(!headers.contains_key("x-private"));
}

#[test]
fn what_old_gateways_take_for_framing_goes() {
    let headers = forwarded(
        &[("host", "h"), ("content_length", "5"), ("transfer_encoding", "chunked"), ("content-length", "0")],
        "192.0.2.7",
        &["192.0.2.0/24"],
    );
    assert!(!headers.contains_key("content_length") && !headers.contains_key("transfer_encoding"));
    assert_eq!(line(&headers, "content-length"), "0");
}

#[test]
fn via_is_added_only_when_wanted() {
    let mut headers = fields(&[("via", "1.0 old")]);
    prepare_answer(StatusCode::OK, Version::HTTP_11, &mut headers, &Identity::new(false));
    assert_eq!(line(&HeaderMap::from(&headers), "via"), "1.0 old");
    prepare_answer(StatusCode::OK, Version::HTTP_10, &mut headers, &Identity::new(true));
    assert_eq!(line(&HeaderMap::from(&headers), "via"), "1.0 old, 1.0 banyan");
}

#[test]
fn a_usual_request_of_a_connection_allocates_little() {
    let (identity, peer) = (Identity::new(false), peer("192.0.2.7"));
    let lines =
        [("host", "shop.example"), ("accept", "*/*"), ("cookie", "a=b"), ("connection", "keep-alive")];
    let mut headers = fields(&lines);
    let onward = Onward {
        identity: &identity,
        peer: &peer,
        trusted_proxies: &[],
        scheme: Scheme::Http,
        version: Version::HTTP_11,
        upgrade: None,
    };
    prepare(&onward, &mut fields(&lines));
    let mut out = Vec::with_capacity(1024);
    let allocations = allocation_counter::measure(|| {
        assert_eq!(identity.check_loop(&headers), Ok(()));
        let seen = Seen::in_request(&headers);
        let added = onward.prepare(&mut headers, seen).added.expect("a direct request");
        added.write(&mut out);
    });
    // What it gets is what the request before got.
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}
