//! Where one answer ends, and whether it is a good one.

/// What is still to come of the answer that a connection waits for.
#[derive(Default)]
pub(crate) struct Answer {
    head: Vec<u8>,
    body_left: usize,
    good: bool,
}

/// What bytes have made of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Whole { good: bool },
    Nonsense,
}

impl Answer {
    /// Of HTTP/1.1, with a `Content-Length`.
    pub(crate) fn take_http(&mut self, bytes: &[u8]) -> Progress {
        if self.body_left > 0 {
            return self.take_body(bytes.len());
        }
        self.head.extend_from_slice(bytes);
        let Some(end) = end_of_head(&self.head) else { return Progress::Waiting };
        let Some(length) = content_length(&self.head[..end]) else { return Progress::Nonsense };
        self.good = self.head.starts_with(b"HTTP/1.1 2");
        let seen = self.head.len() - end;
        self.head.clear();
        self.body_left = length;
        self.take_body(seen)
    }

    /// One WebSocket message of `length` bytes, 125 at most: two more for its head.
    pub(crate) fn take_message(&mut self, bytes: &[u8], length: usize) -> Progress {
        if self.body_left == 0 {
            self.body_left = length + 2;
            self.good = bytes[0] == 0x81;
        }
        self.take_body(bytes.len())
    }

    fn take_body(&mut self, seen: usize) -> Progress {
        if seen > self.body_left {
            return Progress::Nonsense;
        }
        self.body_left -= seen;
        if self.body_left == 0 { Progress::Whole { good: self.good } } else { Progress::Waiting }
    }
}

/// Behind the empty line.
pub(crate) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|place| place + 4)
}

pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    let text = str::from_utf8(head).ok()?;
    let line = text
        .split("\r\n")
        .find(|line| line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case("content-length:")))?;
    line[15..].trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_wherever_they_are_cut() {
        let answer = b"HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 6\r\n\r\nlegacy";
        for cut in 1..answer.len() {
            let mut waiting = Answer::default();
            assert_eq!(waiting.take_http(&answer[..cut]), Progress::Waiting, "{cut}");
            assert_eq!(waiting.take_http(&answer[cut..]), Progress::Whole { good: true }, "{cut}");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_seen() {
        let mut waiting = Answer::default();
        assert_eq!(
            waiting.take_http(b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n"),
            Progress::Whole { good: false }
        );
        assert_eq!(waiting.take_http(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"), Progress::Nonsense);
        assert_eq!(Answer::default().take_http(b"HTTP/1.1 200 OK\r\n\r\n"), Progress::Nonsense);
    }

    #[test]
    fn messages_come_in_parts() {
        let mut waiting = Answer::default();
        assert_eq!(waiting.take_message(&[0x81], 2), Progress::Waiting);
        assert_eq!(waiting.take_message(&[2, b'a', b'b'], 2), Progress::Whole { good: true });
    }
}
