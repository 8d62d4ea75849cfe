//! Who gets a connection, and when.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::Pool;
use crate::connect::Connector;
use crate::resolve::Addresses;

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn nobody_overtakes_the_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let addresses = Arc::new(Addresses::new("127.0.0.1", port));
    let connector = Arc::new(Connector::new(addresses, LONG, None, false));
    let pool = Arc::new(Pool::new(1, connector, LONG, Some(1)));
    let lease = pool.lease(0, false).await.expect("the first connection");
    let idle = lease.into_idle(Instant::now()).expect("nobody shares it");

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
