//! An upstream on one thread: answers requests after a while, when their bodies are whole, and echoes WebSocket messages at
//! once.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::answer::{content_length, end_of_head};
use crate::arguments::Arguments;
use crate::poll::Poll;

const LISTENER: usize = usize::MAX;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nlegacy";
/// Of the key in RFC 6455 1.3, which the client of this program sends.
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct Connection {
    stream: TcpStream,
    seen: Vec<u8>,
    /// Of the body of a request, which nobody keeps.
    body_left: usize,
    speaks_websocket: bool,
    /// Tells it from an earlier one with the same name.
    number: u64,
}

struct Server {
    listener: TcpListener,
    poll: Poll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    open: usize,
    accepted: u64,
    most: usize,
    delay: Duration,
    buffer: Vec<u8>,
    /// In order, since all wait equally long.
    due: VecDeque<(Instant, usize, u64)>,
}

pub(crate) fn run(given: &Arguments) -> Result<(), String> {
    let port: u16 = given.must("port")?;
    let failed = |problem: std::io::Error| format!("port {port}: {problem}");
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    // Rust asks for a queue of 128; asking again makes it longer.
    rustix::net::listen(&listener, 4096).map_err(|problem| failed(problem.into()))?;
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER)?;
    let mut server = Server {
        listener,
        poll,
        connections: Vec::new(),
        free: Vec::new(),
        open: 0,
        accepted: 0,
        most: given.get("most")?.unwrap_or(usize::MAX),
        delay: Duration::from_millis(given.get("delay-ms")?.unwrap_or(0)),
        buffer: vec![0; 256 * 1024],
        due: VecDeque::new(),
    };
    loop {
        server.turn()?;
    }
}

impl Server {
    fn turn(&mut self) -> Result<(), String> {
        let wait = self.due.front().map(|(due, ..)| due.saturating_duration_since(Instant::now()));
        for name in self.poll.wait(wait)? {
            if name == LISTENER {
                self.accept()?;
            } else if self.read(name).is_err() {
                self.close(name);
            }
        }
        let now = Instant::now();
        while let Some(&(due, name, number)) = self.due.front()
            && due <= now
        {
            self.due.pop_front();
            self.answer(name, number);
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<(), String> {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.open >= self.most {
                continue; // closed: there is no room
            }
            let usable = stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true));
            if usable.is_err() {
                continue;
            }
            self.open += 1;
            self.accepted += 1;
            let name = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.poll.add(&stream, name)?;
            self.connections[name] = Some(Connection {
                stream,
                seen: Vec::new(),
                body_left: 0,
                speaks_websocket: false,
                number: self.accepted,
            });
        }
        Ok(())
    }

    fn read(&mut self, name: usize) -> std::io::Result<()> {
        let Some(connection) = &mut self.connections[name] else { return Ok(()) };
        let read = match connection.stream.read(&mut self.buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => &self.buffer[..read],
            Err(problem) if problem.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(problem) => return Err(problem),
        };
        if connection.body_left > 0 {
            connection.body_left = connection.body_left.saturating_sub(read.len());
        } else {
            connection.seen.extend_from_slice(read);
            if !connection.speaks_websocket && !connection.take_head()? {
                return Ok(());
            }
        }
        if connection.speaks_websocket {
            return connection.echo();
        }
        if connection.body_left == 0 {
            self.due.push_back((Instant::now() + self.delay, name, connection.number));
        }
        Ok(())
    }

    fn answer(&mut self, name: usize, number: u64) {
        let Some(connection) = self.connections[name].as_mut().filter(|one| one.number == number) else {
            return;
        };
        if connection.stream.write_all(ANSWER).is_err() {
            self.close(name);
        }
    }

    fn close(&mut self, name: usize) {
        if self.connections[name].take().is_some() {
            self.free.push(name);
            self.open -= 1;
        }
    }
}

impl Connection {
    /// Whether it is there: what follows it then are messages, or a body of which the first part has come, too.
    fn take_head(&mut self) -> std::io::Result<bool> {
        let Some(end) = end_of_head(&self.seen) else { return Ok(false) };
        let head = &self.seen[..end];
        if head.to_ascii_lowercase().windows(18).any(|part| part == b"upgrade: websocket") {
            self.speaks_websocket = true;
            self.seen.drain(..end);
            self.stream.write_all(SWITCH)?;
        } else {
            self.body_left = content_length(head).unwrap_or(0).saturating_sub(self.seen.len() - end);
            self.seen.clear();
        }
        Ok(true)
    }

    /// Every whole message back, its mask taken off: messages are short, and only clients mask.
    fn echo(&mut self) -> std::io::Result<()> {
        while self.seen.len() >= 2 {
            let length = usize::from(self.seen[1] & 0x7f);
            if length > 125 || self.seen[1] & 0x80 == 0 {
                return Err(ErrorKind::InvalidData.into());
            }
            if self.seen.len() < 6 + length {
                break;
            }
            let mask = [self.seen[2], self.seen[3], self.seen[4], self.seen[5]];
            let mut back = vec![self.seen[0], self.seen[1] & 0x7f];
            back.extend(
                self.seen[6..6 + length].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask),
            );
            self.stream.write_all(&back)?;
            self.seen.drain(..6 + length);
        }
        Ok(())
    }
}
