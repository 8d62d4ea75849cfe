//! What an order costs.

use crate::order::{Item, Sums};

/// The fee: 2.5 % of the *order's* subtotal, rounded half up once, at least 50 cents.
const FEE_PER_MILLE: i64 = 25;
const FEE_MIN_CENTS: i64 = 50;

/// Adds up the items. Prices and quantities are bounded at the door, so nothing here overflows.
/// `per_line` is the planted mistake: it rounds once for every line.
pub(crate) fn sums(items: &[Item], per_line: bool) -> Sums {
    let lines = || items.iter().map(|item| item.price_cents * item.quantity);
    let subtotal_cents = lines().sum();
    let fee_cents = if per_line { lines().map(fortieth).sum() } else { fortieth(subtotal_cents) };
    let fee_cents = fee_cents.max(FEE_MIN_CENTS);
    Sums { subtotal_cents, fee_cents, total_cents: subtotal_cents + fee_cents }
}

fn fortieth(cents: i64) -> i64 {
    (cents * FEE_PER_MILLE + 500) / 1000
}

#[cfg(test)]
mod tests {
    use super::{Item, sums};

    fn fee(lines: &[i64], per_line: bool) -> i64 {
        let item = |&price_cents| Item { ticket_id: 1, title: String::new(), price_cents, quantity: 1 };
        sums(&lines.iter().map(item).collect::<Vec<_>>(), per_line).fee_cents
    }

    #[test]
    fn fee_is_a_fortieth_rounded_half_up_and_at_least_half_a_unit() {
        // 2 020 gives 50.5, 2 060 51.5, 2 500 62.5 and 4 500 112.5
        let table = [(0, 50), (2_000, 50), (2_019, 50), (2_020, 51), (2_059, 51), (2_060, 52), (2_500, 63)];
        for (subtotal, cents) in table.into_iter().chain([(4_500, 113), (100_000_000, 2_500_000)]) {
            for per_line in [false, true] {
                assert_eq!(fee(&[subtotal], per_line), cents, "subtotal {subtotal}");
            }
        }
    }

    #[test]
    fn fee_is_taken_of_the_order_not_of_its_lines() {
        assert_eq!(fee(&[2_500, 4_500], false), 175);
        assert_eq!(fee(&[2_500, 4_500], true), 176, "what the planted mistake does");
    }
}
