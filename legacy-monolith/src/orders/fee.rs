//! What an order costs.

use super::{Item, Sums};

/// The fee: 2.5 % of the *order's* subtotal, rounded half up once, at least 50 cents.
const FEE_PER_MILLE: i64 = 25;
const FEE_MIN_CENTS: i64 = 50;

/// Adds up the items. Prices and quantities are bounded at the door, so nothing here overflows.
pub(super) fn sums(items: &[Item]) -> Sums {
    let subtotal_cents = items.iter().map(|item| item.price_cents * item.quantity).sum();
    let fee_cents = fee_cents(subtotal_cents);
    Sums { subtotal_cents, fee_cents, total_cents: subtotal_cents + fee_cents }
}

fn fee_cents(subtotal_cents: i64) -> i64 {
    ((subtotal_cents * FEE_PER_MILLE + 500) / 1000).max(FEE_MIN_CENTS)
}

#[cfg(test)]
mod tests {
    use super::fee_cents;

    #[test]
    fn fee_is_a_fortieth_rounded_half_up_and_at_least_half_a_unit() {
        let table = [
            (0, 50),
            (1, 50),
            (2_000, 50),
            (2_019, 50),
            (2_020, 51), // 50.5
            (2_059, 51),
            (2_060, 52),  // 51.5
            (2_500, 63),  // 62.5
            (4_500, 113), // 112.5
            (7_000, 175),
            (100_000_000, 2_500_000),
        ];
        for (subtotal, fee) in table {
            assert_eq!(fee_cents(subtotal), fee, "subtotal {subtotal}");
        }
    }

    /// 25.00 + 45.00: rounding per line would give 63 + 113 = 176.
    #[test]
    fn fee_is_taken_of_the_order_not_of_its_lines() {
        assert_eq!(fee_cents(2_500 + 4_500), 175);
        assert_eq!(fee_cents(2_500) + fee_cents(4_500), 176);
    }
}
