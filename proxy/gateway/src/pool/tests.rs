//! Who gets a connection, and when.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::Pool;
use super::line::Slot;
use crate::connect::Connector;
use crate::resolve::Addresses;
use crate::upstream_io::Heard;

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn nobody_overtakes_the_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let addresses = Arc::new(Addresses::new("127.0.0.1", port));
    let connector = Arc::new(Connector::new(addresses, LONG, None, false));
    let pool = Arc::new(Pool::new(1, connector, LONG, Some(1)));
    let lease = pool.lease(0, false).await.expect("the first connection");
    let mut idle = lease.into_idle(Instant::now()).expect("nobody shares it");
    idle.sender.ready().await.expect("its task has come round");

    let (mut first, mut second) = (pin!(pool.lease(0, false)), pin!(pool.lease(0, false)));
    let mut turn = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut turn).is_pending());
    assert!(second.as_mut().poll(&mut turn).is_pending());
    pool.shelve(idle);

    assert!(pool.idle(0, Instant::now(), false).is_none(), "a newcomer goes to the end of the line");
    assert!(second.as_mut().poll(&mut turn).is_pending());
    let Poll::Ready(Ok(lease)) = first.as_mut().poll(&mut turn) else { panic!("the first in line is first") };
    assert!(second.as_mut().poll(&mut turn).is_pending());
    pool.shelve(lease.into_idle(Instant::now()).expect("nobody shares it"));
    assert!(matches!(second.as_mut().poll(&mut turn), Poll::Ready(Ok(_))));
    assert!(
        pool.idle(0, Instant::now(), false).is_none(),
        "the lease above was dropped, and its connection with it"
    );
}

/// hyper's buffer grows with bodies that come in parts: then much of one that is there at once comes with its head.
#[tokio::test]
async fn a_body_that_comes_with_its_head_is_no_endless_head() {
    const LENGTH: usize = 1 << 20;
    // After parts of this size, one read takes 780 KiB.
    const PART: usize = 92 << 10;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n{}", "x".repeat(LENGTH));
    let slot = Slot::uncounted();
    let (near, mut far) = tokio::io::duplex(8 * LENGTH);
    let near = TokioIo::new(Heard::new(near, &slot));
    let shaken = hyper::client::conn::http1::handshake(near).await;
    let (mut sender, connection) = shaken.expect("nothing has been sent");
    tokio::spawn(connection);
    for turn in 0..6 {
        let mut parts = answer.as_bytes().chunks(if turn % 2 == 0 { PART } else { answer.len() });
        slot.expects_answer();
        let asked = sender.send_request(Request::new(Empty::<Bytes>::new()));
        let answered = async {
            let asked = far.read(&mut [0; 1024]).await.expect("a request comes");
            assert!(asked > 0, "the connection was given up");
            far.write_all(parts.next().expect("the first part")).await.expect("there is room");
        };
        let (head, ()) = tokio::join!(asked, answered);
        let mut body = head.unwrap_or_else(|problem| panic!("answer {turn}: {problem:?}")).into_body();
        slot.has_answer();
        let mut length = 0;
        loop {
            if let Some(part) = parts.next() {
                far.write_all(part).await.expect("there is room");
            }
            let Some(frame) = body.frame().await else { break };
            length += frame.expect("it goes on").into_data().map_or(0, |data| data.len());
        }
        assert_eq!(length, LENGTH);
        sender.ready().await.expect("it is kept");
    }
}
