//! A ratio with its confidence interval.
//!
//! Wilson's score interval: E. B. Wilson, "Probable inference, the law of succession, and statistical
//! inference", Journal of the American Statistical Association 22 (1927), 209-212. Unlike the textbook one it
//! stays within 0..1 and is honest for few trials and for ratios near 0: 0 of 20 000 is at most 0.019 %.

/// Two-sided 95 %.
pub const Z_95: f64 = 1.959_963_984_540_054;

/// A ratio and between what it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// As counted.
    pub ratio: f64,
    /// Lower bound, 0..=ratio.
    pub lower: f64,
    /// Upper bound, ratio..=1.
    pub upper: f64,
}

/// The interval at 95 % for `hits` of `trials`; none without trials: no data is no ratio.
/// More hits than trials count as all.
#[expect(clippy::cast_precision_loss, reason = "counts above 2^53 lose less than a ratio shows")]
pub fn wilson(hits: u64, trials: u64) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let n = trials as f64;
    let ratio = hits.min(trials) as f64 / n;
    let square = Z_95 * Z_95;
    let middle = ratio + square / (2.0 * n);
    let spread = Z_95 * (ratio * (1.0 - ratio) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    let lower = ((middle - spread) / scale).clamp(0.0, ratio);
    let upper = ((middle + spread) / scale).clamp(ratio, 1.0);
    Some(Interval { ratio, lower, upper })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::wilson;

    /// `prop.test(k, n, correct = FALSE)$conf.int` of R, to four digits.
    #[test]
    fn agrees_with_published_values() {
        for (hits, trials, lower, upper) in
            [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)]
        {
            let found = wilson(hits, trials).unwrap();
            assert!((found.lower - lower).abs() < 1e-4 && (found.upper - upper).abs() < 1e-4, "{found:?}");
        }
        assert!(wilson(0, 20_000).unwrap().upper < 0.0002);
        assert_eq!(wilson(0, 0), None);
    }

    proptest! {
        #[test]
        fn holds_the_ratio_and_narrows_with_trials(trials in 1_u64..1_000_000, part in 0.0_f64..=1.0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
            let hits = (trials as f64 * part) as u64;
            let found = wilson(hits, trials).unwrap();
            prop_assert!(0.0 <= found.lower && found.lower <= found.ratio);
            prop_assert!(found.ratio <= found.upper && found.upper <= 1.0);
            let more = wilson(hits * 10, trials * 10).unwrap();
            prop_assert!(more.upper - more.lower <= found.upper - found.lower + 1e-12);
        }

        #[test]
        fn mirrors(trials in 1_u64..100_000, hits in 0_u64..100_000) {
            let hits = hits.min(trials);
            let (one, other) = (wilson(hits, trials).unwrap(), wilson(trials - hits, trials).unwrap());
            prop_assert!((one.lower - (1.0 - other.upper)).abs() < 1e-9);
        }
    }
}
