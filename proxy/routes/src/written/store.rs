//! `[stores.NAME]`

use super::table::table;
use super::word::{ArmWord, Mode};

table! {
    /// A database behind routes.
    StoreTable in "a store" {
        /// `shared`: both arms write one database; `separate`: each has its own.
        must mode: Mode,
        /// The arm that is the writer of record of a separate store.
        may writer: ArmWord,
    }
    later ["sync", "dual_write"]
    hints ["mode" => "`shared`: both arms write one database; `separate`: each has its own"]
}
