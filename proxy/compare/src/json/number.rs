//! Decimals as JSON writes them, exact.

use std::borrow::Cow;

/// Digits of the largest number that is compared with a tolerance: what 128 bits hold.
const DIGITS_MAX: i64 = 37;

/// A number without zeros at its ends: `digits * 10^exponent`.
struct Decimal<'a> {
    negative: bool,
    digits: Cow<'a, str>,
    exponent: i64,
}

/// One text for one value: `1`, `1.0` and `1e0` are `1e0`. A number with an exponent beyond 18 digits stays as it is.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let decimal = Decimal::parse(text)?;
    if decimal.digits.is_empty() {
        return Some("0".to_owned());
    }
    let sign = if decimal.negative { "-" } else { "" };
    Some(format!("{sign}{}e{}", decimal.digits, decimal.exponent))
}

/// How far apart two numbers are, and the larger magnitude; none if that cannot be said exactly.
pub(crate) fn distance(one: &str, other: &str) -> Option<(f64, f64)> {
    let (one, other) = (Decimal::parse(one)?, Decimal::parse(other)?);
    let exponent = match (one.digits.is_empty(), other.digits.is_empty()) {
        (true, _) => other.exponent,
        (_, true) => one.exponent,
        _ => one.exponent.min(other.exponent),
    };
    let (one, other) = (one.scaled_to(exponent)?, other.scaled_to(exponent)?);
    let magnitude = one.unsigned_abs().max(other.unsigned_abs());
    Some((to_float(one.abs_diff(other), exponent)?, to_float(magnitude, exponent)?))
}

fn to_float(value: u128, exponent: i64) -> Option<f64> {
    format!("{value}e{exponent}").parse().ok()
}

impl<'a> Decimal<'a> {
    /// Of a text that is a number in JSON.
    fn parse(text: &'a str) -> Option<Self> {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i64 = exponent.parse().ok().filter(|found: &i64| found.unsigned_abs() < 1 << 60)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits =
            if fraction.is_empty() { Cow::Borrowed(whole) } else { Cow::Owned([whole, fraction].concat()) };
        let kept = digits.trim_end_matches('0').len();
        let dropped = i64::try_from(digits.len() - kept).ok()?;
        let exponent = exponent - i64::try_from(fraction.len()).ok()? + dropped;
        let digits = digits[..kept].trim_start_matches('0').to_owned();
        Some(Self { negative, digits: digits.into(), exponent })
    }

    fn scaled_to(&self, exponent: i64) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let zeros = self.exponent - exponent;
        let length = i64::try_from(self.digits.len()).ok()?;
        if length.checked_add(zeros)? > DIGITS_MAX {
            return None;
        }
        let value = self.digits.parse::<i128>().ok()? * 10_i128.pow(u32::try_from(zeros).ok()?);
        Some(if self.negative { -value } else { value })
    }
}

#[cfg(test)]
mod tests {
    use super::{canonical, distance};

    #[test]
    fn one_value_has_one_form() {
        for (text, expected) in [
            ("1", "1e0"),
            ("1.0", "1e0"),
            ("1e0", "1e0"),
            ("10E-1", "1e0"),
            ("0.10", "1e-1"),
            ("-0.0", "0"),
            ("0e99", "0"),
            ("-12300", "-123e2"),
            ("9007199254740993", "9007199254740993e0"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
            assert_eq!(canonical(expected).as_deref(), Some(expected), "{text}");
        }
        assert_ne!(canonical("9007199254740993"), canonical("9007199254740992"));
        assert_eq!(canonical("1e99999999999999999999"), None);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the nearest number to an exact result is meant")]
    fn distances_are_exact() {
        assert_eq!(distance("10.00", "10.01"), Some((0.01, 10.01)));
        assert_eq!(distance("9007199254740993", "9007199254740992").unwrap().0, 1.0);
        assert_eq!(distance("1e300", "1.1e300").unwrap().0, 1e299);
        assert_eq!(distance("0", "5e-7").unwrap().0, 5e-7);
        assert_eq!(distance("-1", "1").unwrap().0, 2.0);
        assert_eq!(distance("1e300", "1"), None);
    }
}
