//! Stores.

use crate::problem::{Draft, Problems};
use crate::table::{Store, StoreMode, Writer};
use crate::written::reader::{Field, Located};
use crate::written::store::StoreTable;
use crate::written::word::{ArmWord, Mode};

/// `None` has left a problem behind.
pub(super) fn make(name: &Located<String>, table: &StoreTable, problems: &mut Problems) -> Option<Store> {
    let mode = match (table.mode.value()?, &table.writer) {
        (_, Field::Bad(_)) => return None,
        (Mode::Shared, Field::Absent) => StoreMode::Shared,
        (Mode::Separate, Field::Good(writer)) => StoreMode::Separate(match writer.value {
            ArmWord::Legacy => Writer::Legacy,
            ArmWord::Candidate => Writer::Candidate,
        }),
        (Mode::Separate, Field::Absent) => {
            let message = format!("separate store `{}` needs `writer`", name.value);
            let draft = Draft::error("missing-writer", name.spot, message);
            problems.push(draft.hint("the writer of record: `legacy` before the cut, `candidate` after it"));
            return None;
        }
        (Mode::Shared, Field::Good(writer)) => {
            let message = "a shared store has no `writer`: both arms write it";
            problems.push(Draft::error("writer-of-shared-store", writer.spot, message));
            return None;
        }
    };
    Some(Store { name: name.value.clone(), mode })
}
