//! What is refused, what is framed anew, and what passes: docs/refusals.md is what this test sees.
//!
//! Every case is sent as raw bytes, followed by `GET /end` on the same connection. What reaches the upstream is recorded
//! byte by byte and read by two parsers, a strict and a sloppy one: they must agree on one request, its target and its
//! body. So whatever an upstream makes of odd bytes, it cannot make another request of them.

mod cases;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::pages;
use crate::proxy::Proxy;
use crate::seeds::requests::parsers::{Parsed, sloppy, strict};
use crate::upstream::Upstream;
use cases::{Case, GROUPS};

const END: &[u8] = b"GET /end HTTP/1.1\r\nHost: end.test\r\n\r\n";

/// Requests that reached the upstream, as bytes.
type Record = Arc<Mutex<Vec<Vec<u8>>>>;

/// Answers each request with its target, and records it.
async fn recording(mut stream: TcpStream, record: Record) {
    let mut unread = Vec::new();
    loop {
        match strict(&unread) {
            Parsed::Whole(request) => {
                let rest = unread.split_off(request.length);
                record.lock().unwrap().push(std::mem::replace(&mut unread, rest));
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.target.len());
                stream.write_all((head + &request.target).as_bytes()).await.unwrap();
            }
            Parsed::Malformed(_) => {
                record.lock().unwrap().push(unread);
                return;
            }
            Parsed::Unfinished => match stream.read_buf(&mut unread).await {
                Ok(count) if count > 0 => {}
                _ if unread.is_empty() => return,
                _ => {
                    record.lock().unwrap().push(unread);
                    return;
                }
            },
        }
    }
}

/// Answers until that of `/end` or the end of the connection.
async fn answers(client: &mut Client, bytes: &[u8]) -> Vec<String> {
    let mut answers = Vec::new();
    let _ = client.stream.write_all(bytes).await;
    let _ = client.stream.write_all(END).await;
    while let Some(answer) = client.next().await {
        let body = answer.text().to_owned();
        if body == "/end" {
            answers.push("and on".to_owned());
            break;
        }
        let reason = answer.header("banyan-reason");
        answers.push(match (answer.status, reason) {
            (200, _) => "200".to_owned(),
            (status, Some(reason)) => format!("{status} `{reason}`"),
            (status, None) => status.to_string(),
        });
    }
    answers
}

/// What came of a case, in two columns.
async fn outcome(proxy: &Proxy, record: &Record, case: &Case) -> (String, String) {
    record.lock().unwrap().clear();
    let mut client = Client::connect(proxy.address).await;
    let answers = answers(&mut client, &case.bytes).await;
    let answered = if answers.is_empty() { "closed".to_owned() } else { answers.join(", ") };
    let seen = std::mem::take(&mut *record.lock().unwrap());
    let reached: Vec<String> =
        seen.iter().filter_map(|bytes| read_twice(case, bytes)).filter(|line| line != "GET /end").collect();
    (answered, reached.join("; "))
}

/// One whole request of the record, on which both parsers must agree.
fn read_twice(case: &Case, bytes: &[u8]) -> Option<String> {
    let shown = String::from_utf8_lossy(bytes);
    let strictly = match strict(bytes) {
        Parsed::Whole(strictly) => strictly,
        // A body that broke off at Banyan does so at the upstream, if anything of it got there at all.
        Parsed::Unfinished => return None,
        Parsed::Malformed(why) => panic!("{}: {why}: the upstream saw {shown:?}", case.what),
    };
    assert_eq!(strictly.length, bytes.len(), "{}: more than one request: {shown:?}", case.what);
    let sloppily = sloppy(bytes);
    assert_eq!(sloppily, [(strictly.target.clone(), strictly.body.clone())], "{}: {shown:?}", case.what);
    assert_ne!(strictly.target, "/smuggled", "{}: {shown:?}", case.what);
    Some(strictly.to_string())
}

async fn page() -> String {
    let record = Record::default();
    let recorded = Arc::clone(&record);
    let upstream = Upstream::raw(move |stream| recording(stream, Arc::clone(&recorded))).await;
    let proxy = Proxy::before(&upstream);
    let mut page = String::from(
        "# What is refused\n\n\
         Two programs that read one message differently can be made to see different requests in it. So Banyan reads a\n\
         message strictly, and writes a new one: nothing is copied that frames a message. This page is made by a test, which\n\
         sends each case as bytes and looks at what reaches the upstream.\n\n\
         - A status with a word: refused by Banyan, the word stands in `Banyan-Reason`; `malformed-head` is a head that could\n\
         \x20 not be read at all. Then the connection is closed: what follows on it cannot be trusted.\n\
         - `and on`: the connection served the next request. `closed`: it was closed without an answer.\n\
         - The last column is what the upstream got.\n",
    );
    let mut count = 0;
    for (title, cases) in GROUPS {
        writeln!(page, "\n## {title}\n\n| sent | answered | reached the upstream |\n|---|---|---|").unwrap();
        for case in cases() {
            let (answered, reached) = outcome(&proxy, &record, &case).await;
            let reached = if reached.is_empty() { "nothing whole".to_owned() } else { reached };
            writeln!(page, "| {} | {answered} | {reached} |", case.what).unwrap();
            count += 1;
        }
    }
    assert!(count >= 150, "{count} cases");
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_mean_two_things() {
    pages::check("refusals.md", "refusals", &page().await);
}
