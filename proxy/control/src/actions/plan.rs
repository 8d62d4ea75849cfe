//! What an order comes to, before anybody says yes.

use banyan_routes::{FileSet, RouteChange, RouteTable, SourceFile, diff};
use diffy::DiffOptions;
use serde::Serialize;

use super::{Actions, LOCK_WAIT_OF_PLAN, Order, Refusal, Stop, Worked, left_alone};
use crate::api::Rollback;
use crate::changes::change_lines;
use crate::edit;
use crate::swap::{floored, pinned};

/// What an order comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
    /// What to think of first: pins that stay, new warnings of `check`, stores that change their writer, routes left alone.
    pub(crate) warnings: Vec<String>,
    /// The file cannot be written: this would be held in memory, until the next accepted file or a restart. Says why.
    pub(crate) in_memory: Option<String>,
    /// Why it cannot be carried out; then there is nothing to confirm.
    pub(crate) refused: Option<Refusal>,
    /// What the plan was made from; [`Actions::carry_out`] wants it back.
    pub(crate) token: String,
}

/// The clients of one route move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

impl Actions {
    /// What would happen. Blocks for a moment.
    pub(crate) fn plan(&self, order: &Order) -> Planned {
        let table = self.proxy.gateway.table();
        let begun = Planned { title: title(order, &table), command: command(order), ..Planned::default() };
        if *order == Order::Undo && self.holds_floor() {
            return self.end_of_floor(order, begun);
        }
        match self.worked(order, LOCK_WAIT_OF_PLAN) {
            Ok(worked) => self.planned(order, &worked, begun),
            Err(Stop::Refused(refusal)) => Planned { refused: Some(refusal), ..begun },
            Err(Stop::File(stop)) => self.without_file(order, self.told(Stop::File(stop)), begun),
        }
    }

    fn planned(&self, order: &Order, worked: &Worked, begun: Planned) -> Planned {
        let Worked { session, plan, warnings, left } = worked;
        let planned = Planned {
            token: self.token(order, Some(session.files())),
            difference: difference(session.files(), plan.files()),
            warnings: warnings.iter().cloned().chain(left_alone(left)).collect(),
            ..self.moved(&plan.table, begun)
        };
        match session.rehearse(plan) {
            Ok(()) => planned,
            Err(error) => {
                let refusal = self.told(error.into());
                self.without_file(order, refusal, Planned { difference: String::new(), ..planned })
            }
        }
    }

    /// From what is in force to this table.
    fn moved(&self, to: &RouteTable, begun: Planned) -> Planned {
        let now = self.proxy.gateway.table();
        let moves = diff(&now, to).into_iter().filter_map(|change| match change {
            RouteChange::Shifted { route, from, to, moves } => Some(Move {
                route,
                from: from.to_string(),
                to: to.to_string(),
                clients: moves.to_string(),
                to_candidate: to > from,
            }),
            _ => None,
        });
        Planned { moves: moves.collect(), changes: change_lines(&now, to), ..begun }
    }

    /// A rollback is held in memory then; nothing else is.
    fn without_file(&self, order: &Order, refusal: Refusal, begun: Planned) -> Planned {
        let Order::Rollback { route, force } = order else {
            return Planned { refused: Some(refusal), ..begun };
        };
        let held = Rollback { route: route.clone(), who: String::new(), why: None, force: *force };
        let rolled = match floored(&self.proxy.gateway.table(), &held) {
            Ok(rolled) => rolled,
            Err(unknown) => {
                let refused = Some(Refusal::new("no-such-route", unknown.to_string()));
                return Planned { refused, ..begun };
            }
        };
        let left: Vec<String> =
            rolled.left.iter().map(|index| rolled.table.route(*index).name.clone()).collect();
        let pins = pinned(&rolled, &held);
        let pins = pins.iter().map(|pinned| edit::pins_stay(&pinned.route, &pinned.origin));
        let planned = self.moved(&rolled.table, begun);
        let nothing = planned.changes.is_empty();
        Planned {
            warnings: pins.chain(left_alone(&left)).collect(),
            refused: nothing.then(|| Refusal::new("unchanged", "nothing would move".to_owned())),
            in_memory: Some(refusal.message),
            token: self.token(order, None),
            ..planned
        }
    }

    fn end_of_floor(&self, order: &Order, begun: Planned) -> Planned {
        let warning = "a rollback is held in memory: what the files say will be in force again".to_owned();
        let token = self.token(order, None);
        Planned { warnings: vec![warning], token, ..self.moved(&self.proxy.view.accepted(), begun) }
    }
}

fn title(order: &Order, table: &RouteTable) -> String {
    match order {
        Order::Shift { route, .. } | Order::Rollback { route: Some(route), .. } => {
            edit::find(table, route).map_or_else(|_| route.clone(), |holder| holder.title())
        }
        Order::Rollback { route: None, .. } => "every share".to_owned(),
        Order::Undo => "the last change".to_owned(),
    }
}

fn command(order: &Order) -> String {
    match order {
        Order::Shift { route, percent, lift_floor } => {
            let lift = if *lift_floor { " --lift-floor" } else { "" };
            format!("banyan shift {} {percent}{lift}", quoted(route))
        }
        Order::Rollback { route, force } => {
            let route = route.as_ref().map_or_else(|| "--all".to_owned(), |route| quoted(route));
            format!("banyan rollback {route}{}", if *force { " --force" } else { "" })
        }
        Order::Undo => "banyan undo".to_owned(),
    }
}

/// As a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain) {
        return name.to_owned();
    }
    let dashes = if name.starts_with('-') { "-- " } else { "" };
    format!("{dashes}'{}'", name.replace('\'', r"'\''"))
}

/// Of every file that changes, one after the other.
fn difference(old: &FileSet, new: &FileSet) -> String {
    let text = |file: Option<&SourceFile>| file.map(|file| file.text.clone()).unwrap_or_default();
    let mut names: Vec<&str> =
        old.included.iter().chain(&new.included).map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let found = |files: &FileSet, name: &str| files.included.iter().find(|file| file.name == name).cloned();
    let main = (old.main.name.as_str(), old.main.text.clone(), new.main.text.clone());
    let others =
        names.iter().map(|name| (*name, text(found(old, name).as_ref()), text(found(new, name).as_ref())));
    let mut told = String::new();
    for (name, before, after) in std::iter::once(main).chain(others).filter(|(_, old, new)| old != new) {
        let mut options = DiffOptions::new();
        options.set_original_filename(name.to_owned()).set_modified_filename(name.to_owned());
        told += &options.create_patch(&before, &after).to_string();
    }
    told
}

#[cfg(test)]
mod tests {
    use banyan_routes::Share;

    use super::*;

    #[test]
    fn commands_can_be_typed() {
        let shift = |route: &str| {
            let percent = Share::from_thousandths(12_500).unwrap_or(Share::NONE);
            command(&Order::Shift { route: route.to_owned(), percent, lift_floor: false })
        };
        assert_eq!(shift("orders-read"), "banyan shift orders-read 12.5");
        assert_eq!(shift("it's $(all)"), r"banyan shift 'it'\''s $(all)' 12.5");
        assert_eq!(command(&Order::Rollback { route: None, force: true }), "banyan rollback --all --force");
    }
}
