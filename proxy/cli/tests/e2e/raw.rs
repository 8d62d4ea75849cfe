//! An answer as it came over the wire.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;

/// An answer, its names spelled as they came, its body without framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Without the version: `200 OK`.
    pub(crate) status: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of the first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends exactly these bytes, which ask for the connection to be closed, and reads until it is.
pub(crate) async fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let exchange = async {
        let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        // At the same time: who answers early may not read on.
        let sending = async { drop(writer.write_all(request).await) };
        let mut bytes = Vec::new();
        let ((), read) = tokio::join!(sending, reader.read_to_end(&mut bytes));
        read.unwrap();
        bytes
    };
    let bytes = timeout(PATIENCE, exchange).await.expect("an answer in time");
    final_answer(&bytes)
}

/// Leaves interim answers out.
fn final_answer(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|end| end == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(bytes)));
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let (version, status) = lines.next().unwrap().split_once(' ').unwrap();
    assert!(version.starts_with("HTTP/1."), "{version}");
    if status.starts_with('1') {
        return final_answer(&bytes[end + 4..]);
    }
    let field = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no field: {line}"));
        (name.to_owned(), value.trim().to_owned())
    };
    let fields = lines.map(field).collect();
    let mut answer = Answer { status: status.to_owned(), fields, body: bytes[end + 4..].to_vec() };
    if answer.field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        answer.body = unchunked(&answer.body);
    }
    answer
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|end| end == b"\r\n").expect("the size of a chunk");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap().trim(), 16).unwrap();
        bytes = &bytes[end + 2..];
        if size == 0 {
            assert_eq!(bytes, b"\r\n", "the end of the last chunk");
            return body;
        }
        body.extend_from_slice(&bytes[..size]);
        assert_eq!(&bytes[size..size + 2], b"\r\n", "the end of a chunk");
        bytes = &bytes[size + 2..];
    }
}
