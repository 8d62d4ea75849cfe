//! A table of routes.toml is declared once: its keys, their types and their documentation give the
//! reader, the "did you mean" and the JSON schema, which therefore cannot drift apart.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value as Json};
use toml_edit::{Key, TableLike};

use super::reader::{Field, Found, Located, Node, Read, Reader};
use crate::problem::Draft;
use crate::source::Spot;

/// What a table may hold.
pub(super) struct Grammar {
    /// Where, for messages: "a route".
    pub(super) place: &'static str,
    /// Keys this build acts on.
    pub(super) keys: &'static [&'static str],
    /// Keys of later builds: refused, never ignored.
    pub(super) later: &'static [&'static str],
    /// Keys people bring from elsewhere, and what to write instead; a required key: what to write when it is
    /// missing; the empty key: what to write when this is no table at all.
    pub(super) hints: &'static [(&'static str, &'static str)],
}

/// Declares a table. `must` keys are required, `may` keys are not.
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $name:ident in $place:literal {
            $( $(#[doc = $field_doc:literal])+ $need:ident $field:ident: $type:ty, )+
        }
        later [$($later:literal),* $(,)?]
        hints [$($wrong:literal => $hint:literal),* $(,)?]
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $field_doc])+ pub(crate) $field: $crate::written::reader::Field<$type>, )+
        }

        impl $crate::written::reader::Read for $name {
            const EXPECTED: &'static str = "a table";

            fn read(
                found: &$crate::written::reader::Found<'_>,
                reader: &mut $crate::written::reader::Reader<'_>,
            ) -> Option<Self> {
                const GRAMMAR: $crate::written::table::Grammar = $crate::written::table::Grammar {
                    place: $place,
                    keys: &[$(stringify!($field)),+],
                    later: &[$($later),*],
                    hints: &[$(($wrong, $hint)),*],
                };
                let Some(table) = found.node.table() else {
                    return reader.wrong_type(found, GRAMMAR.given_hint(""));
                };
                $crate::written::table::check_keys(table, found.spot, &GRAMMAR, reader);
                $( $crate::written::table::need!($need, table, $field, &GRAMMAR, found.spot, reader); )+
                Some(Self { $( $field: $crate::written::table::field(table, stringify!($field), reader), )+ })
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let mut schema = $crate::written::table::TableSchema::new(concat!($($doc),+));
                $( schema.key::<$type>(
                    stringify!($field),
                    concat!($($field_doc),+),
                    stringify!($need) == "must",
                    generator,
                ); )+
                schema.done()
            }
        }
    };
}
pub(super) use table;

macro_rules! need {
    (may, $table:ident, $field:ident, $grammar:expr, $spot:expr, $reader:ident) => {};
    (must, $table:ident, $field:ident, $grammar:expr, $spot:expr, $reader:ident) => {
        $crate::written::table::require($table, stringify!($field), $grammar, $spot, $reader);
    };
}
pub(super) use need;

/// Says that a required key is missing.
pub(super) fn require(
    table: &dyn TableLike,
    key: &'static str,
    grammar: &Grammar,
    spot: Spot,
    reader: &mut Reader<'_>,
) {
    if !table.contains_key(key) && !reader.problems.is_misspelt(spot, &[key]) {
        let draft = Draft::error("missing-key", spot, format!("{} needs `{key}`", grammar.place));
        reader.problems.push(draft.maybe_hint(grammar.given_hint(key)));
    }
}

/// Reads one key.
pub(super) fn field<T: Read>(table: &dyn TableLike, key: &'static str, reader: &mut Reader<'_>) -> Field<T> {
    let Some(node) = table.get(key).and_then(Node::of) else {
        return Field::Absent;
    };
    let found: Found<'_> = reader.found(key, node);
    match T::read(&found, reader) {
        Some(value) => Field::Good(Located { value, spot: found.spot }),
        None => Field::Bad(found.spot),
    }
}

/// Refuses keys that the grammar does not know.
pub(super) fn check_keys(
    table: &dyn TableLike,
    table_spot: Spot,
    grammar: &Grammar,
    reader: &mut Reader<'_>,
) {
    for (key, _) in table.iter().filter(|(key, _)| !grammar.keys.contains(key)) {
        let spot = reader.spot(table.key(key).and_then(Key::span));
        let draft = if grammar.later.contains(&key) {
            Draft::error("not-in-this-build", spot, format!("`{key}` is not in this build yet"))
                .hint("leave it out: a key that nothing acts on would only look as if it did")
        } else {
            let hint = grammar.hint(key);
            for meant in grammar.keys.iter().filter(|known| hint.contains(&format!("you mean `{known}"))) {
                reader.problems.misspelt(table_spot, meant);
            }
            Draft::error("unknown-key", spot, format!("unknown key `{key}` in {}", grammar.place)).hint(hint)
        };
        reader.problems.push(draft);
    }
}

impl Grammar {
    pub(super) fn given_hint(&self, key: &str) -> Option<String> {
        self.hints.iter().find(|(wrong, _)| *wrong == key).map(|(_, hint)| (*hint).to_owned())
    }

    fn hint(&self, key: &str) -> String {
        if let Some(hint) = self.given_hint(key) {
            return hint;
        }
        if let Some(near) = nearest(key, self.keys.iter().copied()) {
            return format!("did you mean `{near}`?");
        }
        let known: Vec<_> = self.keys.iter().map(|known| format!("`{known}`")).collect();
        format!("known keys are {}", known.join(", "))
    }
}

/// The word that was probably meant: at most one slip in three letters, two swapped letters are one slip.
pub(crate) fn nearest<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // Longer words are nobody's slip, and the distance is quadratic.
    const LONGEST: usize = 64;
    let wrong = (wrong.len() <= LONGEST).then(|| wrong.to_lowercase())?;
    let most = wrong.chars().count().div_ceil(3);
    let distance = |word: &str| strsim::osa_distance(&wrong, &word.to_lowercase());
    let near = words.into_iter().filter(|word| word.len() <= LONGEST).map(|word| (distance(word), word));
    near.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// The JSON schema of a table while it is made.
pub(super) struct TableSchema {
    doc: &'static str,
    properties: Map<String, Json>,
    required: Vec<Json>,
}

impl TableSchema {
    pub(super) fn new(doc: &'static str) -> Self {
        Self { doc, properties: Map::new(), required: Vec::new() }
    }

    pub(super) fn key<T: JsonSchema>(
        &mut self,
        key: &str,
        doc: &str,
        needed: bool,
        generator: &mut SchemaGenerator,
    ) {
        let mut schema = generator.subschema_for::<T>();
        schema.insert("description".to_owned(), doc.trim().into());
        self.properties.insert(key.to_owned(), schema.to_value());
        if needed {
            self.required.push(key.into());
        }
    }

    pub(super) fn done(self) -> Schema {
        let mut schema = schemars::json_schema!({
            "type": "object",
            "description": self.doc.trim(),
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), self.required.into());
        }
        schema
    }
}
