//! `headers` of `compare`: which header fields are compared.

use banyan_compare::{HeaderRules, HeadersProblem};
use http::HeaderName;

use super::Told;
use super::list::{self, Entries, Entry};
use crate::problem::{Draft, Problems};
use crate::shadowing::Said;
use crate::source::Spot;
use crate::written::compare::HeadersTable;
use crate::written::reader::{Field, Located};
use crate::written::shadow::HeaderWord;

/// Which fields are compared, and the same as text.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) rules: HeaderRules,
    pub(super) said: Vec<Said>,
}

/// Absent is the built-in list.
pub(super) fn make(field: &Field<HeadersTable>, problems: &mut Problems) -> Result<Headers, Told> {
    let table = match field {
        Field::Absent => return Ok(Headers::default()),
        Field::Bad(_) => return Err(Told),
        Field::Good(table) => table,
    };
    let HeadersTable { only, except, also } = &table.value;
    let only = self::only(only, problems);
    let except = list::make("except", except, problems, |word, _| Some(entry(&word.value.0)));
    let also = list::make("also", also, problems, |word, _| Some(entry(&word.value.0)));
    let (only, except, also) = (only?, except?, also?);
    let rules = {
        let only = only.as_ref().map(names);
        HeaderRules::parse(only.as_deref(), &names(&except), &names(&also))
    };
    let rules = rules.map_err(|problem| {
        problems.push(refusal(&problem, table));
        Told
    })?;
    let lists = [("headers.only", only), ("headers.except", some(except)), ("headers.also", some(also))];
    Ok(Headers {
        rules,
        said: lists.into_iter().filter_map(|(key, list)| Some((key, text(list?)))).collect(),
    })
}

/// A name, as an entry of a list.
pub(super) fn entry(name: &HeaderName) -> Entry<HeaderName> {
    Entry { value: name.clone(), about: format!("`{name}`"), text: name.to_string() }
}

/// The one list that may be empty: no header field is compared then.
fn only(
    field: &Field<Vec<Located<HeaderWord>>>,
    problems: &mut Problems,
) -> Result<Option<Entries<HeaderName>>, Told> {
    match field {
        Field::Absent => Ok(None),
        Field::Good(written) if written.value.is_empty() => {
            Ok(Some(Entries { values: Vec::new(), texts: Vec::new() }))
        }
        field => list::make("only", field, problems, |word, _| Some(entry(&word.value.0))).map(Some),
    }
}

fn some(entries: Entries<HeaderName>) -> Option<Entries<HeaderName>> {
    (!entries.values.is_empty()).then_some(entries)
}

fn names(entries: &Entries<HeaderName>) -> Vec<&str> {
    entries.values.iter().map(HeaderName::as_str).collect()
}

/// The order says nothing.
fn text(mut entries: Entries<HeaderName>) -> String {
    entries.texts.sort();
    entries.texts.dedup();
    if entries.texts.is_empty() { "no field".to_owned() } else { entries.texts.join(", ") }
}

fn refusal(problem: &HeadersProblem, table: &Located<HeadersTable>) -> Draft {
    let HeadersTable { only, except, also } = &table.value;
    let error = |spot| Draft::error("bad-headers", spot, problem.to_string());
    match (problem, only.spot()) {
        (HeadersProblem::OnlyAndOthers, Some(only)) => {
            let draft = error(except.spot().or(also.spot()).unwrap_or(only));
            draft.related(only, "says what is compared")
        }
        (HeadersProblem::Both { name }, _) => {
            let draft = error(place(also, name).unwrap_or(table.spot));
            match place(except, name) {
                Some(spot) => draft.related(spot, "left out here"),
                None => draft,
            }
        }
        _ => error(table.spot),
    }
}

fn place(list: &Field<Vec<Located<HeaderWord>>>, name: &HeaderName) -> Option<Spot> {
    list.value()?.iter().find(|word| word.value.0 == *name).map(|word| word.spot)
}
