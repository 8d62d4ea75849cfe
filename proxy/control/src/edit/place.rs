//! Where in a text a value stands, and the text with another value there.
//!
//! The text is never printed anew from a tree: the bytes of one value are replaced, and every other byte stays
//! what it was, line ends and the missing newline at the end included.

use std::ops::Range;

use banyan_routes::{FileSet, Origin, Share, SourceFile};
use toml_edit::{Document, Item, TableLike, Value};

use super::EditError;

/// A value that a command may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `percent` of a route that has its own.
    Route {
        /// The route.
        name: String,
        /// Where the value was written, as the table says.
        origin: Origin,
    },
    /// `percent` of a cohort.
    Cohort {
        /// The cohort.
        name: String,
        /// Where the value was written, as the table says.
        origin: Origin,
    },
    /// `writer` of a separate store.
    StoreWriter {
        /// The store.
        name: String,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Route { name, .. } => write!(out, "`percent` of route `{name}`"),
            Self::Cohort { name, .. } => write!(out, "`percent` of cohort `{name}`"),
            Self::StoreWriter { name } => write!(out, "`writer` of store `{name}`"),
        }
    }
}

/// One value to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub place: Place,
    /// What, as it is written in TOML.
    pub literal: String,
}

impl Change {
    /// Another share at a place.
    pub fn share(place: Place, share: Share) -> Self {
        Self { place, literal: share.to_string() }
    }

    /// Makes legacy the writer of record of a store again.
    pub fn writer_legacy(store: &str) -> Self {
        Self { place: Place::StoreWriter { name: store.to_owned() }, literal: "\"legacy\"".to_owned() }
    }
}

/// Applies one change to a file set; answers with the literal that stood there.
///
/// Writing that literal back gives the old bytes again.
pub(super) fn apply(files: &mut FileSet, change: &Change) -> Result<String, EditError> {
    let found = find(files, &change.place)?;
    let file = if found.file == 0 { &mut files.main } else { &mut files.included[found.file - 1] };
    let before = file.text[found.value.span.clone()].to_owned();
    if found.value.is_variable {
        let (file, line) = (file.name.clone(), found.value.line);
        return Err(EditError::Variable { place: change.place.clone(), file, line, literal: before });
    }
    file.text.replace_range(found.value.span, &change.literal);
    Ok(before)
}

/// A value in one of the files: 0 is the main file, then the included ones.
struct Found {
    file: usize,
    value: Written,
}

/// A value as it stands in a text.
struct Written {
    owner: Option<String>,
    span: Range<usize>,
    line: usize,
    is_variable: bool,
}

fn find(files: &FileSet, place: &Place) -> Result<Found, EditError> {
    let mut candidates = Vec::new();
    for (file, source) in std::iter::once(&files.main).chain(&files.included).enumerate() {
        let values = values_in(source, place)?;
        candidates.extend(values.into_iter().map(|value| (source, Found { file, value })));
    }
    choose(candidates, place).ok_or_else(|| EditError::NotWritten { place: place.clone() })
}

/// The table's place decides; the name only where several values share a line, or where no line is known.
fn choose(mut candidates: Vec<(&SourceFile, Found)>, place: &Place) -> Option<Found> {
    let (name, origin) = match place {
        Place::Route { name, origin } | Place::Cohort { name, origin } => (name, Some(origin)),
        Place::StoreWriter { name } => (name, None),
    };
    if let Some(origin) = origin {
        let here = |source: &SourceFile, found: &Found| {
            *source.name == *origin.file && found.value.line == origin.line
        };
        candidates.retain(|(source, found)| here(source, found));
    }
    if candidates.len() != 1 {
        candidates.retain(|(_, found)| found.value.owner.as_ref() == Some(name));
    }
    candidates.into_iter().next().map(|(_, found)| found)
}

fn values_in(source: &SourceFile, place: &Place) -> Result<Vec<Written>, EditError> {
    let document = Document::parse(source.text.as_str()).map_err(|error| EditError::Syntax {
        file: source.name.clone(),
        message: error.message().to_owned(),
    })?;
    let text = &source.text;
    Ok(match place {
        Place::Route { .. } => routes(document.as_table())
            .filter_map(|route| written(text, name_of(route), route.get("percent")?))
            .collect(),
        Place::Cohort { .. } => named(document.as_table(), "cohorts")
            .filter_map(|(name, cohort)| written(text, Some(name), cohort.get("percent")?))
            .collect(),
        Place::StoreWriter { .. } => named(document.as_table(), "stores")
            .filter_map(|(name, store)| written(text, Some(name), store.get("writer")?))
            .collect(),
    })
}

/// Routes in either spelling: `[[route]]` or `route = [{ ... }]`.
fn routes(root: &dyn TableLike) -> impl Iterator<Item = &dyn TableLike> {
    let item = root.get("route");
    let tables = item.and_then(Item::as_array_of_tables).into_iter().flat_map(|tables| tables.iter());
    let inline = item.and_then(Item::as_array).into_iter().flat_map(|array| array.iter());
    let tables = tables.map(|table| table as &dyn TableLike);
    tables.chain(inline.filter_map(Value::as_inline_table).map(|table| table as &dyn TableLike))
}

/// The tables under one key: `[stores.orders]`, `stores.orders = { ... }`, dotted keys.
fn named<'d>(root: &'d dyn TableLike, key: &str) -> impl Iterator<Item = (String, &'d dyn TableLike)> {
    let all = root.get(key).and_then(Item::as_table_like).into_iter().flat_map(TableLike::iter);
    all.filter_map(|(name, item)| Some((name.to_owned(), item.as_table_like()?)))
}

fn name_of(route: &dyn TableLike) -> Option<String> {
    route.get("name")?.as_str().map(str::to_owned)
}

fn written(text: &str, owner: Option<String>, item: &Item) -> Option<Written> {
    let span = item.span()?;
    let line = 1 + text[..span.start].matches('\n').count();
    let is_variable = item.as_str().is_some_and(|value| value.contains("${"));
    Some(Written { owner, span, line, is_variable })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn files(text: &str) -> FileSet {
        let main = SourceFile { name: "routes.toml".to_owned(), text: text.to_owned() };
        FileSet { main, included: Vec::new() }
    }

    fn origin(file: &str, line: usize) -> Origin {
        Origin { file: file.into(), line }
    }

    fn route(name: &str, line: usize) -> Place {
        Place::Route { name: name.to_owned(), origin: origin("routes.toml", line) }
    }

    fn cohort(name: &str, line: usize) -> Place {
        Place::Cohort { name: name.to_owned(), origin: origin("routes.toml", line) }
    }

    /// Shifts `place` to 25 % and expects exactly `after`; then writes the old literal and expects `before`.
    #[track_caller]
    fn check(place: Place, before: &str, after: &str) {
        let mut set = files(before);
        let share = Share::from_thousandths(25_000).unwrap();
        let old = apply(&mut set, &Change::share(place.clone(), share)).unwrap();
        assert_eq!(set.main.text, after);
        apply(&mut set, &Change { place, literal: old }).unwrap();
        assert_eq!(set.main.text, before);
    }

    #[test]
    fn aligned_signs_and_trailing_comments_stay() {
        check(
            route("orders", 5),
            "# head\n\n[[route]]\nname    = \"orders\"\npercent = 5     # MIG-42\nto      = \"orders\"\n",
            "# head\n\n[[route]]\nname    = \"orders\"\npercent = 25     # MIG-42\nto      = \"orders\"\n",
        );
    }

    #[test]
    fn the_right_route_among_several() {
        check(
            route("b", 7),
            "[[route]]\nname='a'\npercent=1\n\n[[route]]\nname='b'\npercent=2\n[[route]]\nname='c'\npercent=3\n",
            "[[route]]\nname='a'\npercent=1\n\n[[route]]\nname='b'\npercent=25\n[[route]]\nname='c'\npercent=3\n",
        );
    }

    #[test]
    fn inline_tables_on_one_line() {
        check(
            route("b", 1),
            "route = [{ name = \"a\", percent = 1 }, { name = \"b\", percent = 2.50, to = \"x\" }]\n",
            "route = [{ name = \"a\", percent = 1 }, { name = \"b\", percent = 25, to = \"x\" }]\n",
        );
    }

    #[test]
    fn a_cohort_in_each_spelling() {
        check(
            cohort("c", 2),
            "[cohorts.c]\npercent = 12.5 # half\nsticky = []\n",
            "[cohorts.c]\npercent = 25 # half\nsticky = []\n",
        );
        check(cohort("c", 1), "cohorts.c = {percent=1}", "cohorts.c = {percent=25}");
        check(cohort("c", 1), "cohorts.c.percent = 0.001", "cohorts.c.percent = 25");
        check(cohort("c", 2), "[cohorts]\n c . \"percent\" = 7", "[cohorts]\n c . \"percent\" = 25");
    }

    #[test]
    fn windows_line_ends_stay() {
        check(
            route("a", 3),
            "[[route]]\r\nname = \"a\"\r\npercent = 0 # c\r\n\r\n# end\r\n",
            "[[route]]\r\nname = \"a\"\r\npercent = 25 # c\r\n\r\n# end\r\n",
        );
    }

    #[test]
    fn no_newline_at_the_end_and_a_byte_order_mark() {
        check(
            route("a", 3),
            "\u{feff}[[route]]\nname = \"a\"\npercent = 0",
            "\u{feff}[[route]]\nname = \"a\"\npercent = 25",
        );
    }

    #[test]
    fn letters_of_several_bytes_before_the_value() {
        check(
            route("bücher", 3),
            "# Bücher – 図書\n[[route]]\npercent = 3 # größer\nname = \"bücher\"\n",
            "# Bücher – 図書\n[[route]]\npercent = 25 # größer\nname = \"bücher\"\n",
        );
    }

    #[test]
    fn a_name_from_a_variable_is_found_by_its_line() {
        check(
            route("orders", 3),
            "[[route]]\nname = \"${NAME}\"\npercent = 5\n",
            "[[route]]\nname = \"${NAME}\"\npercent = 25\n",
        );
    }

    #[test]
    fn an_included_file_is_edited_where_the_value_stands() {
        let mut set = files("include = [\"routes.d/*.toml\"]\n[[route]]\nname = 'a'\npercent = 1\n");
        let text = "# team orders\n\n[[route]]\npercent = 2\nname = 'b'\n";
        set.included.push(SourceFile { name: "routes.d/b.toml".to_owned(), text: text.to_owned() });
        let untouched = set.main.clone();
        let place = Place::Route { name: "b".to_owned(), origin: origin("routes.d/b.toml", 4) };
        apply(&mut set, &Change::share(place, Share::ALL)).unwrap();
        assert_eq!(set.main, untouched);
        assert_eq!(set.included[0].text, "# team orders\n\n[[route]]\npercent = 100\nname = 'b'\n");
    }

    #[test]
    fn a_store_gets_its_writer_back() {
        let mut set = files("[stores.orders]\nmode = \"separate\"\nwriter = \"candidate\" # since May\n");
        apply(&mut set, &Change::writer_legacy("orders")).unwrap();
        assert_eq!(set.main.text, "[stores.orders]\nmode = \"separate\"\nwriter = \"legacy\" # since May\n");
    }

    #[test]
    fn a_variable_is_refused_and_nothing_changes() {
        let before = files("[stores.orders]\nmode = 'separate'\nwriter = \"${WRITER:-candidate}\"\n");
        let mut set = before.clone();
        let error = apply(&mut set, &Change::writer_legacy("orders")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`writer` of store `orders` is `\"${WRITER:-candidate}\"` at routes.toml:3: its value comes from a variable"
        );
        assert_eq!(set, before);
    }

    #[test]
    fn a_value_that_is_not_there_is_an_error() {
        let mut set = files("[[route]]\nname = 'a'\n");
        let error = apply(&mut set, &Change::share(route("a", 3), Share::ALL)).unwrap_err();
        assert!(matches!(error, EditError::NotWritten { .. }), "{error:?}");
    }
}
