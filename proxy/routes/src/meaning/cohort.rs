//! Cohorts: one percentage and one bucket assignment for several routes.

use std::sync::Arc;

use super::defaults::{Chain, Defaults, chain};
use crate::problem::Problems;
use crate::source::Sources;
use crate::table::{Cohort, Share};
use crate::written::cohort::CohortTable;
use crate::written::reader::{Field, Located};

/// A cohort, with what its routes take from it.
pub(super) struct MadeCohort {
    /// None when its percent is wrong.
    pub(super) cohort: Option<Cohort>,
    pub(super) percent: Field<Share>,
    pub(super) sticky: Chain,
    pub(super) hash_name: Arc<str>,
}

pub(super) fn make(
    name: &Located<String>,
    table: &CohortTable,
    defaults: &Defaults,
    sources: &Sources<'_>,
    problems: &mut Problems,
) -> MadeCohort {
    let own = chain(&table.sticky, problems);
    let cohort = table.percent.good().map(|percent| Cohort {
        name: name.value.clone(),
        share: percent.value,
        percent_origin: sources.origin(percent.spot),
    });
    MadeCohort {
        cohort,
        percent: table.percent.clone(),
        sticky: if own.is_absent() { defaults.sticky.clone() } else { own },
        hash_name: table.hash_as.value().unwrap_or(&name.value).as_str().into(),
    }
}
