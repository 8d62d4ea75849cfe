//! Figures and moments as the pages write them. A unit is never missing, and never parted from its figure.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};

/// Between a figure and its unit, and between groups of three digits.
const JOIN: char = '\u{a0}';

/// What stands where nothing was measured. Never a zero, never green.
pub(super) fn no_data() -> Markup {
    html! { span.none { "no data" } }
}

/// What stands where nothing can be measured: no candidate, nothing compared.
pub(super) fn not_here(why: &str) -> Markup {
    html! { span.soft aria-hidden="true" { "–" } span.unseen { (why) } }
}

/// A measured figure, or that there is none.
pub(super) fn or_no_data(value: Option<f64>, told: impl Fn(f64) -> String) -> Markup {
    match value {
        Some(value) => html! { (told(value)) },
        None => no_data(),
    }
}

/// 0..=1 as percent with three digits that count: `0 %`, `0.12 %`, `24.8 %`, `100 %`.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let text = match percent {
        low if low <= 0.0 => "0".to_owned(),
        low if low < 0.01 => "<\u{2009}0.01".to_owned(),
        low if low < 10.0 => trimmed(format!("{low:.2}")),
        // 99.96 % is not yet all of them.
        high if high < 100.0 => trimmed(format!("{:.1}", high.min(99.9))),
        _ => "100".to_owned(),
    };
    format!("{text}{JOIN}%")
}

/// `0.3–0.55 %`: between what a ratio lies.
pub(super) fn interval(low: f64, high: f64) -> String {
    let low = percent(low);
    format!("{}–{}", low.trim_end_matches([JOIN, '%']), percent(high))
}

/// `380 µs`, `34 ms`, `1.24 s`
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 0.000_999_5 {
        format!("{:.0}{JOIN}µs", seconds * 1e6)
    } else if seconds < 0.009_995 {
        format!("{}{JOIN}ms", trimmed(format!("{:.1}", seconds * 1e3)))
    } else if seconds < 0.999_5 {
        format!("{:.0}{JOIN}ms", seconds * 1e3)
    } else {
        format!("{}{JOIN}s", trimmed(format!("{seconds:.2}")))
    }
}

/// Per second: `0.4`, `57.2`, `1 420`
pub(super) fn rate(per_second: f64) -> String {
    if per_second <= 0.0 {
        "0".to_owned()
    } else if per_second < 0.01 {
        "<\u{2009}0.01".to_owned()
    } else if per_second < 1.0 {
        trimmed(format!("{per_second:.2}"))
    } else if per_second < 100.0 {
        trimmed(format!("{per_second:.1}"))
    } else {
        grouped(&format!("{per_second:.0}"))
    }
}

/// `1 204 331`
pub(super) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// `1 route`, `3 routes`
pub(super) fn of(number: usize, one: &str, many: &str) -> String {
    let number = number as u64;
    format!("{}{JOIN}{}", count(number), if number == 1 { one } else { many })
}

/// `12 s`, `4 min`, `3 h`, `12 d`
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds}{JOIN}s"),
        60..3_600 => format!("{}{JOIN}min", seconds / 60),
        3_600..172_800 => format!("{}{JOIN}h", seconds / 3_600),
        _ => format!("{}{JOIN}d", seconds / 86_400),
    }
}

/// A moment, RFC 3339, exact for readers without scripts; a script turns it into `3 min ago`, with the exact one as its title.
pub(super) fn time(at: &str) -> Markup {
    let exact = exact(at);
    html! { time datetime=(at) title=(exact) data-ago { (exact) } }
}

/// The same, left as it is.
pub(super) fn exact_time(at: &str) -> Markup {
    html! { time datetime=(at) { (exact(at)) } }
}

/// `2026-11-26 02:14:07 UTC`; what is no moment as it is.
pub(super) fn exact(at: &str) -> String {
    let Ok(moment) = at.parse::<Timestamp>() else { return at.to_owned() };
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Without zeros after the point that say nothing.
fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(JOIN);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(told: &str, expected: &str) {
        assert_eq!(told.replace(['\u{a0}', '\u{2009}'], " "), expected);
    }

    #[test]
    fn a_ratio_is_never_rounded_to_nothing_or_to_all() {
        check(&percent(0.0), "0 %");
        check(&percent(0.000_04), "< 0.01 %");
        check(&percent(0.001_2), "0.12 %");
        check(&percent(0.023), "2.3 %");
        check(&percent(0.248), "24.8 %");
        check(&percent(0.999_6), "99.9 %");
        check(&percent(1.0), "100 %");
        check(&interval(0.003, 0.0055), "0.3–0.55 %");
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        check(&seconds(0.000_38), "380 µs");
        check(&seconds(0.000_999_9), "1 ms");
        check(&seconds(0.003_4), "3.4 ms");
        check(&seconds(0.034), "34 ms");
        check(&seconds(0.999_9), "1 s");
        check(&seconds(1.243), "1.24 s");
    }

    #[test]
    fn rates_and_counts_are_grouped() {
        check(&rate(0.0), "0");
        check(&rate(0.004), "< 0.01");
        check(&rate(0.4), "0.4");
        check(&rate(57.24), "57.2");
        check(&rate(1420.4), "1 420");
        check(&count(1_204_331), "1 204 331");
        check(&of(1, "route", "routes"), "1 route");
    }

    #[test]
    fn a_moment_names_its_zone() {
        assert_eq!(exact("2026-11-26T02:14:07.120Z"), "2026-11-26 02:14:07 UTC");
        assert_eq!(exact("yesterday"), "yesterday");
    }
}
