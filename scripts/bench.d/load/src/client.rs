//! Many connections, each with one request at a time.
//!
//! With a rate, a request is due when the schedule says so, and its latency counts from there, also while it waits for a
//! free connection or for this thread: nothing is omitted because the proxy was slow. Without one, each connection asks
//! again as soon as it has its answer.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::answer::{Answer, Progress, end_of_head};
use crate::arguments::Arguments;
use crate::arrivals::Arrivals;
use crate::latencies::Latencies;
use crate::poll::Poll;

const USERS: usize = 1000;
/// What is still on its way then has that latency at least.
const PATIENCE: Duration = Duration::from_secs(5);
const ROUTE: &str = "@I@";
/// Of RFC 6455 1.3: the server of this program answers no other.
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What is asked, over and over.
struct Plan {
    port: u16,
    connections: usize,
    rate: Option<f64>,
    warm_up: Duration,
    length: Duration,
    /// Bytes of one WebSocket message, where it is those.
    message: Option<usize>,
    requests: Vec<Vec<u8>>,
}

struct Connection {
    stream: TcpStream,
    answer: Answer,
    due: Instant,
    busy: bool,
}

struct Load {
    plan: Plan,
    poll: Poll,
    connections: Vec<Connection>,
    free: Vec<usize>,
    waiting: VecDeque<Instant>,
    turn: usize,
    counted_from: Instant,
    over: bool,
    buffer: Vec<u8>,
    answered: usize,
    latencies: Latencies,
    lateness: Latencies,
    not_2xx: usize,
    broken: usize,
}

pub(crate) fn run(given: &Arguments) -> Result<(), String> {
    let mut load = Load::new(Plan::read(given)?)?;
    load.measure()?;
    load.say();
    Ok(())
}

impl Plan {
    fn read(given: &Arguments) -> Result<Self, String> {
        let target = given.get("target")?.unwrap_or_else(|| "/".to_owned());
        let routes = given.get("routes")?.unwrap_or(1_usize);
        let message: Option<usize> = given.get("websocket")?;
        if message.is_some_and(|bytes| bytes > 125) {
            return Err("--websocket takes 125 bytes at most".to_owned());
        }
        let request = |number: usize| {
            let target = target.replace(ROUTE, &format!("{:03}", number % routes));
            let user = if given.has("cookie") {
                format!("Cookie: session=user-{number}")
            } else {
                format!("x-user-id: user-{number}")
            };
            format!("GET {target} HTTP/1.1\r\nHost: bench\r\n{user}\r\n\r\n").into_bytes()
        };
        Ok(Self {
            port: given.must("port")?,
            connections: given.must("connections")?,
            rate: given.get("rate")?,
            warm_up: Duration::from_secs_f64(given.get("warm-up")?.unwrap_or(0.5)),
            length: Duration::from_secs_f64(given.must("seconds")?),
            message,
            requests: match message {
                Some(bytes) => vec![message_of(bytes)],
                None => (1..=USERS.max(routes)).map(request).collect(),
            },
        })
    }
}

/// A masked text frame (RFC 6455 5.2), as clients must send them.
fn message_of(bytes: usize) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let length = u8::try_from(bytes).expect("125 at most");
    let text = (0..bytes).map(|place| b'a' ^ mask[place % 4]);
    [0x81, 0x80 | length].into_iter().chain(mask).chain(text).collect()
}

impl Load {
    fn new(plan: Plan) -> Result<Self, String> {
        let poll = Poll::new()?;
        let mut connections = Vec::with_capacity(plan.connections);
        for name in 0..plan.connections {
            let stream = connect(&plan)?;
            poll.add(&stream, name)?;
            connections.push(Connection {
                stream,
                answer: Answer::default(),
                due: Instant::now(),
                busy: false,
            });
        }
        Ok(Self {
            free: (0..plan.connections).rev().collect(),
            counted_from: Instant::now() + plan.warm_up,
            over: false,
            plan,
            poll,
            connections,
            waiting: VecDeque::new(),
            turn: 0,
            buffer: vec![0; 64 * 1024],
            answered: 0,
            latencies: Latencies::default(),
            lateness: Latencies::default(),
            not_2xx: 0,
            broken: 0,
        })
    }

    fn measure(&mut self) -> Result<(), String> {
        let begin = Instant::now();
        self.counted_from = begin + self.plan.warm_up;
        let end = self.counted_from + self.plan.length;
        let mut arrivals = self.plan.rate.map(Arrivals::new);
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let mut wake = end;
            if let Some(arrivals) = &mut arrivals {
                while begin + arrivals.next() <= now {
                    self.waiting.push_back(begin + arrivals.advance());
                }
                wake = end.min(begin + arrivals.next());
                self.send_waiting();
            } else if !self.free.is_empty() {
                self.begin_some(now - begin);
                wake = end.min(now + Duration::from_millis(1));
            }
            for name in self.poll.wait(Some(wake.saturating_duration_since(Instant::now())))? {
                self.read(name, arrivals.is_none())?;
            }
        }
        self.drain(end)
    }

    /// One connection after the other until half of the warm-up is over: upstreams have to be connected, too.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // far from any edge
    fn begin_some(&mut self, elapsed: Duration) {
        let share = (elapsed.as_secs_f64() * 2.0 / self.plan.warm_up.as_secs_f64().max(0.001)).min(1.0);
        let left = self.plan.connections - (self.plan.connections as f64 * share) as usize;
        while self.free.len() > left
            && let Some(name) = self.free.pop()
        {
            self.send(name, Instant::now());
        }
    }

    fn send_waiting(&mut self) {
        while !self.waiting.is_empty()
            && let Some(name) = self.free.pop()
        {
            let due = self.waiting.pop_front().expect("one is there");
            self.send(name, due);
        }
    }

    fn send(&mut self, name: usize, due: Instant) {
        let request = &self.plan.requests[self.turn % self.plan.requests.len()];
        self.turn += 1;
        let connection = &mut self.connections[name];
        connection.due = due;
        connection.busy = true;
        if due >= self.counted_from && self.plan.rate.is_some() {
            self.lateness.note(due.elapsed());
        }
        // Small, and the connection is empty: a request goes out whole or not at all. What goes wrong is seen when reading.
        let _ = connection.stream.write(request);
    }

    fn read(&mut self, name: usize, again: bool) -> Result<(), String> {
        let buffer = &mut self.buffer;
        let connection = &mut self.connections[name];
        let progress = match connection.stream.read(buffer) {
            Ok(0) => Progress::Nonsense,
            Ok(read) => match self.plan.message {
                Some(length) => connection.answer.take_message(&buffer[..read], length),
                None => connection.answer.take_http(&buffer[..read]),
            },
            Err(problem) if matches!(problem.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(_) => Progress::Nonsense,
        };
        match progress {
            Progress::Waiting => return Ok(()),
            Progress::Whole { good } => self.answered(name, good),
            Progress::Nonsense => self.replace(name)?,
        }
        if again {
            self.send(name, Instant::now());
        } else {
            self.free.push(name);
        }
        Ok(())
    }

    fn answered(&mut self, name: usize, good: bool) {
        let connection = &mut self.connections[name];
        connection.busy = false;
        self.answered += 1;
        let from = if self.plan.rate.is_some() { connection.due } else { Instant::now() };
        if from >= self.counted_from && !self.over {
            self.latencies.note(connection.due.elapsed());
            self.not_2xx += usize::from(!good);
        }
    }

    /// A new connection in the place of one that broke; idle ones may end, busy ones not.
    fn replace(&mut self, name: usize) -> Result<(), String> {
        self.broken += usize::from(self.connections[name].busy);
        let stream = connect(&self.plan)?;
        self.poll.add(&stream, name)?;
        self.free.retain(|&free| free != name);
        self.connections[name] =
            Connection { stream, answer: Answer::default(), due: Instant::now(), busy: false };
        Ok(())
    }

    /// What has been sent in time may be answered later; in an open loop, what never was has waited until now. In a closed
    /// one the last answers count no more, but nothing is broken off: the proxy would close its connections, too.
    fn drain(&mut self, end: Instant) -> Result<(), String> {
        self.over = self.plan.rate.is_none();
        while end.elapsed() < PATIENCE && self.connections.iter().any(|one| one.busy) {
            for name in self.poll.wait(Some(Duration::from_millis(100)))? {
                self.read(name, false)?;
            }
        }
        if self.plan.rate.is_some() {
            let busy = self.connections.iter().filter(|one| one.busy).map(|one| one.due);
            for due in busy.chain(self.waiting.iter().copied()).filter(|&due| due >= self.counted_from) {
                self.latencies.note(due.elapsed());
                self.broken += usize::from(end.elapsed() >= PATIENCE);
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss)] // for people
    fn say(&mut self) {
        self.latencies.sort();
        self.lateness.sort();
        let [p50, p99, p999] = [500, 990, 999].map(|per_mille| self.latencies.at(per_mille));
        println!(
            r#"{{"requests":{},"answered":{},"requests_per_second":{:.1},"p50_us":{p50},"p99_us":{p99},"p999_us":{p999},"sent_late_p99_us":{},"not_2xx":{},"broken":{}}}"#,
            self.latencies.len(),
            self.answered,
            self.latencies.len() as f64 / self.plan.length.as_secs_f64(),
            self.lateness.at(990),
            self.not_2xx,
            self.broken,
        );
    }
}

fn connect(plan: &Plan) -> Result<TcpStream, String> {
    let failed = |problem: std::io::Error| format!("cannot connect to port {}: {problem}", plan.port);
    let mut stream = TcpStream::connect(("127.0.0.1", plan.port)).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    // Ten thousand that wait for their end (TIME_WAIT) would leave few ports for the next round.
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
        .map_err(|error| failed(error.into()))?;
    if plan.message.is_some() {
        upgrade(&mut stream).map_err(failed)?;
    }
    stream.set_nonblocking(true).map_err(failed)?;
    Ok(stream)
}

fn upgrade(stream: &mut TcpStream) -> std::io::Result<()> {
    stream
        .write_all(format!("GET /api/slow/socket HTTP/1.1\r\nHost: bench\r\n{HANDSHAKE}\r\n").as_bytes())?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while end_of_head(&head).is_none() {
        match stream.read(&mut part)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&part[..read]),
        }
    }
    if head.starts_with(b"HTTP/1.1 101") { Ok(()) } else { Err(std::io::Error::other("no 101")) }
}
