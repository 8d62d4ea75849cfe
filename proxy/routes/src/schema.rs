//! The JSON schema of routes.toml, for editors.

use serde_json::{Value, json};

use crate::written::file::MainFile;

/// The schema of the main file and of included files, which are told apart by `version`, `include` and
/// `defaults`: a file with any of them is a main file and needs `version` and `defaults`.
pub fn schema() -> Value {
    let mut schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<MainFile>();
    schema.insert("title".to_owned(), "routes.toml".into());
    schema.remove("required");
    let main =
        json!([{ "required": ["version"] }, { "required": ["include"] }, { "required": ["defaults"] }]);
    schema.insert("if".to_owned(), json!({ "anyOf": main }));
    schema.insert("then".to_owned(), json!({ "required": ["version", "defaults"] }));
    schema.to_value()
}
