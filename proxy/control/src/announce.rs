//! Who is about to write a file, so that the swap it makes has a name in the history.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::api::Announcement;

/// An announcement whose file did not come within this time is forgotten.
const LIFETIME: Duration = Duration::from_mins(1);

/// Most announcements waited for; the oldest gives way.
const WAITING_MAX: usize = 64;

/// Announcements whose files have not come yet.
#[derive(Debug, Default)]
pub(crate) struct Announcements {
    waiting: VecDeque<(Instant, Announcement)>,
}

impl Announcements {
    /// Remembers one; a newer one for the same hash counts.
    pub(crate) fn add(&mut self, announcement: Announcement, now: Instant) {
        self.forget_old(now);
        self.waiting.retain(|(_, known)| known.after_hash != announcement.after_hash);
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((now + LIFETIME, announcement));
    }

    /// Who announced the text with this hash. Each announcement is used once.
    pub(crate) fn take(&mut self, text_hash: &str, now: Instant) -> Option<Announcement> {
        self.forget_old(now);
        let place = self.waiting.iter().position(|(_, known)| known.after_hash == text_hash)?;
        self.waiting.remove(place).map(|(_, announcement)| announcement)
    }

    /// Whether the text with this hash is waited for.
    pub(crate) fn holds(&self, text_hash: &str, now: Instant) -> bool {
        self.waiting.iter().any(|(until, known)| *until > now && known.after_hash == text_hash)
    }

    fn forget_old(&mut self, now: Instant) {
        self.waiting.retain(|(until, _)| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(who: &str, hash: &str) -> Announcement {
        Announcement { who: who.to_owned(), why: None, after_hash: hash.to_owned() }
    }

    #[test]
    fn an_announcement_is_used_once_and_forgotten_in_time() {
        let (mut waiting, start) = (Announcements::default(), Instant::now());
        waiting.add(by("ann", "1"), start);
        waiting.add(by("bob", "2"), start);
        assert_eq!(waiting.take("1", start), Some(by("ann", "1")));
        assert_eq!(waiting.take("1", start), None);
        assert_eq!(waiting.take("2", start + LIFETIME), None);
    }

    #[test]
    fn announcements_are_bounded() {
        let (mut waiting, start) = (Announcements::default(), Instant::now());
        for number in 0..=WAITING_MAX {
            waiting.add(by("ann", &number.to_string()), start);
        }
        assert_eq!(waiting.waiting.len(), WAITING_MAX);
        assert_eq!(waiting.take("0", start), None);
    }
}
