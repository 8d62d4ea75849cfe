//! Why nothing was done, and how to go on.

use std::path::Path;

use serde::Serialize;

use super::proxy::Busy;
use crate::edit::{EditError, NotInForce};

/// Why nothing was done, and how to go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refusal {
    /// `no-such-route`, `unchanged`, `changed-meanwhile`, `locked`, `cannot-write`, `invalid`, `store`, `floor`,
    /// `not-in-force`, `timed-out`, `nothing-to-undo`, `no-file`, `busy`.
    pub(crate) code: &'static str,
    /// One sentence; a report of problems may follow on further lines.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: String) -> Self {
        Self { code, message, hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(super) fn busy() -> Self {
        Self::new("busy", Busy.to_string())
    }

    pub(super) fn changed_meanwhile() -> Self {
        let message = "the files, or what is in force, changed since this was worked out: nothing was done";
        Self::new("changed-meanwhile", message.to_owned()).hint("look at the plan again")
    }
}

pub(super) fn no_file() -> Refusal {
    let message = "the proxy has no file, it runs with --legacy".to_owned();
    Refusal::new("no-file", message).hint("restart it with `banyan run --routes routes.toml`")
}

/// What an edit ended with.
pub(super) fn told(stop: &NotInForce<Busy>, file: &Path) -> Refusal {
    let message = stop.told(&file.display().to_string(), "the proxy").to_string();
    let refusal = |code| Refusal::new(code, message.clone());
    match stop {
        NotInForce::Edit(error) => {
            let told = refusal(code(error));
            match error {
                // These hints are for whoever types.
                EditError::ChangedMeanwhile { .. } => told.hint("look at the plan again"),
                EditError::Locked { .. } => told.hint("somebody else edits: try again"),
                _ => Refusal { hint: error.hint(), ..told },
            }
        }
        NotInForce::Proxy(Busy) => refusal("busy"),
        NotInForce::LiftsFloor { .. } => {
            refusal("floor").hint("undo ends the rollback; `--lift-floor` shifts all the same")
        }
        NotInForce::Unconfirmed { .. } => refusal("timed-out").hint("banyan status"),
        NotInForce::Unreadable { .. } | NotInForce::Refused { .. } | NotInForce::RefusedBefore { .. } => {
            refusal("invalid").hint("banyan check")
        }
        NotInForce::OtherShare { floor: true, .. } => refusal("floor").hint("undo ends it"),
        NotInForce::OtherFile | NotInForce::OtherShare { .. } => {
            refusal("not-in-force").hint("banyan status")
        }
    }
}

fn code(error: &EditError) -> &'static str {
    match error {
        EditError::Invalid(_) | EditError::WouldBeInvalid(_) | EditError::Syntax { .. } => "invalid",
        EditError::ChangedMeanwhile { .. } => "changed-meanwhile",
        EditError::Locked { .. } => "locked",
        _ => "cannot-write",
    }
}
