//! "Did you mean": the name somebody probably wanted.

/// Least likeness of a suggestion, 0 to 1.
const LIKENESS_MIN: f64 = 0.7;

/// The known name most like the one given, if any is alike.
pub(crate) fn nearest<'n>(given: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let likeness = |name: &str| strsim::jaro_winkler(&given.to_lowercase(), &name.to_lowercase());
    let alike = known.into_iter().map(|name| (likeness(name), name));
    let best = alike.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["orders-read", "orders-write", "tickets"];
        assert_eq!(nearest("order-read", known), Some("orders-read"));
        assert_eq!(nearest("TICKET", known), Some("tickets"));
        assert_eq!(nearest("users", known), None);
    }
}
