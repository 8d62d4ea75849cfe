//! What is refused, and what passes unchanged.

use http::Request;

use super::{Accepted, Cow, HOST, Refused, RefusedReason, RequestHead, Seen, Version, to_origin_form};

fn check(head: &RequestHead) -> Result<Accepted<'_>, Refused> {
    super::check(head, Seen::in_request(&head.fields))
}

fn request(method: &str, target: &str, version: Version, fields: &[(&str, &str)]) -> RequestHead {
    let mut built = Request::builder().method(method).uri(target).version(version);
    for (name, value) in fields {
        built = built.header(*name, *value);
    }
    *RequestHead::of_http2(built.body(()).expect("the test's own head")).0
}

fn refusal(head: &RequestHead) -> (u16, &'static str) {
    let refused = check(head).expect_err("must be refused");
    assert!(!refused.to_string().is_empty());
    (refused.status().as_u16(), refused.reason().as_str())
}

#[test]
fn hosts_that_are_well_formed_pass_unchanged() {
    for host in [
        "example.com",
        "EXAMPLE.com:8080",
        "example.com:",
        "10.0.0.1:80",
        "[::1]",
        "[2001:db8::7]:65535",
        "under_score",
        "a",
        "example.com.",
        "a-b.c~d:0",
    ] {
        let head = request("GET", "/x?y=1", Version::HTTP_11, &[("host", host)]);
        assert_eq!(check(&head), Ok(Accepted { host, target: Cow::Borrowed("/x?y=1") }), "{host}");
    }
}

#[test]
fn hosts_that_are_not_host_and_port_are_refused() {
    for host in [
        "",
        " ",
        "a b",
        "a/b",
        "/",
        "a?b",
        "a#b",
        "user@a",
        "user:password@a:80",
        "a:b",
        "a:65536",
        "a:-1",
        "a:+1",
        "a:80:80",
        ":80",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]:x",
        "[::g]",
        "[]",
        "[fe80::1%25eth0]",
        "[v1.x]",
        "a]",
        "a,b",
        "a%2fb",
        "a\\b",
        "a\tb",
        "a\"b",
        "<a>",
    ] {
        let head = request("GET", "/", Version::HTTP_11, &[("host", host)]);
        assert_eq!(refusal(&head), (400, "bad-host"), "{host:?}");
    }
}

#[test]
fn a_host_that_is_not_ascii_is_refused() {
    let mut head = request("GET", "/", Version::HTTP_11, &[]);
    head.fields.insert(&HOST, &http::HeaderValue::from_bytes(b"caf\xc3\xa9").expect("obs-text"));
    assert_eq!(refusal(&head), (400, "bad-host"));
}

#[test]
fn http_1_1_has_exactly_one_host_and_older_may_have_none() {
    let twice = [("host", "a"), ("host", "a")];
    assert_eq!(check(&request("GET", "/", Version::HTTP_11, &[])), Err(Refused::HostMissing));
    assert_eq!(check(&request("GET", "http://a/", Version::HTTP_11, &[])), Err(Refused::HostMissing));
    assert_eq!(check(&request("GET", "/", Version::HTTP_11, &twice)), Err(Refused::HostRepeated));
    assert_eq!(check(&request("GET", "/", Version::HTTP_10, &twice)), Err(Refused::HostRepeated));
    for fields in [&[][..], &[("host", "")]] {
        let head = request("GET", "/", Version::HTTP_10, fields);
        assert_eq!(check(&head), Ok(Accepted { host: "", target: Cow::Borrowed("/") }));
    }
}

#[test]
fn an_empty_host_is_right_only_without_an_authority() {
    let head = request("OPTIONS", "*", Version::HTTP_11, &[("host", "")]);
    assert_eq!(check(&head), Ok(Accepted { host: "", target: Cow::Borrowed("*") }));
}

#[test]
fn an_absolute_target_brings_its_own_host() {
    for (target, host, origin) in [
        ("http://a.example/x?y", "a.example", "/x?y"),
        ("https://A.example:8443", "A.example:8443", "/"),
        ("http://[::1]:80/", "[::1]:80", "/"),
        ("http://a?y=1", "a", "/?y=1"),
    ] {
        let mut head = request("GET", target, Version::HTTP_11, &[("host", "other.example")]);
        let accepted = check(&head).expect(target);
        assert_eq!((accepted.host, &*accepted.target), (host, origin), "{target}");
        to_origin_form(&mut head);
        assert_eq!(head.uri.to_string(), origin);
        assert_eq!(head.uri.path_and_query().map(http::uri::PathAndQuery::as_str), Some(origin));
        assert!(head.fields.get_all(&HOST).eq([host.as_bytes()]));
    }
}

#[test]
fn an_absolute_target_does_not_excuse_a_bad_host() {
    let head = request("GET", "http://a/", Version::HTTP_11, &[("host", "b c")]);
    assert_eq!(refusal(&head), (400, "bad-host"));
    let head = request("GET", "http://user@a/", Version::HTTP_11, &[("host", "a")]);
    assert_eq!(refusal(&head), (400, "bad-host"));
    let head = request("GET", "http://a:99999/", Version::HTTP_11, &[("host", "a")]);
    assert_eq!(refusal(&head), (400, "bad-host"));
}

#[test]
fn origin_form_is_left_alone() {
    let mut head = request("GET", "//a/%2e?x", Version::HTTP_11, &[("host", "h")]);
    assert_eq!(check(&head).map(|accepted| accepted.target.into_owned()), Ok("//a/%2e?x".to_owned()));
    to_origin_form(&mut head);
    assert_eq!(head.uri.to_string(), "//a/%2e?x");
    assert_eq!(head.fields.get(&HOST), Some(b"h".as_slice()));
}

#[test]
fn targets_of_other_forms_are_refused() {
    for (method, target, expected) in [
        ("GET", "*", (400, "bad-target")),
        ("GET", "example.com", (400, "bad-target")),
        ("GET", "example.com:80", (400, "bad-target")),
        ("GET", "ftp://a/x", (400, "bad-target")),
        ("CONNECT", "example.com:443", (501, "connect-method")),
        ("CONNECT", "/", (501, "connect-method")),
    ] {
        let head = request(method, target, Version::HTTP_11, &[("host", "a")]);
        assert_eq!(refusal(&head), expected, "{method} {target}");
    }
}

#[test]
fn a_fragment_is_neither_matched_nor_forwarded() {
    let head = request("GET", "/a?b#c", Version::HTTP_11, &[("host", "a")]);
    assert_eq!(check(&head).map(|accepted| accepted.target.into_owned()), Ok("/a?b".to_owned()));
    assert_eq!(head.uri.to_string(), "/a?b");
}

#[test]
fn only_one_final_chunked_is_a_transfer_encoding() {
    let malformed = (400, "bad-transfer-encoding");
    let unknown = (501, "unknown-transfer-coding");
    for (lines, expected) in [
        (&["chunked"][..], None),
        (&["Chunked"], None),
        (&["cow"], Some(unknown)),
        (&["cow, chunked"], Some(unknown)),
        (&["gzip,chunked"], Some(unknown)),
        (&["gzip", "chunked"], Some(unknown)),
        (&["identity"], Some(unknown)),
        (&["chunked, chunked"], Some(malformed)),
        (&["chunked", "chunked"], Some(malformed)),
        (&["gzip, chunked, chunked"], Some(malformed)),
        (&[", chunked"], Some(malformed)),
        (&["chunked,"], Some(malformed)),
        (&[""], Some(malformed)),
        (&["chunked;q=1"], Some(malformed)),
        (&["\"chunked\""], Some(malformed)),
        (&["ch unked"], Some(malformed)),
    ] {
        let mut fields = vec![("host", "a")];
        fields.extend(lines.iter().map(|line| ("transfer-encoding", *line)));
        let head = request("POST", "/", Version::HTTP_11, &fields);
        assert_eq!(check(&head).err().map(|_| refusal(&head)), expected, "{lines:?}");
    }
}

#[test]
fn http_1_0_has_no_transfer_encoding() {
    let head = request("POST", "/", Version::HTTP_10, &[("transfer-encoding", "chunked")]);
    assert_eq!(check(&head), Err(Refused::CodingInHttp10));
}

#[test]
fn lengths_that_cannot_arrive_are_refused() {
    for (length, accepted) in [
        ("0", true),
        ("1099511627776", true),
        ("1152921504606846976", true),
        ("1152921504606846977", false),
        ("9223372036854775807", false),
        ("18446744073709551613", false),
        ("99999999999999999999999", false),
    ] {
        let head = request("POST", "/", Version::HTTP_11, &[("host", "a"), ("content-length", length)]);
        assert_eq!(check(&head).is_ok(), accepted, "{length}");
    }
}

#[test]
fn reasons_stand_in_the_order_of_their_numbers() {
    for (place, reason) in RefusedReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, place);
    }
    assert_eq!(Refused::Loop.status().as_u16(), 508);
}

#[test]
fn a_usual_head_is_checked_without_allocating() {
    let head =
        request("POST", "/a?b", Version::HTTP_11, &[("host", "a:80"), ("transfer-encoding", "chunked")]);
    let allocations = allocation_counter::measure(|| assert!(check(&head).is_ok()));
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_name_that_is_none_with_http1_is_refused() {
    let mut head = request("GET", "http://a/", Version::HTTP_2, &[]);
    assert!(check(&head).is_ok());
    let name = http::HeaderName::from_lowercase(b"a\"b").expect("a name to HTTP/2");
    head.fields.append(&name, &http::HeaderValue::from_static("1"));
    assert_eq!(refusal(&head), (400, "malformed-head"));
}
