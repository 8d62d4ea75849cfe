//! Shadowed requests as they come, for `banyan record`: while somebody asks, and for a moment after.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::api::RecordedRequest;

/// Requests that wait for the next question.
const WAITING_MAX: usize = 1_000;

/// Bytes of them, all texts together.
const WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Recording ends this long after the last question.
const OPEN_FOR: Duration = Duration::from_secs(10);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Tap {
    waiting: VecDeque<RecordedRequest>,
    bytes: usize,
    /// Number of the request that comes next, from 0.
    next: u64,
    until: Option<Instant>,
}

/// What a question is answered with.
#[derive(Debug, PartialEq)]
pub(super) struct Drawn {
    pub(super) requests: Vec<RecordedRequest>,
    pub(super) next: u64,
    pub(super) lost: u64,
}

impl Tap {
    /// Whether somebody asked a moment ago. Lets go of what waits otherwise.
    pub(super) fn is_open(&mut self, now: Instant) -> bool {
        let is_open = self.until.is_some_and(|until| now < until);
        if !is_open {
            (self.until, self.bytes) = (None, 0);
            self.waiting = VecDeque::new();
        }
        is_open
    }

    /// Takes one in. Those that waited longest make room.
    pub(super) fn put(&mut self, request: RecordedRequest) {
        self.bytes += bytes(&request);
        self.waiting.push_back(request);
        self.next += 1;
        while self.waiting.len() > WAITING_MAX || self.bytes > WAITING_BYTES_MAX {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.bytes -= bytes(&oldest);
        }
    }

    /// The requests of a route from number `after` on, at most `count`; without `after`, only where to go on from.
    pub(super) fn draw(
        &mut self,
        route: Option<&str>,
        after: Option<u64>,
        count: usize,
        now: Instant,
    ) -> Drawn {
        // Numbers go on: who stayed away too long is told what is lost.
        self.is_open(now);
        self.until = Some(now + OPEN_FOR);
        let Some(after) = after.filter(|after| *after <= self.next) else {
            return Drawn { requests: Vec::new(), next: self.next, lost: 0 };
        };
        let oldest = self.next - self.waiting.len() as u64;
        let from = after.max(oldest);
        let skipped = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let mut drawn = Drawn { requests: Vec::new(), next: from, lost: from - after };
        for request in self.waiting.iter().skip(skipped) {
            if drawn.requests.len() >= count {
                break;
            }
            drawn.next += 1;
            if route.is_none_or(|route| route == request.route) {
                drawn.requests.push(request.clone());
            }
        }
        drawn
    }
}

fn bytes(request: &RecordedRequest) -> usize {
    let asked = &request.request;
    let fields: usize = asked.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    fields + request.route.len() + asked.target.len() + asked.body.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SampleRequest;

    fn request(route: &str, target: &str) -> RecordedRequest {
        let request = SampleRequest {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
            whole: true,
            safe: true,
        };
        RecordedRequest { route: route.to_owned(), at: String::new(), request }
    }

    #[test]
    fn it_is_open_while_somebody_asks() {
        let (mut tap, now) = (Tap::default(), Instant::now());
        assert!(!tap.is_open(now));
        assert_eq!(tap.draw(None, None, 10, now), Drawn { requests: Vec::new(), next: 0, lost: 0 });
        assert!(tap.is_open(now + OPEN_FOR / 2));
        tap.put(request("a", "/1"));
        assert!(!tap.is_open(now + OPEN_FOR));
        let late = tap.draw(None, Some(0), 10, now + OPEN_FOR);
        assert_eq!((late.requests.len(), late.next, late.lost), (0, 1, 1));
    }

    #[test]
    fn what_did_not_fit_is_said() {
        let (mut tap, now) = (Tap::default(), Instant::now());
        tap.draw(None, None, 0, now);
        for number in 0..WAITING_MAX + 5 {
            tap.put(request(if number % 2 == 0 { "a" } else { "b" }, &format!("/{number}")));
        }
        let drawn = tap.draw(Some("b"), Some(2), 2, now);
        assert_eq!((drawn.lost, drawn.next), (3, 8));
        assert_eq!(drawn.requests, [request("b", "/5"), request("b", "/7")]);
        tap.put(request("a", &"x".repeat(WAITING_BYTES_MAX + 1)));
        assert_eq!((tap.waiting.len(), tap.bytes), (0, 0));
        assert_eq!(tap.draw(None, Some(u64::MAX), 1, now).next, WAITING_MAX as u64 + 6);
    }
}
