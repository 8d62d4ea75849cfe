//! Conditions of `when` and `pin`.

use super::{network, path};
use crate::problem::{Draft, Problems};
use crate::source::Spot;
use crate::table::{Check, Condition, Subject};
use crate::written::condition::ConditionTable;
use crate::written::reader::{Field, Located};

/// `None` has left a problem behind.
pub(super) fn make(table: &ConditionTable, spot: Spot, problems: &mut Problems) -> Option<Condition> {
    let subject = subject(table, spot, problems);
    let check = check(table, spot, problems);
    let (subject, check) = (subject?, check?);
    let by_network = matches!(check.value, Check::Within(_));
    if by_network != (subject.value == Subject::ClientIp) {
        let (message, spot) = if by_network {
            ("`within` checks `client_ip` only", check.spot)
        } else {
            ("`client_ip` is checked with `within` only", subject.spot)
        };
        let draft = Draft::error("bad-condition", spot, message);
        problems.push(draft.hint("write it like `{ client_ip = true, within = [\"10.0.0.0/8\"] }`"));
        return None;
    }
    Some(Condition { subject: subject.value, check: check.value })
}

/// The one key of several that is written.
fn only_one(keys: &[(&'static str, Option<Spot>)], what: &str, spot: Spot, problems: &mut Problems) -> bool {
    let all: Vec<_> = keys.iter().map(|(name, _)| *name).collect();
    let names: Vec<_> = keys.iter().map(|(name, _)| format!("`{name}`")).collect();
    let written: Vec<_> = keys.iter().filter_map(|(_, spot)| *spot).collect();
    match written.as_slice() {
        [_] => true,
        [] if problems.is_misspelt(spot, &all) => false,
        [] => {
            let message = format!("a condition needs {what}: one of {}", names.join(", "));
            problems.push(Draft::error("bad-condition", spot, message));
            false
        }
        [first, second, ..] => {
            let message = format!("a condition has one of {}, not two", names.join(", "));
            problems.push(Draft::error("bad-condition", *second, message).related(*first, "the other one"));
            false
        }
    }
}

fn subject(table: &ConditionTable, spot: Spot, problems: &mut Problems) -> Option<Located<Subject>> {
    let keys = [
        ("header", table.header.spot()),
        ("query", table.query.spot()),
        ("cookie", table.cookie.spot()),
        ("client_ip", table.client_ip.spot()),
    ];
    if !only_one(&keys, "something to look at", spot, problems) {
        return None;
    }
    let (spot, subject) = match table {
        ConditionTable { header: Field::Good(name), .. } => (name.spot, header(name, problems)?),
        ConditionTable { query: Field::Good(name), .. } => {
            (name.spot, Subject::Query(name.value.as_str().into()))
        }
        ConditionTable { cookie: Field::Good(name), .. } => (name.spot, cookie(name, problems)?),
        ConditionTable { client_ip: Field::Good(yes), .. } => (yes.spot, client_ip(yes, problems)?),
        _ => return None,
    };
    Some(Located { value: subject, spot })
}

fn header(name: &Located<String>, problems: &mut Problems) -> Option<Subject> {
    http::HeaderName::try_from(&name.value).map(Subject::Header).ok().or_else(|| {
        let message = format!("`{}` is no header name", name.value);
        problems.push(Draft::error("bad-header-name", name.spot, message));
        None
    })
}

fn cookie(name: &Located<String>, problems: &mut Problems) -> Option<Subject> {
    // Header names and cookie names are both tokens.
    http::HeaderName::try_from(&name.value).map(|_| Subject::Cookie(name.value.as_str().into())).ok().or_else(
        || {
            let message = format!("`{}` is no cookie name", name.value);
            problems.push(Draft::error("bad-cookie-name", name.spot, message));
            None
        },
    )
}

fn client_ip(yes: &Located<bool>, problems: &mut Problems) -> Option<Subject> {
    if !yes.value {
        let draft = Draft::error("bad-condition", yes.spot, "`client_ip = false` looks at nothing");
        problems.push(draft.hint("write `client_ip = true`, or leave the condition out"));
    }
    yes.value.then_some(Subject::ClientIp)
}

fn check(table: &ConditionTable, spot: Spot, problems: &mut Problems) -> Option<Located<Check>> {
    let keys = [
        ("equals", table.equals.spot()),
        ("prefix", table.prefix.spot()),
        ("regex", table.regex.spot()),
        ("present", table.present.spot()),
        ("within", table.within.spot()),
    ];
    if !only_one(&keys, "a check", spot, problems) {
        return None;
    }
    let (spot, check) = match table {
        ConditionTable { equals: Field::Good(text), .. } => {
            (text.spot, Check::Equals(text.value.as_str().into()))
        }
        ConditionTable { prefix: Field::Good(text), .. } => {
            (text.spot, Check::Prefix(text.value.as_str().into()))
        }
        ConditionTable { regex: Field::Good(text), .. } => {
            (text.spot, Check::Regex(path::regex(text, problems)?))
        }
        ConditionTable { present: Field::Good(yes), .. } => (yes.spot, Check::Present(yes.value)),
        ConditionTable { within: Field::Good(list), .. } => (list.spot, within(list, problems)?),
        _ => return None,
    };
    Some(Located { value: check, spot })
}

fn within(list: &Located<Vec<Located<String>>>, problems: &mut Problems) -> Option<Check> {
    if list.value.is_empty() {
        problems.push(Draft::error("empty-list", list.spot, "no address is within an empty list"));
        return None;
    }
    Some(Check::Within(network::parse_all(&list.value, problems).into()))
}
