//! Shift, roll back and undo, as the commands do, from within the running proxy.
//!
//! [`Actions::plan`] works out what would happen and touches nothing. [`Actions::carry_out`] does it, if the plan still
//! holds: the token says what it was made from. Both block, for the lock and for the reload: not for the admin thread.

use banyan_routes::Share;

/// What somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Another share for a route, or for its cohort.
    Shift {
        /// Route or cohort.
        route: String,
        /// New share.
        percent: Share,
        /// Also when that ends a rollback held in memory.
        lift_floor: bool,
    },
    /// Share 0 for a route (or its cohort), or for all.
    Rollback {
        /// None is every route.
        route: Option<String>,
        /// Also where the candidate writes a separate store.
        force: bool,
    },
    /// The last change taken back.
    Undo,
}

/// What an order comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// For people: `orders`, `cohort checkout`, `every share`, `the last change`.
    pub(crate) title: String,
    /// Routes whose clients move, in file order: a cohort's all together.
    pub(crate) moves: Vec<Move>,
    /// One line per change, for people. For `undo` also what is no share.
    pub(crate) changes: Vec<String>,
    /// The same as a difference of texts, unified; empty where no file would change.
    pub(crate) difference: String,
    /// What to type for the same: `banyan shift orders 25`.
    pub(crate) command: String,
    /// What to think of first: pins that stay, new warnings of `check`, stores that change their writer.
    pub(crate) warnings: Vec<String>,
    /// The file cannot be written: this would be held in memory, until the next accepted file or a restart. Says why.
    pub(crate) in_memory: Option<String>,
    /// Why it cannot be carried out; then there is nothing to confirm.
    pub(crate) refused: Option<Refusal>,
    /// What the plan was made from; [`Actions::carry_out`] wants it back.
    pub(crate) token: String,
}

/// The clients of one route move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) route: String,
    /// Percent now.
    pub(crate) from: String,
    /// Percent afterwards.
    pub(crate) to: String,
    /// Percent of clients that change arm.
    pub(crate) clients: String,
    /// True when they move to the candidate, false when to legacy.
    pub(crate) to_candidate: bool,
}

/// Why nothing was done, and how to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `no-such-route`, `unchanged`, `changed-meanwhile`, `locked`, `cannot-write`, `invalid`, `store`, `floor`,
    /// `not-in-force`, `timed-out`, `nothing-to-undo`, `busy`.
    pub(crate) code: &'static str,
    /// One sentence; a report of problems may follow on further lines.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    /// Generation in force.
    pub(crate) generation: u64,
    /// One line per change, for people.
    pub(crate) changes: Vec<String>,
    /// What remains to be said: held in memory only, routes left alone.
    pub(crate) notes: Vec<String>,
}

/// Plans and carries out. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Actions {}

impl Actions {
    /// What would happen. Blocks for a moment.
    pub(crate) fn plan(&self, order: &Order) -> Planned {
        let _ = order;
        Planned {
            title: String::new(),
            moves: Vec::new(),
            changes: Vec::new(),
            difference: String::new(),
            command: String::new(),
            warnings: Vec::new(),
            in_memory: None,
            refused: Some(not_yet()),
            token: String::new(),
        }
    }

    /// Does it, when `token` is that of a plan that still holds. Blocks until it is in force, ten seconds at most.
    pub(crate) fn carry_out(
        &self,
        order: &Order,
        token: &str,
        who: &str,
        why: Option<&str>,
    ) -> Result<Done, Refusal> {
        let _ = (order, token, who, why);
        Err(not_yet())
    }
}

fn not_yet() -> Refusal {
    Refusal { code: "busy", message: "not built yet".to_owned(), hint: None }
}
