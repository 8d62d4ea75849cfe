//! Clients of the admin listener who hold connections and ask nothing, or slowly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::site::{LONG, Site, routes};

/// More than the listener takes.
const MANY: usize = 300;
const TAKEN: usize = 256;

/// What the listener gives a client for a head, and some time for a slow machine.
const HEAD_WITHIN: Duration = Duration::from_secs(15);

/// Asks as a probe does: whether an answer came.
fn is_healthy(admin: SocketAddr) -> bool {
    let mut answer = String::new();
    let asked = TcpStream::connect(admin).and_then(|mut stream| {
        stream.set_read_timeout(Some(LONG))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    asked.is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// Whether the other side has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    match stream.read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn idle_connections_are_bounded_and_make_room() {
    let site = Site::start(&routes(0));
    assert!(is_healthy(site.admin));
    let mut idle: Vec<TcpStream> = (0..MANY).map(|_| TcpStream::connect(site.admin).unwrap()).collect();
    let start = Instant::now();
    while !is_healthy(site.admin) {
        assert!(
            start.elapsed() < HEAD_WITHIN,
            "others are answered again when nothing was asked for a while"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let closed = idle.iter_mut().filter_map(|stream| is_closed(stream).then_some(())).count();
    assert!(closed >= MANY - TAKEN, "{closed} of {MANY} were closed");
    site.until(LONG, "all who ask nothing are closed", |_| idle.iter_mut().all(is_closed));
    assert!(site.metric("banyan_admin_connections_refused_total") >= (MANY - TAKEN) as u64);
}

#[test]
fn a_slow_head_is_not_waited_for() {
    let site = Site::start(&routes(0));
    let mut slow = TcpStream::connect(site.admin).unwrap();
    let start = Instant::now();
    let mut head = b"GET /healthz HTTP/1.1\r\nx-slow: ".iter().chain(b"z".iter().cycle());
    // One letter after the other: a deadline between letters would never come.
    while !is_closed(&mut slow) {
        assert!(start.elapsed() < HEAD_WITHIN, "a head without end is waited for");
        assert!(is_healthy(site.admin), "others are answered meanwhile");
        let _ = slow.write(&[*head.next().unwrap()]);
        std::thread::sleep(Duration::from_millis(50));
    }
}
