//! An admin API that says what it is told to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers until the process ends.
pub(crate) struct Scripted {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// `answers`: end of the path, status, JSON. What is not listed is not found.
    pub(crate) fn start(answers: Vec<(&'static str, u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (answers, seen) = (answers.clone(), Arc::clone(&seen));
                thread::spawn(move || answer(client, &answers, &seen));
            }
        });
        Self { address, heads }
    }

    pub(crate) fn admin(&self) -> String {
        self.address.to_string()
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// One request per connection, body and all: a connection closed with bytes unread would be reset.
fn answer(mut client: TcpStream, answers: &[(&str, u16, String)], seen: &Mutex<Vec<String>>) {
    let Some((head, _)) = read(&client) else { return };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().unwrap().push(head);
    let found = answers.iter().find(|(end, ..)| path.ends_with(end));
    let nothing = (404, r#"{"version":1,"code":"not-found","message":"not scripted"}"#.to_owned());
    let (status, body) = found.map_or(nothing, |(_, status, body)| (*status, body.clone()));
    let length = body.len();
    // The command may have gone: nothing to do about it.
    let _ =
        write!(client, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

/// Head and body of a request; `None` when it does not come to its end.
pub(crate) fn read(client: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}
