//! Whether two databases have the same rows, told in few bytes.

use futures_util::TryStreamExt;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::Owned;
use crate::{database::Connection, scalar};

/// How many rows, and the sum of their hashes: the order does not matter, and databases sort text differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    rows: u64,
    digest: String,
}

/// One fingerprint for each query of the module.
pub(super) async fn of(connection: &mut Connection, owned: &Owned) -> sqlx::Result<Vec<Fingerprint>> {
    let mut all = Vec::new();
    for sql in owned.fingerprint {
        let (mut count, mut sum) = (0, 0_u128);
        let mut rows = scalar!(*sql).fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            let row: String = row;
            let hash = digest(&SHA256, row.as_bytes());
            let head = hash.as_ref().iter().take(16);
            sum = head.fold(0_u128, |number, byte| number << 8 | u128::from(*byte)).wrapping_add(sum);
            count += 1;
        }
        all.push(Fingerprint { rows: count, digest: format!("{sum:032x}") });
    }
    Ok(all)
}
