//! The answers of one HTTP/1 connection, as a client reads them.

/// One final answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Which request of the record it answers; none for an answer of Banyan's own.
    pub(super) number: Option<usize>,
}

/// All of them. `is_head` says whether a request of the record was HEAD. A last one may be broken off.
pub(super) fn read(mut bytes: &[u8], is_head: impl Fn(usize) -> bool) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = str::from_utf8(&bytes[..end]).expect("a head of ours is text");
        bytes = &bytes[end + 4..];
        let status = head.strip_prefix("HTTP/1.1 ").or_else(|| head.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        let status: u16 = status.unwrap_or_else(|| panic!("no status line: {head:?}"));
        if status < 200 {
            continue;
        }
        let number = field(head, "x-number");
        let length = field(head, "content-length").unwrap_or_else(|| panic!("no length: {head:?}"));
        let has_body = match number {
            Some(number) => !is_head(number),
            // To what nobody but Banyan has seen: a body of ours does not look like a head.
            None => !bytes.starts_with(b"HTTP/1."),
        };
        bytes = if has_body { bytes.get(length..).unwrap_or_default() } else { bytes };
        answers.push(Answer { status, number });
    }
    answers
}

fn field(head: &str, name: &str) -> Option<usize> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut values =
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
    let value = values.next()?;
    assert_eq!(values.next(), None, "`{name}` twice: {head:?}");
    Some(value.parse().unwrap_or_else(|_| panic!("`{name}` is no number: {head:?}")))
}
