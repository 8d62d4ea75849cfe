//! Signs of a state: a shape and a word, so that nothing depends on colour; bars without a style attribute.

use maud::{Markup, html};

use super::assets;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Worth reading.
    Info,
    /// As it should be, and measured.
    Good,
    /// Somebody should look.
    Warn,
    /// Somebody should act.
    Bad,
}

impl Level {
    /// The class.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    fn icon(self) -> &'static str {
        match self {
            Self::Good => "ok",
            other => other.class(),
        }
    }
}

/// A shape of `icons.svg`; the word stands beside it.
pub(super) fn icon(name: &str) -> Markup {
    let address = format!("{}#{name}", assets::address("icons.svg"));
    html! { svg.i aria-hidden="true" { use href=(address) {} } }
}

/// A shape and a word.
pub(super) fn state(level: Level, words: &str) -> Markup {
    html! { span class={ "state " (level.class()) } { (icon(level.icon())) (words) } }
}

/// Where a route is on its way: a circle that fills, and the word.
pub(super) fn stage(stage: &str) -> Markup {
    html! { span.state { (icon(&format!("stage-{stage}"))) (stage) } }
}

/// A box that says what is the matter.
pub(super) fn note(level: Level, text: &Markup) -> Markup {
    html! { div class={ "note " (level.class()) } { (icon(level.icon())) div { (text) } } }
}

/// What clients get as configured (a line) and what was seen (the filled part); `said` in words.
pub(super) fn share_bar(configured: f64, observed: Option<f64>, said: &str) -> Markup {
    let seen = format!("{:.1}", observed.unwrap_or_default().clamp(0.0, 1.0) * 100.0);
    let set = format!("{:.1}", (configured * 100.0 - 0.5).clamp(0.0, 99.0));
    html! {
        svg.bar viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(said) {
            rect.track y="2" width="100" height="6" {}
            rect.seen y="2" width=(seen) height="6" {}
            rect.set x=(set) width="1" height="10" {}
        }
    }
}

/// A part of a whole; the figure stands beside it.
pub(super) fn meter(ratio: f64) -> Markup {
    let width = format!("{:.1}", ratio.clamp(0.0, 1.0) * 100.0);
    html! {
        svg.meter viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.track width="100" height="8" {}
            rect.seen width=(width) height="8" {}
        }
    }
}
