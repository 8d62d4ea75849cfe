//! Typed reading of one TOML value, with its place.

use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml_edit::{ArrayOfTables, Item, Table, TableLike, Value};

use super::variable;
use crate::problem::{Draft, Problems};
use crate::source::{Spot, Variables};

/// Something that can be written in routes.toml.
pub(crate) trait Read: JsonSchema + Sized {
    /// What a message says was expected: "a string".
    const EXPECTED: &'static str;

    /// Reads one value. `None` has left a problem behind.
    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) spot: Spot,
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One key of a table: a key with a bad value is not an absent key, so that one mistake is told once.
#[derive(Debug, Clone, Default)]
pub(crate) enum Field<T> {
    /// Not written.
    #[default]
    Absent,
    /// Written, and the problem is already told.
    Bad(Spot),
    /// Written and understood.
    Good(Located<T>),
}

impl<T> Field<T> {
    /// The value, where it was understood.
    pub(crate) fn good(&self) -> Option<&Located<T>> {
        match self {
            Self::Good(located) => Some(located),
            Self::Absent | Self::Bad(_) => None,
        }
    }

    /// The bare value, where it was understood.
    pub(crate) fn value(&self) -> Option<&T> {
        self.good().map(|located| &located.value)
    }

    /// The bare value itself, where it was understood.
    pub(crate) fn into_value(self) -> Option<T> {
        match self {
            Self::Good(located) => Some(located.value),
            Self::Absent | Self::Bad(_) => None,
        }
    }

    /// Where it was written, understood or not.
    pub(crate) fn spot(&self) -> Option<Spot> {
        match self {
            Self::Absent => None,
            Self::Bad(spot) => Some(*spot),
            Self::Good(located) => Some(located.spot),
        }
    }

    /// True when the key is not there.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// True when the key is there and its problem is already told.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Self::Bad(_))
    }
}

/// A TOML value in any of its dresses.
#[derive(Clone, Copy)]
pub(crate) enum Node<'d> {
    Value(&'d Value),
    Table(&'d Table),
    Tables(&'d ArrayOfTables),
}

impl<'d> Node<'d> {
    pub(crate) fn of(item: &'d Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Value(value) => Some(Self::Value(value)),
            Item::Table(table) => Some(Self::Table(table)),
            Item::ArrayOfTables(tables) => Some(Self::Tables(tables)),
        }
    }

    fn span(self) -> Option<Range<usize>> {
        match self {
            Self::Value(value) => value.span(),
            Self::Table(table) => table.span(),
            Self::Tables(tables) => tables.span(),
        }
    }

    pub(crate) fn string(self) -> Option<&'d str> {
        match self {
            Self::Value(value) => value.as_str(),
            _ => None,
        }
    }

    pub(crate) fn table(self) -> Option<&'d dyn TableLike> {
        match self {
            Self::Value(Value::InlineTable(table)) => Some(table),
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    fn elements(self) -> Option<Vec<Self>> {
        match self {
            Self::Value(Value::Array(array)) => Some(array.iter().map(Node::Value).collect()),
            Self::Tables(tables) => Some(tables.iter().map(Node::Table).collect()),
            _ => None,
        }
    }

    /// What a message says was found: "an integer".
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Value(Value::String(_)) => "a string",
            Self::Value(Value::Integer(_)) => "an integer",
            Self::Value(Value::Float(_)) => "a float",
            Self::Value(Value::Boolean(_)) => "a boolean",
            Self::Value(Value::Datetime(_)) => "a date",
            Self::Value(Value::Array(_)) => "an array",
            Self::Value(Value::InlineTable(_)) | Self::Table(_) => "a table",
            Self::Tables(_) => "an array of tables",
        }
    }
}

/// A value under a key, to be read.
#[derive(Clone, Copy)]
pub(crate) struct Found<'d> {
    /// The key it stands under; elements of a list carry the key of the list.
    pub(crate) key: &'d str,
    /// The value.
    pub(crate) node: Node<'d>,
    /// Where.
    pub(crate) spot: Spot,
}

/// One file while it is read.
pub(crate) struct Reader<'a> {
    /// Position of the file in the set.
    pub(crate) file: usize,
    /// Its text.
    pub(crate) text: &'a str,
    /// Values for `${VAR}`.
    pub(crate) variables: &'a Variables,
    /// What was wrong so far.
    pub(crate) problems: &'a mut Problems,
}

impl Reader<'_> {
    /// A place in this file; nothing is the first character.
    pub(crate) fn spot(&self, span: Option<Range<usize>>) -> Spot {
        let span = span.unwrap_or(0..0);
        Spot { file: self.file, start: span.start, end: span.end }
    }

    /// A value under `key`.
    pub(crate) fn found<'d>(&self, key: &'d str, node: Node<'d>) -> Found<'d> {
        Found { key, node, spot: self.spot(node.span()) }
    }

    /// The text of a value exactly as written.
    pub(crate) fn raw(&self, found: &Found<'_>) -> &str {
        self.text.get(found.spot.start..found.spot.end).unwrap_or_default()
    }

    /// Leaves a problem behind and is `None`.
    pub(crate) fn refuse<T>(&mut self, draft: Draft) -> Option<T> {
        self.problems.push(draft);
        None
    }

    /// Says that a value has the wrong type.
    pub(crate) fn wrong_type<T: Read>(&mut self, found: &Found<'_>, hint: Option<String>) -> Option<T> {
        let message = format!("`{}` must be {}, found {}", found.key, T::EXPECTED, found.node.kind());
        self.refuse(Draft::error("wrong-type", found.spot, message).maybe_hint(hint))
    }

    /// A string with its variables expanded.
    pub(crate) fn text<T: Read>(&mut self, found: &Found<'_>, hint: Option<String>) -> Option<String> {
        match found.node.string() {
            Some(text) => variable::expand(text, found, self),
            None => self.wrong_type::<T>(found, hint).and(None),
        }
    }
}

impl Read for String {
    const EXPECTED: &'static str = "a string";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let raw = reader.raw(found);
        let hint = found.node.table().is_none().then(|| format!("write `{} = \"{raw}\"`", found.key));
        let hint = hint.filter(|_| !matches!(found.node, Node::Tables(_) | Node::Value(Value::Array(_))));
        reader.text::<Self>(found, hint)
    }
}

impl Read for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Node::Value(Value::Boolean(value)) = found.node {
            return Some(*value.value());
        }
        let word = found.node.string().filter(|word| matches!(*word, "true" | "false"));
        let hint = word.map(|word| format!("write `{} = {word}`, without quotes", found.key));
        reader.wrong_type(found, hint)
    }
}

impl Read for u32 {
    const EXPECTED: &'static str = "a whole number";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Node::Value(Value::Integer(value)) = found.node else {
            let number = found.node.string().filter(|text| text.parse::<Self>().is_ok());
            let hint = number.map(|number| format!("write `{} = {number}`, without quotes", found.key));
            return reader.wrong_type(found, hint);
        };
        u32::try_from(*value.value()).ok().or_else(|| {
            let message =
                format!("`{}` must be between 0 and {}, found {}", found.key, u32::MAX, value.value());
            reader.refuse(Draft::error("out-of-range", found.spot, message))
        })
    }
}

impl Read for f64 {
    const EXPECTED: &'static str = "a number";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Node::Value(Value::Integer(_) | Value::Float(_)) = found.node {
            // The text of either, without what TOML allows between digits.
            return match reader.raw(found).replace('_', "").parse() {
                Ok(number) => Some(number),
                Err(_) => reader.wrong_type(found, Some("write it like `0.01`".to_owned())),
            };
        }
        let number = found.node.string().filter(|text| text.parse::<Self>().is_ok());
        let hint = number.map(|number| format!("write `{} = {number}`, without quotes", found.key));
        reader.wrong_type(found, hint)
    }
}

/// Lists keep the elements that can be read, so that later rules see them; a list of bad ones only is bad.
impl<T: Read> Read for Vec<Located<T>> {
    const EXPECTED: &'static str = "an array";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(nodes) = found.node.elements() else {
            return reader.wrong_type(found, array_hint(found, reader));
        };
        let read = nodes.into_iter().map(|node| {
            let element = reader.found(found.key, node);
            T::read(&element, reader).map(|value| Located { value, spot: element.spot })
        });
        let read: Vec<_> = read.collect();
        let none_good = read.iter().all(Option::is_none) && !read.is_empty();
        (!none_good).then(|| read.into_iter().flatten().collect())
    }
}

fn array_hint(found: &Found<'_>, reader: &Reader<'_>) -> Option<String> {
    match found.node {
        Node::Table(_) => Some(format!("write `[[{}]]`, with double brackets", found.key)),
        Node::Value(Value::String(_)) if reader.raw(found).lines().count() == 1 => {
            Some(format!("write `{} = [{}]`", found.key, reader.raw(found)))
        }
        _ => None,
    }
}

/// Tables by name: `[upstreams.orders]`. Names keep their places.
#[derive(Debug, Clone)]
pub(crate) struct Named<T>(pub(crate) Vec<(Located<String>, Option<T>)>);

impl<T: Read> Read for Named<T> {
    const EXPECTED: &'static str = "a table of names";

    fn read(found: &Found<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(table) = found.node.table() else {
            return reader.wrong_type(found, None);
        };
        let entries = table.iter().filter_map(|(name, item)| {
            let spot = reader.spot(table.key(name).and_then(toml_edit::Key::span));
            let value = reader.found(name, Node::of(item)?);
            let read = T::read(&value, reader);
            Some((Located { value: name.to_owned(), spot }, read))
        });
        Some(Self(entries.collect()))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": value })
    }
}
