//! Which builds of an upstream have answered of late, as far as they say so: `Banyan-Build`.
//!
//! While a new one is rolled out, both answer in turn. What was not heard of for a while is new when it comes again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::header::{HeaderName, HeaderValue};

pub(super) const BANYAN_BUILD: HeaderName = HeaderName::from_static("banyan-build");

/// After that a build that is silent counts as gone.
const REMEMBERED: Duration = Duration::from_mins(1);
/// Most builds of one upstream. Beyond them the one that was silent longest is forgotten.
const BUILDS: usize = 8;
/// Longest name of a build; a longer one says nothing.
pub(super) const NAME_BYTES: usize = 128;

/// By upstream.
#[derive(Default)]
pub(super) struct Builds(BTreeMap<String, Vec<Heard>>);

struct Heard {
    build: HeaderValue,
    last: Instant,
}

impl Builds {
    /// True when the upstream has another build than those heard of.
    pub(super) fn is_new(&mut self, upstream: &str, build: &HeaderValue, now: Instant) -> bool {
        let heard = self.0.entry(upstream.to_owned()).or_default();
        let latest = heard.iter().map(|heard| heard.last).max();
        if let Some(known) = heard.iter_mut().find(|heard| heard.build == *build) {
            let was_replaced = latest.is_some_and(|latest| latest > known.last);
            let is_back = was_replaced && now.saturating_duration_since(known.last) > REMEMBERED;
            known.last = now;
            return is_back;
        }
        let is_first = heard.is_empty();
        if heard.len() == BUILDS {
            let oldest = (0..BUILDS).min_by_key(|&place| heard[place].last).unwrap_or(0);
            heard.swap_remove(oldest);
        }
        // A copy: the value itself would keep the buffer it was read into.
        let build = HeaderValue::from_bytes(build.as_bytes()).unwrap_or_else(|_| build.clone());
        heard.push(Heard { build, last: now });
        !is_first
    }

    /// Whether this process has heard that build.
    pub(super) fn has_heard(&self, upstream: &str, build: &str) -> bool {
        let heard = self.0.get(upstream).into_iter().flatten();
        heard.map(|heard| &heard.build).any(|heard| heard == build)
    }

    /// Forgets upstreams that are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|upstream, _| is_there(upstream));
    }

    pub(super) fn upstreams(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http::HeaderValue;

    use super::Builds;

    #[test]
    fn a_build_is_new_once_and_again_after_a_silence() {
        let (mut builds, start) = (Builds::default(), Instant::now());
        let mut hear = |build: &'static str, seconds: u64| {
            let at = start + Duration::from_secs(seconds);
            builds.is_new("orders", &HeaderValue::from_static(build), at)
        };
        assert!(!hear("a", 0), "nothing is known before the first");
        assert!(!hear("a", 100), "the only one may be silent");
        assert!(hear("b", 101));
        assert!(!hear("a", 102), "while both answer in turn");
        assert!(!hear("b", 103));
        assert!(!hear("b", 190), "silent, and none other heard");
        assert!(hear("a", 200), "rolled back");
        for _ in 0..20 {
            assert!(!hear("a", 201));
        }
    }
}
