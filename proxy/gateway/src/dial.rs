//! A TCP connection to whichever of several addresses answers first (RFC 8305, "Happy Eyeballs").
//!
//! Addresses are tried in turn, of both families by turns. The next one is tried when the one before has failed, or has
//! not answered for a quarter of a second; what was begun goes on meanwhile, and the first connection wins.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Head start of each address over the next (RFC 8305 section 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Begins with the address at `first`, so that callers can spread over all of them. Without a deadline: that is the
/// caller's.
pub(crate) async fn dial(addresses: &[SocketAddr], first: usize) -> io::Result<TcpStream> {
    if let [only] = addresses {
        return connect(*only).await;
    }
    let mut waiting = in_turn(addresses, first).into_iter();
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut begun = FuturesUnordered::new();
    loop {
        if let Some(address) = waiting.next() {
            begun.push(connect(address));
        }
        let has_more = !waiting.as_slice().is_empty();
        let limit = if has_more { HEAD_START } else { Duration::MAX };
        match timeout(limit, begun.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => failure = error,
            Ok(None) => return Err(failure),
            // The next one begins.
            Err(_) => {}
        }
    }
}

/// From the first one on, both families by turns (RFC 8305 section 4).
fn in_turn(addresses: &[SocketAddr], first: usize) -> Vec<SocketAddr> {
    let from_first = addresses.iter().copied().cycle().skip(first).take(addresses.len());
    let is_like_first = |address: &SocketAddr| address.is_ipv4() == addresses[first].is_ipv4();
    let (alike, others): (Vec<_>, Vec<_>) = from_first.partition(is_like_first);
    let (mut alike, mut others) = (alike.into_iter(), others.into_iter());
    let mut turns = Vec::with_capacity(addresses.len());
    while turns.len() < addresses.len() {
        turns.extend(alike.next());
        turns.extend(others.next());
    }
    turns
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;
    use tokio::net::{TcpListener, TcpSocket};

    use super::{Duration, SocketAddr, TcpStream, dial, in_turn, timeout};

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// A listener that takes nobody: its line is full.
    async fn black_hole() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(address("127.0.0.1:0")).expect("a free port");
        let listener = socket.listen(1).expect("listening");
        let to = listener.local_addr().expect("an address");
        let mut fillers = Vec::new();
        while let Ok(Ok(filler)) = timeout(Duration::from_millis(100), TcpStream::connect(to)).await {
            fillers.push(filler);
            assert!(fillers.len() < 1_000, "the line has no end");
        }
        (listener, fillers)
    }

    /// An address where nobody listens, nor will while it is held.
    fn nobody() -> (SocketAddr, TcpSocket) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(address("127.0.0.1:0")).expect("a free port");
        (socket.local_addr().expect("bound"), socket)
    }

    async fn somebody() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.expect("a free port")
    }

    #[tokio::test]
    async fn a_black_hole_costs_a_head_start_and_no_more() {
        let (hole, _fillers) = black_hole().await;
        let well = somebody().await;
        let addresses = [hole.local_addr().expect("bound"), well.local_addr().expect("bound")];
        for first in [0, 1] {
            let begun = Instant::now();
            let stream = timeout(Duration::from_secs(5), dial(&addresses, first)).await;
            let stream = stream.expect("in time").expect("a connection");
            assert_eq!(stream.peer_addr().ok(), Some(addresses[1]));
            assert!(first == 1 || begun.elapsed() >= Duration::from_millis(250));
        }
    }

    #[tokio::test]
    async fn after_a_refusal_the_next_is_tried_at_once() {
        let well = somebody().await;
        let (one, two) = (nobody(), nobody());
        let addresses = [one.0, two.0, well.local_addr().expect("bound")];
        let begun = Instant::now();
        let stream = dial(&addresses, 0).await.expect("a connection");
        assert_eq!(stream.peer_addr().ok(), Some(addresses[2]));
        assert!(begun.elapsed() < Duration::from_millis(250), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn when_all_refuse_the_refusal_is_told() {
        let (one, two) = (nobody(), nobody());
        let addresses = [one.0, two.0];
        let kind = dial(&addresses, 1).await.map_err(|error| error.kind()).err();
        assert_eq!(kind, Some(std::io::ErrorKind::ConnectionRefused));
        assert!(dial(&[], 0).await.is_err());
    }

    #[test]
    fn families_take_turns() {
        let of = |texts: &[&str]| texts.iter().map(|text| address(text)).collect::<Vec<_>>();
        let all = of(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]);
        assert_eq!(in_turn(&all, 0), of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "3.3.3.3:1"]));
        assert_eq!(in_turn(&all, 3), of(&["2.2.2.2:1", "[::1]:1", "3.3.3.3:1", "[::2]:1", "1.1.1.1:1"]));
    }

    proptest! {
        #[test]
        fn every_address_has_its_turn(families in prop::collection::vec(any::<bool>(), 1..12), first in any::<prop::sample::Index>()) {
            let all: Vec<SocketAddr> = (1_u16..).zip(&families).map(|(port, v4)| {
                if *v4 { ([127, 0, 0, 1], port).into() } else { (std::net::Ipv6Addr::LOCALHOST, port).into() }
            }).collect();
            let first = first.index(all.len());
            let mut turns = in_turn(&all, first);
            prop_assert_eq!(turns[0], all[first]);
            turns.sort_unstable();
            let mut expected = all.clone();
            expected.sort_unstable();
            prop_assert_eq!(turns, expected);
        }
    }
}
