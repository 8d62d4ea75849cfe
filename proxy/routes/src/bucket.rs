//! A client's fixed place in `0..100_000` on one route or cohort.
//!
//! This function is part of the format of routes.toml and never changes: another answer would move clients
//! between the arms. In full, so that it can be written again in any language:
//!
//! - the message is the length of the hash name in bytes as 8 bytes little-endian, the hash name in UTF-8, the
//!   bytes of the sticky value;
//! - the hash is SipHash-2-4 with the 16 key bytes `banyan-bucket-01`, read as 64-bit number `h`;
//! - the bucket is the upper half of the 128-bit product: `(h * 100000) >> 64`. A bucket is more likely than
//!   another by at most 100 000 / 2^64.
//!
//! Where the value came from (header, cookie, address) is not hashed: a client that carries one id in two
//! places has one bucket. The length before the name keeps (`ab`, `c`) and (`a`, `bc`) apart.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

/// Number of buckets: one for each thousandth of a percent.
pub const BUCKETS: u32 = 100_000;

const KEY: &[u8; 16] = b"banyan-bucket-01";

/// The bucket of a client on everything that shares `hash_name`.
pub fn bucket(hash_name: &str, sticky_value: &[u8]) -> u32 {
    let mut hasher = SipHasher24::new_with_key(KEY);
    hasher.write(&(hash_name.len() as u64).to_le_bytes());
    hasher.write(hash_name.as_bytes());
    hasher.write(sticky_value);
    let product = u128::from(hasher.finish()) * u128::from(BUCKETS);
    u32::try_from(product >> 64)
        .expect("the product of a 64-bit number and 100 000, shifted by 64 bits, is below 100 000")
}

#[cfg(test)]
mod tests {
    use super::bucket;

    /// Computed by an independent implementation of the description above. Never change a line.
    #[test]
    fn golden_vectors_hold_for_ever() {
        let vectors: [(&str, &[u8], u32); 24] = [
            ("orders", b"42", 47438),
            ("orders", b"43", 80284),
            ("orders", b"", 5236),
            ("orders", b"a", 80593),
            ("", b"orders42", 60775),
            ("order", b"s42", 35629),
            ("orders-read", b"42", 99598),
            ("checkout", b"42", 83714),
            ("checkout", b"alice@example.com", 35283),
            ("checkout", b"zo\xc3\xab", 29710),
            ("straße", b"7", 72438),
            ("orders", b"192.0.2.1", 52814),
            ("orders", b"10.0.0.1", 56201),
            ("orders", b"20010db800000001", 85223),
            ("orders", b"0000000000000000", 66000),
            ("orders", b"ffffffffffffffff", 94675),
            ("orders", b"9f86d081884c7d65", 50377),
            ("orders", b"\xff\xfe", 69525),
            ("orders", b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 81114),
            ("a-rather-long-name-of-a-cohort-that-somebody-chose", b"550e8400-e29b-41d4-a716-446655440000", 22665),
            ("tickets", b"1", 76784),
            ("tickets", b"2", 8295),
            ("tickets", b"3", 47261),
            ("tickets", b"4", 50358),
        ];
        for (name, value, expected) in vectors {
            assert_eq!(bucket(name, value), expected, "{name} {value:?}");
        }
    }
}
