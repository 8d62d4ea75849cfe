//! The cases. A group is a template and what is put into it.

pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) bytes: Vec<u8>,
}

type Group = (&'static str, fn() -> Vec<Case>);

pub(super) const GROUPS: &[Group] = &[
    ("The request line (RFC 9112 3)", request_line),
    ("The target (RFC 9112 3.2)", target),
    ("Host (RFC 9112 3.2, RFC 9110 7.2)", host),
    ("Field lines (RFC 9112 5)", field_lines),
    ("Content-Length (RFC 9112 6.2)", content_length),
    ("Transfer-Encoding (RFC 9112 6.1)", transfer_encoding),
    ("Both of them (RFC 9112 6.3)", both),
    ("Chunks (RFC 9112 7.1)", chunks),
    ("Fields that end at a proxy (RFC 9110 7.6.1)", hop_by_hop),
    ("Limits", limits),
];

/// What a smuggled request would look like.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn filled<'t>(cases: &[(&'static str, &'t str)], template: impl Fn(&'t str) -> Vec<u8>) -> Vec<Case> {
    cases.iter().map(|(what, part)| Case { what, bytes: template(part) }).collect()
}

fn request_line() -> Vec<Case> {
    filled(
        &[
            ("`GET /x HTTP/1.1`", "GET /x HTTP/1.1\r\n"),
            ("an unknown method", "BREW /x HTTP/1.1\r\n"),
            ("a method of other token characters", "M-SEARCH!#$%&'*+.^_`|~ /x HTTP/1.1\r\n"),
            ("a method in lower case, which is another method", "get /x HTTP/1.1\r\n"),
            ("an empty line before it", "\r\nGET /x HTTP/1.1\r\n"),
            ("two empty lines before it", "\r\n\r\nGET /x HTTP/1.1\r\n"),
            ("a line that ends with LF alone", "GET /x HTTP/1.1\n"),
            ("a line that ends with CR alone", "GET /x HTTP/1.1\r"),
            ("two spaces after the method", "GET  /x HTTP/1.1\r\n"),
            ("two spaces after the target", "GET /x  HTTP/1.1\r\n"),
            ("a tab for a space", "GET\t/x HTTP/1.1\r\n"),
            ("a space at the end", "GET /x HTTP/1.1 \r\n"),
            ("a space at the begin", " GET /x HTTP/1.1\r\n"),
            ("no version", "GET /x\r\n"),
            ("HTTP/0.9", "GET /x HTTP/0.9\r\n"),
            ("HTTP/1.0", "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n"),
            ("HTTP/1.2", "GET /x HTTP/1.2\r\n"),
            ("HTTP/2.0", "GET /x HTTP/2.0\r\n"),
            ("`http/1.1`", "GET /x http/1.1\r\n"),
            ("`HTTP/1.1x`", "GET /x HTTP/1.1x\r\n"),
            ("`HTTP/11`", "GET /x HTTP/11\r\n"),
            ("a method with a colon", "GE:T /x HTTP/1.1\r\n"),
            ("a method with a space before the target's slash missing", "GET/x HTTP/1.1\r\n"),
            ("NUL in the method", "G\0T /x HTTP/1.1\r\n"),
            ("no target", "GET HTTP/1.1\r\n"),
            ("CONNECT with an authority", "CONNECT a.test:443 HTTP/1.1\r\n"),
            ("CONNECT with a path", "CONNECT /x HTTP/1.1\r\n"),
        ],
        |line| format!("{line}Host: a.test\r\n\r\n").into(),
    )
}

fn target() -> Vec<Case> {
    filled(
        &[
            ("`/x?y`", "GET /x?y"),
            ("`http://b.test/x`: its authority becomes `Host`", "GET http://b.test/x"),
            ("`http://b.test`: the path is `/`", "GET http://b.test"),
            ("`http://b.test?x`", "GET http://b.test?x"),
            ("`http://b.test#y`: the path is `/`", "GET http://b.test#y"),
            ("`HTTP://b.test/x`", "GET HTTP://b.test/x"),
            ("`https://b.test/x` without TLS", "GET https://b.test/x"),
            ("`http://user@b.test/x`", "GET http://user@b.test/x"),
            ("`http://b.test:99999/x`", "GET http://b.test:99999/x"),
            ("`http:///x`", "GET http:///x"),
            ("`ftp://b.test/x`", "GET ftp://b.test/x"),
            ("`file:///etc/passwd`", "GET file:///etc/passwd"),
            ("`b.test/x`", "GET b.test/x"),
            ("`b.test:80`", "GET b.test:80"),
            ("`x`", "GET x"),
            ("`*` with OPTIONS", "OPTIONS *"),
            ("`*` with GET", "GET *"),
            ("`/x#y`: the fragment is cut off", "GET /x#y"),
            ("`//b.test/x`: a path like any other", "GET //b.test/x"),
            ("`/x y`", "GET /x y"),
            ("`/x<tab>y`", "GET /x\ty"),
            ("`/x<NUL>y`", "GET /x\0y"),
            ("`/x<DEL>y`", "GET /x\x7fy"),
            ("`/ö` in UTF-8", "GET /\u{f6}"),
            ("`/%zz`", "GET /%zz"),
            ("`/%00`", "GET /%00"),
            ("`/a%0d%0aX:y`: stays encoded", "GET /a%0d%0aX:y"),
            ("`/a\\b`", "GET /a\\b"),
            ("`/\"<>^{|}`", "GET /\"<>^{|}"),
        ],
        |line| format!("{line} HTTP/1.1\r\nHost: a.test\r\n\r\n").into(),
    )
}

fn host() -> Vec<Case> {
    filled(
        &[
            ("`a.test`", "Host: a.test\r\n"),
            ("`a.test:8080`", "Host: a.test:8080\r\n"),
            ("`[::1]:80`", "Host: [::1]:80\r\n"),
            ("`HOST:a.test`", "HOST:a.test\r\n"),
            ("none", ""),
            ("an empty one", "Host:\r\n"),
            ("the same twice", "Host: a.test\r\nHost: a.test\r\n"),
            ("two", "Host: a.test\r\nHost: b.test\r\n"),
            ("two in one line", "Host: a.test, b.test\r\n"),
            ("a space inside", "Host: a b\r\n"),
            ("a tab inside", "Host: a\tb\r\n"),
            ("a path", "Host: a.test/x\r\n"),
            ("a query", "Host: a.test?x\r\n"),
            ("user info", "Host: user@a.test\r\n"),
            ("a scheme", "Host: http://a.test\r\n"),
            ("a port that is none", "Host: a.test:x\r\n"),
            ("a port too high", "Host: a.test:65536\r\n"),
            ("two ports", "Host: a.test:80:80\r\n"),
            ("a port alone", "Host: :80\r\n"),
            ("a broken IPv6 address", "Host: [::g]\r\n"),
            ("an IPv6 address without brackets", "Host: ::1\r\n"),
            ("percent-encoding", "Host: a%2etest\r\n"),
            ("a backslash", "Host: a\\test\r\n"),
            ("bytes above 127", "Host: \u{f6}.test\r\n"),
            ("NUL", "Host: a\0test\r\n"),
            ("on a folded line", "Host:\r\n a.test\r\n"),
        ],
        |lines| format!("GET /x HTTP/1.1\r\n{lines}\r\n").into(),
    )
}

fn field_lines() -> Vec<Case> {
    filled(
        &[
            ("`X-A: 1`", "X-A: 1\r\n"),
            ("no space after the colon", "X-A:1\r\n"),
            ("spaces and tabs around the value", "X-A: \t 1 \t \r\n"),
            ("an empty value", "X-A:\r\n"),
            ("a value with bytes above 127", "X-A: \u{f6}\r\n"),
            ("a value with a tab", "X-A: 1\t2\r\n"),
            ("a space before the colon", "X-A : 1\r\n"),
            ("a tab before the colon", "X-A\t: 1\r\n"),
            ("a space in the name", "X A: 1\r\n"),
            ("a space at the begin of the first line", " X-A: 1\r\n"),
            ("a folded line (obs-fold)", "X-A: 1\r\n 2\r\n"),
            ("a line folded with a tab", "X-A: 1\r\n\t2\r\n"),
            ("no colon", "X-A\r\n"),
            ("no name", ": 1\r\n"),
            ("a name with a bracket", "X(A): 1\r\n"),
            ("a name with a byte above 127", "X-\u{f6}: 1\r\n"),
            ("NUL in a name", "X-\0A: 1\r\n"),
            ("NUL in a value", "X-A: 1\x002\r\n"),
            ("a bell in a value", "X-A: 1\x072\r\n"),
            ("DEL in a value", "X-A: 1\x7f2\r\n"),
            ("CR alone in a value", "X-A: 1\rX-B: 2\r\n"),
            ("LF alone at the end of a line", "X-A: 1\nX-B: 2\r\n"),
            ("CR CR LF at the end of a line", "X-A: 1\r\r\n"),
            ("`Content_Length` with an underscore", "Content_Length: 5\r\n"),
            ("`Transfer_Encoding` with an underscore", "Transfer_Encoding: chunked\r\n"),
        ],
        |lines| format!("GET /x HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n").into(),
    )
}

/// A POST with lines and whatever follows its head.
fn post(part: &str) -> Vec<u8> {
    let (lines, body) = part.split_once('|').expect("lines, a bar, the body");
    format!("POST /x HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n{body}").into()
}

fn content_length() -> Vec<Case> {
    filled(
        &[
            ("`5` and 5 bytes", "Content-Length: 5\r\n|hello"),
            ("`0`", "Content-Length: 0\r\n|"),
            ("none: no body, what follows is the next request", "|"),
            ("`005`", "Content-Length: 005\r\n|hello"),
            ("the same twice", "Content-Length: 5\r\nContent-Length: 5\r\n|hello"),
            ("the same twice in one line", "Content-Length: 5, 5\r\n|hello"),
            ("two that differ", "Content-Length: 5\r\nContent-Length: 0\r\n|hello"),
            ("two that differ, the longer last", "Content-Length: 0\r\nContent-Length: 40\r\n|"),
            ("two that differ in one line", "Content-Length: 5, 6\r\n|hello"),
            ("`+5`", "Content-Length: +5\r\n|hello"),
            ("`-1`", "Content-Length: -1\r\n|"),
            ("`0x5`", "Content-Length: 0x5\r\n|hello"),
            ("`5.0`", "Content-Length: 5.0\r\n|hello"),
            ("`5 5`", "Content-Length: 5 5\r\n|hello"),
            ("`five`", "Content-Length: five\r\n|hello"),
            ("`\"5\"`", "Content-Length: \"5\"\r\n|hello"),
            ("an empty one", "Content-Length:\r\n|hello"),
            ("2^63", "Content-Length: 9223372036854775808\r\n|hello"),
            ("2^64 + 5", "Content-Length: 18446744073709551621\r\n|hello"),
            ("40 digits", "Content-Length: 5555555555555555555555555555555555555555\r\n|hello"),
            ("a space before the colon", "Content-Length : 5\r\n|hello"),
            ("on a folded line", "Content-Length:\r\n 5\r\n|hello"),
        ],
        post,
    )
}

fn transfer_encoding() -> Vec<Case> {
    filled(
        &[
            ("`chunked`", "Transfer-Encoding: chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`CHUNKED`", "Transfer-Encoding: CHUNKED\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("spaces around it", "Transfer-Encoding: \t chunked \t\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`cow`", "Transfer-Encoding: cow\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`cow, chunked`", "Transfer-Encoding: cow, chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`chunked, cow`", "Transfer-Encoding: chunked, cow\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`gzip, chunked`", "Transfer-Encoding: gzip, chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`identity`", "Transfer-Encoding: identity\r\n|hello"),
            ("`chunked, identity`", "Transfer-Encoding: chunked, identity\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`chunked, chunked`", "Transfer-Encoding: chunked, chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            (
                "`chunked` twice",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n|5\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "`chunked` and `identity` on two lines",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n|5\r\nhello\r\n0\r\n\r\n",
            ),
            ("`, chunked`", "Transfer-Encoding: , chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`chunked,`", "Transfer-Encoding: chunked,\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("an empty one", "Transfer-Encoding:\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`\"chunked\"`", "Transfer-Encoding: \"chunked\"\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`chunked;q=1`", "Transfer-Encoding: chunked;q=1\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`xchunked`", "Transfer-Encoding: xchunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("`chun ked`", "Transfer-Encoding: chun ked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("a vertical tab before it", "Transfer-Encoding: \x0bchunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("a space before the colon", "Transfer-Encoding : chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("on a folded line", "Transfer-Encoding:\r\n chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
        ],
        post,
    )
}

fn both() -> Vec<Case> {
    let mut cases = filled(
        &[
            ("length first", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n|5\r\nhello\r\n0\r\n\r\n"),
            ("coding first", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n|5\r\nhello\r\n0\r\n\r\n"),
            (
                "a length that would leave a request over",
                "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n|0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
            ),
            (
                "a length that would swallow the next request",
                "Content-Length: 400\r\nTransfer-Encoding: chunked\r\n|0\r\n\r\n",
            ),
            (
                "a coding nobody knows beside a length",
                "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n|hello",
            ),
            (
                "two lengths beside a coding",
                "Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n|5\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "a coding with a space before its colon beside a length",
                "Content-Length: 5\r\nTransfer-Encoding : chunked\r\n|hello",
            ),
            (
                "a coding named by `Connection`",
                "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n|5\r\nhello\r\n0\r\n\r\n",
            ),
            ("a length named by `Connection`", "Connection: content-length\r\nContent-Length: 5\r\n|hello"),
        ],
        post,
    );
    let http10 = "POST /x HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    cases.push(Case { what: "a coding with HTTP/1.0", bytes: format!("{http10}{chunked}").into() });
    let smuggling =
        format!("GET /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{SMUGGLED}", SMUGGLED.len());
    cases.push(Case { what: "a GET whose body looks like a request", bytes: smuggling.into() });
    cases
}

fn chunks() -> Vec<Case> {
    filled(
        &[
            ("two chunks", "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"),
            ("a size with leading zeros", "0005\r\nhello\r\n0\r\n\r\n"),
            ("sizes in capitals", "A\r\n0123456789\r\n0\r\n\r\n"),
            ("an extension", "5;a=b\r\nhello\r\n0\r\n\r\n"),
            ("an extension in quotes", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"),
            ("a space before an extension", "5 ;a=b\r\nhello\r\n0\r\n\r\n"),
            ("trailers", "5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n"),
            ("no body at all", "0\r\n\r\n"),
            ("a size that is none", "x\r\nhello\r\n0\r\n\r\n"),
            ("an empty size", "\r\nhello\r\n0\r\n\r\n"),
            ("`-5`", "-5\r\nhello\r\n0\r\n\r\n"),
            ("`+5`", "+5\r\nhello\r\n0\r\n\r\n"),
            ("`0x5`", "0x5\r\nhello\r\n0\r\n\r\n"),
            ("a space before the size", " 5\r\nhello\r\n0\r\n\r\n"),
            ("a space after the size", "5 \r\nhello\r\n0\r\n\r\n"),
            ("17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
            ("2^64", "10000000000000000\r\nhello\r\n0\r\n\r\n"),
            ("LF alone after the size", "5\nhello\r\n0\r\n\r\n"),
            ("CR alone after the size", "5\rhello\r\n0\r\n\r\n"),
            ("LF alone after the data", "5\r\nhello\n0\r\n\r\n"),
            ("data longer than its size", "5\r\nhello!\r\n0\r\n\r\n"),
            ("NUL in an extension", "5;\0\r\nhello\r\n0\r\n\r\n"),
            ("LF alone in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
            ("CR alone in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
            ("a trailer without a colon", "5\r\nhello\r\n0\r\nX\r\n\r\n"),
            ("a trailer that frames", "5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n"),
            ("a trailer with a space before its colon", "5\r\nhello\r\n0\r\nX : 1\r\n\r\n"),
        ],
        |body| format!("POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into(),
    )
}

fn hop_by_hop() -> Vec<Case> {
    filled(
        &[
            ("`Connection: host`", "Connection: host\r\n"),
            ("`Connection: close, x-a`", "X-A: 1\r\nConnection: close, x-a\r\n"),
            (
                "`Upgrade: h2c`",
                "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            ),
            ("`Banyan-Hop` of somebody else", "Banyan-Hop: 0123456789abcdef\r\n"),
            ("eight `Banyan-Hop`", "Banyan-Hop: a, b, c, d, e, f, g, h\r\n"),
            ("`Expect: something`", "Expect: something\r\n"),
            ("`X_Forwarded_For`", "X_Forwarded_For: 1.2.3.4\r\n"),
            ("`Proxy`", "Proxy: http://evil.test\r\n"),
        ],
        |lines| format!("GET /x HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n").into(),
    )
}

fn limits() -> Vec<Case> {
    let get = |target: &str, lines: &str| -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n").into()
    };
    let fields = |count: usize| "X-A: 1\r\n".repeat(count);
    vec![
        Case { what: "99 fields", bytes: get("/x", &fields(98)) },
        Case { what: "101 fields", bytes: get("/x", &fields(100)) },
        Case { what: "a value of 8 000 bytes", bytes: get("/x", &format!("X-A: {}\r\n", "a".repeat(8_000))) },
        Case { what: "a head of a megabyte", bytes: get("/x", &format!("X-A: {}\r\n", "a".repeat(1 << 20))) },
        Case { what: "a target of 70 000 bytes", bytes: get(&format!("/{}", "a".repeat(70_000)), "") },
    ]
}
