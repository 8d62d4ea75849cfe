//! TOML 1.1 in a file: Banyan reads it, but editors and other tools still read 1.0.

use toml_edit::{Document, InlineTable, Item, Key, RawString, TableLike, Value};

use crate::problem::{Draft, Problems};
use crate::source::Spot;

/// Warns once per file, at the first place.
pub(super) fn warn(document: &Document<&str>, file: usize, problems: &mut Problems) {
    let Some((at, what)) = in_table(document.as_table(), document.raw()) else {
        return;
    };
    let spot = Spot { file, start: at, end: at };
    let draft = Draft::warning("toml-1-1", spot, format!("{what}, which only TOML 1.1 allows"));
    problems.push(draft.hint("banyan reads it, but many editors and tools read TOML 1.0 only"));
}

type Finding = Option<(usize, &'static str)>;

fn in_table(table: &dyn TableLike, text: &str) -> Finding {
    table.iter().find_map(|(_, item)| match item {
        Item::None => None,
        Item::Value(value) => in_value(value, text),
        Item::Table(table) => in_table(table, text),
        Item::ArrayOfTables(tables) => tables.iter().find_map(|table| in_table(table, text)),
    })
}

fn in_value(value: &Value, text: &str) -> Finding {
    match value {
        Value::String(_) => in_string(value, text),
        Value::Datetime(_) => in_date(value, text),
        Value::Array(array) => array.iter().find_map(|value| in_value(value, text)),
        Value::InlineTable(table) => in_inline_table(table, text),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => None,
    }
}

fn in_string(value: &Value, text: &str) -> Finding {
    let span = value.span()?;
    let raw = text.get(span.clone())?;
    let mut bytes = raw.bytes().enumerate();
    if !raw.starts_with('"') {
        return None;
    }
    while let Some((at, byte)) = bytes.next() {
        if byte == b'\\' && matches!(bytes.next(), Some((_, b'e' | b'x'))) {
            return Some((span.start + at, "an escape `\\e` or `\\x`"));
        }
    }
    None
}

fn in_date(value: &Value, text: &str) -> Finding {
    let span = value.span()?;
    let without_seconds = text.get(span.clone())?.split(['+', 'Z', 'z']).next()?.matches(':').count() == 1;
    without_seconds.then_some((span.start, "a time without seconds"))
}

fn in_inline_table(table: &InlineTable, text: &str) -> Finding {
    let start = table.span()?.start;
    if table.trailing_comma() {
        return Some((start, "a comma after the last key of an inline table"));
    }
    let keys = table.iter().filter_map(|(key, _)| table.key(key));
    let mut spaces =
        keys.flat_map(|key: &Key| [key.leaf_decor().prefix(), key.leaf_decor().suffix()]).flatten();
    let values = table.iter().map(|(_, value)| value.decor());
    let mut around = values.flat_map(|decor| [decor.prefix(), decor.suffix()]).flatten();
    let breaks =
        |space: &RawString| space.span().and_then(|span| text.get(span)).is_some_and(|s| s.contains('\n'));
    if spaces.any(breaks) || around.any(breaks) || breaks(table.trailing()) {
        return Some((start, "a line break in an inline table"));
    }
    table.iter().find_map(|(_, value)| in_value(value, text))
}
