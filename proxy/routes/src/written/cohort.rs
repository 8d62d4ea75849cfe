//! `[cohorts.NAME]`

use super::reader::Located;
use super::sticky::StickyWord;
use super::table::table;
use crate::table::Share;

table! {
    /// Routes that share one percentage and one bucket assignment, so that a client moves on all of them together.
    CohortTable in "a cohort" {
        /// Percent of clients that the candidates answer, 0 to 100, at most three decimals.
        must percent: Share,
        /// What identifies a client, that of `[defaults]` when absent.
        may sticky: Vec<Located<StickyWord>>,
        /// Former name, so that clients keep their place after a rename.
        may hash_as: String,
    }
    later ["ramp"]
    hints [
        "" => "write `[cohorts.NAME]`, and `percent = 0` below it",
        "percent" => "write `percent = 0` to begin with nobody",
        "share" => "did you mean `percent`?",
        "weight" => "did you mean `percent`?",
        "routes" => "a route joins with `cohort = \"NAME\"`",
    ]
}
