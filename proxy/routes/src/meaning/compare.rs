//! `compare`: rules of banyan-compare out of what was written.

use banyan_compare::{
    Accepted, HeaderRules, HtmlSpace, NumberForms, RuleSet, Rules, RulesProblem, Tolerance, Unordered,
};

use super::headers::{self, Headers};
use super::list::{self, Entries, Entry};
use super::{Told, place, shadow};
use crate::problem::{Draft, Problems};
use crate::shadowing::{Comparing, Said};
use crate::source::Spot;
use crate::table::Share;
use crate::written::compare::{AcceptedTable, CompareTable, ToleranceTable, UnorderedEntry};
use crate::written::reader::{Field, Located};
use crate::written::word::{HtmlSpaceWord, NumbersWord};

/// Absent means no exceptions. Every part is made before the first wrong one ends it, so that all problems are told.
pub(super) fn make(field: &Field<CompareTable>, problems: &mut Problems) -> Result<Comparing, Told> {
    let Located { value: table, spot } = match field {
        Field::Absent => return Ok(Comparing::default()),
        Field::Bad(_) => return Err(Told),
        Field::Good(table) => table,
    };
    let default = Comparing::default();
    let ignore = list::make("ignore", &table.ignore, problems, place::pattern);
    let unordered = list::make("unordered", &table.unordered, problems, unordered);
    let tolerances = list::make("tolerance", &table.tolerance, problems, tolerance);
    let dates = list::make("dates", &table.dates, problems, place::pointer);
    let headers = headers::make(&table.headers, problems);
    let accepted = list::make("accepted", &table.accepted, problems, accepted);
    let redact = list::make("redact", &table.redact, problems, place::pointer);
    let recheck_after = shadow::wait(&table.recheck_after, "recheck_after", default.recheck_after, problems);

    let mut said = Sayings::default();
    let set = RuleSet {
        ignore: said.set("ignore", ignore?),
        unordered: said.list("unordered", unordered?),
        tolerances: said.list("tolerance", tolerances?),
        numbers: said.numbers(&table.numbers),
        dates: said.set("dates", dates?),
        html: said.html(&table.html_space),
        headers: said.headers(headers?),
        accepted: said.set("accepted", accepted?),
    };
    Ok(Comparing {
        rules: rules(set, *spot, problems)?.into(),
        noise: table.noise_percent.value().copied().unwrap_or(Share::NONE),
        recheck_after: recheck_after?,
        redact: said.set("redact", redact?).into(),
        said: said.0.into(),
    })
}

fn rules(set: RuleSet, spot: Spot, problems: &mut Problems) -> Result<Rules, Told> {
    Rules::new(set).map_err(|problem| {
        problems.push(Draft::error("bad-compare", spot, problem.to_string()));
        Told
    })
}

fn unordered(entry: &Located<UnorderedEntry>, problems: &mut Problems) -> Option<Entry<Unordered>> {
    let UnorderedEntry { array, key } = &entry.value;
    let parsed = Unordered::parse(&array.value, key.value().map(String::as_str));
    let parsed = parsed.map_err(|problem| problems.push(bad_unordered(&problem, &entry.value)));
    let text = match key.value() {
        Some(key) => format!("{{ array = {:?}, key = {key:?} }}", array.value),
        None => format!("{:?}", array.value),
    };
    Some(Entry { value: parsed.ok()?, about: format!("`{}`", array.value), text })
}

fn bad_unordered(problem: &RulesProblem, entry: &UnorderedEntry) -> Draft {
    let UnorderedEntry { array, key } = entry;
    if let RulesProblem::Pattern(problem) = problem {
        return place::refusal(problem, array);
    }
    let draft = Draft::error("empty-key", key.spot().unwrap_or(array.spot), problem.to_string());
    draft.hint("leave `key` out where items are whole values")
}

fn tolerance(entry: &Located<ToleranceTable>, problems: &mut Problems) -> Option<Entry<Tolerance>> {
    let ToleranceTable { path, absolute, relative } = &entry.value;
    let is_told = problems.is_misspelt(entry.spot, &["path", "absolute", "relative"]);
    if is_told || path.is_bad() || absolute.is_bad() || relative.is_bad() {
        return None;
    }
    let (by, part) = (absolute.value().copied(), relative.value().copied());
    let parsed = Tolerance::parse(path.value().map(String::as_str), by, part);
    let parsed = parsed.map_err(|problem| problems.push(bad_tolerance(&problem, entry)));
    let about = path.value().map_or_else(|| "every number".to_owned(), |path| format!("`{path}`"));
    let place = path.value().map_or_else(String::new, |path| format!("path = {path:?}, "));
    // Absent is 0, and so is minus 0.
    let [by, part] = [by, part].map(|number| number.unwrap_or_default() + 0.0);
    let text = format!("{{ {place}absolute = {by:?}, relative = {part:?} }}");
    Some(Entry { value: parsed.ok()?, about, text })
}

fn bad_tolerance(problem: &RulesProblem, entry: &Located<ToleranceTable>) -> Draft {
    let ToleranceTable { path, absolute, relative } = &entry.value;
    match (problem, path.good()) {
        (RulesProblem::Pattern(problem), Some(path)) => place::refusal(problem, path),
        (RulesProblem::NoTolerance, _) => {
            let draft = Draft::error("missing-key", entry.spot, problem.to_string());
            draft.hint("write it like `{ path = \"/price\", absolute = 0.01 }`")
        }
        _ => {
            let is_none = |number: &&Located<f64>| !(number.value.is_finite() && number.value >= 0.0);
            let culprit = [absolute, relative].into_iter().filter_map(Field::good).find(is_none);
            Draft::error("out-of-range", culprit.map_or(entry.spot, |it| it.spot), problem.to_string())
        }
    }
}

fn accepted(entry: &Located<AcceptedTable>, problems: &mut Problems) -> Option<Entry<Accepted>> {
    let AcceptedTable { what, reason, until } = &entry.value;
    let (what, reason, until) = (what.good()?, reason.good()?, until.good()?);
    let day = until.value.0.to_string();
    let parsed = Accepted::parse(&what.value, &reason.value, &day).map_err(|problem| {
        problems.push(match &problem {
            RulesProblem::Pattern(problem) => place::refusal(problem, what),
            RulesProblem::NoReason => Draft::error("missing-reason", reason.spot, problem.to_string())
                .hint("say why, for who reads it next year"),
            _ => Draft::error("bad-date", until.spot, problem.to_string()),
        });
    });
    let place = place::same(&what.value);
    let text = format!("{{ what = {place:?}, reason = {:?}, until = \"{day}\" }}", reason.value);
    Some(Entry { value: parsed.ok()?, about: format!("`{place}`"), text })
}

/// What was written, key by key: `ignore`, `"header:date", "/items/*/etag"`.
#[derive(Default)]
struct Sayings(Vec<Said>);

impl Sayings {
    /// Entries whose order says nothing.
    fn set<M>(&mut self, key: &'static str, mut entries: Entries<M>) -> Vec<M> {
        entries.texts.sort();
        entries.texts.dedup();
        self.list(key, entries)
    }

    /// Entries of which the first that names a place counts.
    fn list<M>(&mut self, key: &'static str, entries: Entries<M>) -> Vec<M> {
        if !entries.texts.is_empty() {
            self.0.push((key, entries.texts.join(", ")));
        }
        entries.values
    }

    fn numbers(&mut self, field: &Field<NumbersWord>) -> NumberForms {
        match field.value() {
            Some(NumbersWord::Value) => {
                self.0.push(("numbers", "value".to_owned()));
                NumberForms::Value
            }
            Some(NumbersWord::Written) | None => NumberForms::Written,
        }
    }

    fn html(&mut self, field: &Field<HtmlSpaceWord>) -> HtmlSpace {
        match field.value() {
            Some(HtmlSpaceWord::Collapsed) => {
                self.0.push(("html_space", "collapsed".to_owned()));
                HtmlSpace::Collapsed
            }
            Some(HtmlSpaceWord::Kept) | None => HtmlSpace::Kept,
        }
    }

    fn headers(&mut self, headers: Headers) -> HeaderRules {
        self.0.extend(headers.said);
        headers.rules
    }
}
