//! Malformed requests and frames.

use super::wire::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame, get,
};

pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Something must come on its own stream, or the connection ends.
    pub(super) has_answer: bool,
}

type Group = (&'static str, fn() -> Vec<Case>);

pub(super) const GROUPS: &[Group] = &[
    ("Pseudo-header fields (8.3)", pseudo),
    ("Extended CONNECT (RFC 8441)", extended_connect),
    ("Fields (8.2)", ordinary),
    ("Bodies and trailers (8.1)", bodies),
    ("Frames (4, 6)", frames),
    ("Field compression (4.3, RFC 7541)", compression),
];

const WHOLE: u8 = END_HEADERS | END_STREAM;

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "a.test");
const ROOT: (&str, &str) = (":path", "/x");

fn case(what: &'static str, bytes: Vec<u8>) -> Case {
    Case { what, bytes, has_answer: true }
}

fn quiet(what: &'static str, bytes: Vec<u8>) -> Case {
    Case { what, bytes, has_answer: false }
}

fn request(what: &'static str, list: &[(&str, &str)]) -> Case {
    case(what, frame(HEADERS, WHOLE, 1, &fields(list)))
}

fn pseudo() -> Vec<Case> {
    vec![
        request("all four", &[METHOD, SCHEME, AUTHORITY, ROOT]),
        request("no `:method`", &[SCHEME, AUTHORITY, ROOT]),
        request("no `:scheme`", &[METHOD, AUTHORITY, ROOT]),
        request("no `:path`", &[METHOD, SCHEME, AUTHORITY]),
        request("no `:authority`, but `host`", &[METHOD, SCHEME, ROOT, ("host", "a.test")]),
        request("neither `:authority` nor `host`", &[METHOD, SCHEME, ROOT]),
        request("`host` is not `:authority`", &[METHOD, SCHEME, AUTHORITY, ROOT, ("host", "b.test")]),
        request(
            "`host` is `:authority` in other case",
            &[METHOD, SCHEME, AUTHORITY, ROOT, ("host", "A.TEST")],
        ),
        request("an empty `:authority`", &[METHOD, SCHEME, (":authority", ""), ROOT]),
        request("`:authority` with user info", &[METHOD, SCHEME, (":authority", "u@a.test"), ROOT]),
        request("`:authority` with a space", &[METHOD, SCHEME, (":authority", "a b"), ROOT]),
        request("`:authority` with a path", &[METHOD, SCHEME, (":authority", "a.test/x"), ROOT]),
        request("an empty `:path`", &[METHOD, SCHEME, AUTHORITY, (":path", "")]),
        request("`:path` without a slash", &[METHOD, SCHEME, AUTHORITY, (":path", "x")]),
        request("`:path` with a space", &[METHOD, SCHEME, AUTHORITY, (":path", "/x y")]),
        request("`:path` with CR LF", &[METHOD, SCHEME, AUTHORITY, (":path", "/x\r\nX-A: 1")]),
        request("`:path` with NUL", &[METHOD, SCHEME, AUTHORITY, (":path", "/x\0")]),
        request("`:path` with a fragment", &[METHOD, SCHEME, AUTHORITY, (":path", "/x#y")]),
        request("`*` with OPTIONS", &[(":method", "OPTIONS"), SCHEME, AUTHORITY, (":path", "*")]),
        request("`*` with GET", &[METHOD, SCHEME, AUTHORITY, (":path", "*")]),
        request("`:scheme` ftp", &[METHOD, (":scheme", "ftp"), AUTHORITY, ROOT]),
        request("an empty `:scheme`", &[METHOD, (":scheme", ""), AUTHORITY, ROOT]),
        request("`:method` with a space", &[(":method", "GE T"), SCHEME, AUTHORITY, ROOT]),
        request("an empty `:method`", &[(":method", ""), SCHEME, AUTHORITY, ROOT]),
        request("`:method` with CR LF", &[(":method", "GET / HTTP/1.1\r\nX:"), SCHEME, AUTHORITY, ROOT]),
        request("two `:method`", &[METHOD, METHOD, SCHEME, AUTHORITY, ROOT]),
        request("two `:path`", &[METHOD, SCHEME, AUTHORITY, ROOT, ROOT]),
        request("two `:authority`", &[METHOD, SCHEME, AUTHORITY, AUTHORITY, ROOT]),
        request("`:path` behind a field", &[METHOD, SCHEME, AUTHORITY, ("x-a", "1"), ROOT]),
        request("`:unknown`", &[METHOD, SCHEME, AUTHORITY, ROOT, (":unknown", "1")]),
        request("`:status` in a request", &[METHOD, SCHEME, AUTHORITY, ROOT, (":status", "200")]),
        request("CONNECT", &[(":method", "CONNECT"), (":authority", "a.test:443")]),
    ]
}

fn extended_connect() -> Vec<Case> {
    let connect = (":method", "CONNECT");
    let websocket = (":protocol", "websocket");
    vec![
        request(
            "a WebSocket, where the upstream answers 200",
            &[connect, websocket, SCHEME, AUTHORITY, ROOT],
        ),
        request("the same with `host` alone", &[connect, websocket, SCHEME, ROOT, ("host", "a.test")]),
        request("neither `:authority` nor `host`", &[connect, websocket, SCHEME, ROOT]),
        request(
            "`host` is not `:authority`",
            &[connect, websocket, SCHEME, AUTHORITY, ROOT, ("host", "b.test")],
        ),
        request("no `:scheme`", &[connect, websocket, AUTHORITY, ROOT]),
        request("no `:path`", &[connect, websocket, SCHEME, AUTHORITY]),
        request("`:path` that is `*`", &[connect, websocket, SCHEME, AUTHORITY, (":path", "*")]),
        request("`:scheme` wss", &[connect, websocket, (":scheme", "wss"), AUTHORITY, ROOT]),
        request("two `:protocol`", &[connect, websocket, websocket, SCHEME, AUTHORITY, ROOT]),
        request("another `:protocol`", &[connect, (":protocol", "connect-udp"), SCHEME, AUTHORITY, ROOT]),
        request("an empty `:protocol`", &[connect, (":protocol", ""), SCHEME, AUTHORITY, ROOT]),
        request("`:protocol` with GET", &[METHOD, websocket, SCHEME, AUTHORITY, ROOT]),
        request(
            "`upgrade: websocket`",
            &[connect, websocket, SCHEME, AUTHORITY, ROOT, ("upgrade", "websocket")],
        ),
        request("a length of 0", &[connect, websocket, SCHEME, AUTHORITY, ROOT, ("content-length", "0")]),
        case(
            "a length of 5",
            frame(
                HEADERS,
                END_HEADERS,
                1,
                &fields(&[connect, websocket, SCHEME, AUTHORITY, ROOT, ("content-length", "5")]),
            ),
        ),
        case(
            "bytes and the end before the answer",
            [
                frame(HEADERS, END_HEADERS, 1, &fields(&[connect, websocket, SCHEME, AUTHORITY, ROOT])),
                frame(DATA, END_STREAM, 1, b"hasty"),
            ]
            .concat(),
        ),
    ]
}

fn ordinary() -> Vec<Case> {
    let with = |what, name, value| request(what, &[METHOD, SCHEME, AUTHORITY, ROOT, (name, value)]);
    vec![
        with("`x-a: 1`", "x-a", "1"),
        with("capitals in a name", "X-A", "1"),
        with("an empty name", "", "1"),
        with("a space in a name", "x a", "1"),
        with("a colon in a name", "x:a", "1"),
        with("CR LF in a name", "x\r\na", "1"),
        with("NUL in a name", "x\0a", "1"),
        with("CR in a value", "x-a", "1\r2"),
        with("LF in a value", "x-a", "1\n2"),
        with("NUL in a value", "x-a", "1\x002"),
        with("`connection: close`", "connection", "close"),
        with("`keep-alive`", "keep-alive", "timeout=5"),
        with("`proxy-connection`", "proxy-connection", "close"),
        with("`transfer-encoding: chunked`", "transfer-encoding", "chunked"),
        with("`upgrade: websocket`", "upgrade", "websocket"),
        with("`te: trailers`", "te", "trailers"),
        with("`te: gzip`", "te", "gzip"),
        with("a value of 14 000 bytes", "x-a", &"a".repeat(14_000)),
    ]
}

fn post(list: &[(&str, &str)], rest: &[Vec<u8>]) -> Vec<u8> {
    let all = [&[(":method", "POST"), SCHEME, AUTHORITY, ROOT], list].concat();
    [frame(HEADERS, END_HEADERS, 1, &fields(&all)), rest.concat()].concat()
}

fn bodies() -> Vec<Case> {
    let data = |text: &str, flags| frame(DATA, flags, 1, text.as_bytes());
    let trailers = |list: &[(&str, &str)], flags| frame(HEADERS, END_HEADERS | flags, 1, &fields(list));
    vec![
        case("a body without a length", post(&[], &[data("hello", END_STREAM)])),
        case("a body of its length", post(&[("content-length", "5")], &[data("hello", END_STREAM)])),
        case("a body shorter than its length", post(&[("content-length", "5")], &[data("hel", END_STREAM)])),
        case("a body longer than its length", post(&[("content-length", "3")], &[data("hello", END_STREAM)])),
        case(
            "a length and no body",
            frame(HEADERS, WHOLE, 1, &fields(&[METHOD, SCHEME, AUTHORITY, ROOT, ("content-length", "5")])),
        ),
        case(
            "two lengths that differ",
            post(&[("content-length", "5"), ("content-length", "6")], &[data("hello", END_STREAM)]),
        ),
        case("a length that is no number", post(&[("content-length", "five")], &[data("hello", END_STREAM)])),
        case("a length of `+5`", post(&[("content-length", "+5")], &[data("hello", END_STREAM)])),
        case("trailers", post(&[], &[data("hello", 0), trailers(&[("x-a", "1")], END_STREAM)])),
        case(
            "trailers with a pseudo-header field",
            post(&[], &[data("hello", 0), trailers(&[ROOT], END_STREAM)]),
        ),
        case(
            "trailers that do not end the stream",
            post(&[], &[data("hello", 0), trailers(&[("x-a", "1")], 0)]),
        ),
        case("trailers with capitals", post(&[], &[data("hello", 0), trailers(&[("X-A", "1")], END_STREAM)])),
        case("data behind the end", [frame(HEADERS, WHOLE, 1, &get("/x")), data("hello", 0)].concat()),
    ]
}

fn frames() -> Vec<Case> {
    let whole = |stream| frame(HEADERS, WHOLE, stream, &get("/x"));
    let setting =
        |id: u16, value: u32| frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    vec![
        case("DATA on stream 0", frame(DATA, 0, 0, b"hello")),
        case("DATA on a stream that never was", frame(DATA, 0, 1, b"hello")),
        case("DATA padded beyond its end", [post(&[], &[]), frame(DATA, PADDED, 1, &[200, 1, 2])].concat()),
        case("HEADERS on stream 0", frame(HEADERS, WHOLE, 0, &get("/x"))),
        case("HEADERS on an even stream", whole(2)),
        case("HEADERS on a stream lower than the last", [whole(3), whole(1)].concat()),
        case("HEADERS padded beyond its end", frame(HEADERS, WHOLE | PADDED, 1, &[200, 1, 2])),
        case(
            "HEADERS that depend on themselves",
            frame(HEADERS, WHOLE | 0x20, 1, &[&[0, 0, 0, 1, 16][..], &get("/x")].concat()),
        ),
        case(
            "HEADERS without their end, then DATA",
            [frame(HEADERS, 0, 1, &get("/x")), frame(DATA, 0, 1, b"x")].concat(),
        ),
        case("CONTINUATION without HEADERS", frame(CONTINUATION, END_HEADERS, 1, &get("/x"))),
        case(
            "CONTINUATION on another stream",
            [frame(HEADERS, 0, 1, &get("/x")), frame(CONTINUATION, END_HEADERS, 3, &[])].concat(),
        ),
        case(
            "HEADERS in two parts",
            [
                frame(HEADERS, END_STREAM, 1, &get("/x")[..9]),
                frame(CONTINUATION, END_HEADERS, 1, &get("/x")[9..]),
            ]
            .concat(),
        ),
        case("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 16])),
        case("PRIORITY of four bytes", frame(PRIORITY, 0, 1, &[0, 0, 0, 3])),
        quiet("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])),
        case("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0; 4])),
        case("RST_STREAM on a stream that never was", frame(RST_STREAM, 0, 1, &[0; 4])),
        case("RST_STREAM of three bytes", [whole(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat()),
        case("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[])),
        case("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5])),
        case("SETTINGS acknowledged with something in it", frame(SETTINGS, ACK, 0, &[0; 6])),
        case("a window of 2^31", setting(4, 1 << 31)),
        case("a frame size of 1", setting(5, 1)),
        case("push of 2", setting(2, 2)),
        quiet("a setting nobody knows", setting(0x99, 1)),
        case(
            "PUSH_PROMISE of a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &get("/x")].concat()),
        ),
        case("PING of seven bytes", frame(PING, 0, 0, &[0; 7])),
        case("PING on a stream", frame(PING, 0, 1, &[0; 8])),
        case("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8])),
        case("WINDOW_UPDATE of 0 on the connection", frame(WINDOW_UPDATE, 0, 0, &[0; 4])),
        case(
            "WINDOW_UPDATE of 0 on a stream",
            [post(&[], &[]), frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat(),
        ),
        case("WINDOW_UPDATE beyond 2^31", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff])),
        case("WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3])),
        case("a frame longer than allowed", frame(DATA, 0, 0, &[0; 16_385])),
        quiet("a frame of a kind nobody knows", frame(0x99, 0xff, 0, b"hello")),
    ]
}

fn compression() -> Vec<Case> {
    let block = |bytes: &[u8]| frame(HEADERS, WHOLE, 1, bytes);
    vec![
        case("an index beyond the table", block(&[0xff, 0xff, 0x7f])),
        case("index 0", block(&[0x80])),
        case("a length beyond the block", block(&[0x10, 0x7f, 0x10, b'a'])),
        case(
            "an integer without an end",
            block(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ),
        case("a table larger than allowed", block(&[&[0x3f, 0xff, 0xff, 0x7f][..], &get("/x")].concat())),
        case("a Huffman code without an end", block(&[0x10, 0x81, 0x00, 0x01, b'a'])),
    ]
}
