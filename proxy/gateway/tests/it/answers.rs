//! Odd answers of an upstream: what the client gets, and that nothing of them reaches the next client.
//! docs/answers.md is what this test sees.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::Client;
use crate::pages;
use crate::proxy::Proxy;
use crate::upstream::Upstream;

/// What an upstream sends, and whether it then closes.
struct Case {
    what: &'static str,
    bytes: &'static str,
    closes: bool,
}

const fn stays(what: &'static str, bytes: &'static str) -> Case {
    Case { what, bytes, closes: false }
}

const fn closes(what: &'static str, bytes: &'static str) -> Case {
    Case { what, bytes, closes: true }
}

const CASES: &[Case] = &[
    stays("5 bytes by length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays(
        "5 bytes in chunks",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    closes("5 bytes until the close", "HTTP/1.1 200 OK\r\n\r\nhello"),
    closes("HTTP/1.0 until the close", "HTTP/1.0 200 OK\r\n\r\nhello"),
    stays("HTTP/1.0 by length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays("lines that end with LF alone", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    stays("no reason phrase", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
    stays("no space after the status", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello"),
    stays("a reason phrase with bytes above 127", "HTTP/1.1 200 \u{f6}\r\nContent-Length: 5\r\n\r\nhello"),
    stays("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays("a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays("status 000", "HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays("status 999", "HTTP/1.1 999 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays("HTTP/0.9: no head", "hello there, this is no head\r\n\r\n"),
    stays("the greeting of another protocol", "SSH-2.0-OpenSSH_9.2\r\n"),
    closes("nothing", ""),
    closes("half a head", "HTTP/1.1 200 OK\r\nContent-Le"),
    stays("the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    stays("the same length twice in one line", "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello"),
    stays("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    stays("two lengths in one line", "HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello"),
    stays("length `+5`", "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    stays("length `-5`", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    stays("an empty length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello"),
    stays(
        "length beside chunks",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    closes("coding `cow`", "HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\n\r\nhello"),
    stays(
        "coding `gzip, chunked`",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    stays(
        "coding `chunked, chunked`",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    stays(
        "coding `chunked` twice",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    stays(
        "a chunk size that is none",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n",
    ),
    stays(
        "a chunk longer than its size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
    ),
    closes("chunks that break off", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
    closes("chunks without an end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    closes("a body shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"),
    stays("a body longer than its length", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello"),
    stays(
        "another answer behind it",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    ),
    stays("204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
    stays(
        "204 in chunks",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
    stays("304 with a body", "HTTP/1.1 304 Not Modified\r\n\r\nhello"),
    stays(
        "a 101 nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\nhello",
    ),
    stays(
        "103, then 200",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ),
    stays("100, then 200", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    stays("a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello"),
    stays("a folded line", "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 5\r\n\r\nhello"),
    stays("a line without a colon", "HTTP/1.1 200 OK\r\nX-A\r\nContent-Length: 5\r\n\r\nhello"),
    stays("NUL in a value", "HTTP/1.1 200 OK\r\nX-A: 1\x002\r\nContent-Length: 5\r\n\r\nhello"),
    stays("CR alone in a value", "HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\nContent-Length: 5\r\n\r\nhello"),
    stays(
        "`Connection: close` and fields it names",
        "HTTP/1.1 200 OK\r\nConnection: close, x-a\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello",
    ),
    stays(
        "`Banyan-Reason` of the upstream",
        "HTTP/1.1 200 OK\r\nBanyan-Reason: fallback\r\nContent-Length: 5\r\n\r\nhello",
    ),
];

/// Every case on its own path; any other path is answered with itself.
async fn scripted() -> Upstream {
    Upstream::raw(|mut stream| async move {
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            let target = head.split(' ').nth(1).unwrap();
            let case = target.strip_prefix("/case/").map(|number| &CASES[number.parse::<usize>().unwrap()]);
            let Some(case) = case else {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}", target.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
                continue;
            };
            let bytes: Vec<u8> = case.bytes.into();
            let _ = stream.write_all(&bytes).await;
            if case.closes {
                return;
            }
        }
    })
    .await
}

/// What the client gets: status, word of refusal, body, and whether all of it came.
async fn outcome(proxy: &Proxy, number: usize) -> String {
    let mut client = Client::connect(proxy.address).await;
    let request = format!("GET /case/{number} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    let raw = client.send(request).await.rest().await;
    let text = String::from_utf8_lossy(&raw).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    assert!(!body.contains("HTTP/1.1") && !body.contains("evil"), "{}: {text}", CASES[number].what);
    assert!(
        !head.contains('\0') && !head.to_lowercase().contains("x-a: 1\r\nx-b"),
        "{}: {text}",
        CASES[number].what
    );
    // Nonsense that comes together with a head may be noticed before the head is sent, or after.
    let Some(status) = head.split(' ').nth(1) else { return "broken off".to_owned() };
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    if let Some(reason) = field("banyan-reason") {
        return format!("{status} `{reason}`");
    }
    let is_whole = match (field("content-length"), field("transfer-encoding")) {
        (Some(length), None) => {
            let length: usize = length.parse().unwrap_or_else(|_| panic!("{}: {text}", CASES[number].what));
            length == body.len() || status == "304"
        }
        (None, Some(_)) => body.ends_with("0\r\n\r\n"),
        (None, None) => true,
        both => panic!("{}: framed twice: {both:?}", CASES[number].what),
    };
    match (is_whole, body.is_empty()) {
        (true, true) => format!("{status}, no body"),
        (true, false) => format!(
            "{status}, {}",
            if body.contains("hello") { "the body" } else { "the body to its length" }
        ),
        (false, _) => "broken off".to_owned(),
    }
}

async fn page() -> String {
    let upstream = scripted().await;
    let proxy = Proxy::before(&upstream);
    let mut page = String::from(
        "# Odd answers\n\n\
         What a client gets when an upstream does not keep to HTTP. Every answer is framed anew; one that cannot be read is 502\n\
         with `Banyan-Reason: bad-answer`; of one that breaks off the client sees that: its connection closes before a head, the\n\
         whole length or the last chunk. What an upstream sends beyond its answer reaches nobody, and its connection is not used again.\n\
         This page is made by a test.\n\n\
         | the upstream sends | the client gets |\n|---|---|\n",
    );
    for (number, case) in CASES.iter().enumerate() {
        let got = outcome(&proxy, number).await;
        writeln!(page, "| {} | {got} |", case.what).unwrap();
        // Whoever comes next gets an answer of its own, whatever was left over.
        for next in ["/next", "/and-next"] {
            let mut client = Client::connect(proxy.address).await;
            let answer = client.get(next, "").await;
            assert_eq!((answer.status, answer.text()), (200, next), "after {}", case.what);
        }
    }
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_odd_answer_reaches_the_next_client() {
    pages::check("answers.md", "answers", &page().await);
}
