//! `--name value`, and `--name` alone where the next word is another name.

use std::collections::HashMap;
use std::str::FromStr;

pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    pub(crate) fn read(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut given = HashMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("not a flag: {word}"))?;
            let value = words.next_if(|word| !word.starts_with("--")).unwrap_or_default();
            given.insert(name.to_owned(), value);
        }
        Ok(Self(given))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn get<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let read = |text: &String| text.parse().map_err(|_| format!("--{name} does not take `{text}`"));
        self.0.get(name).map(read).transpose()
    }

    pub(crate) fn must<T: FromStr>(&self, name: &str) -> Result<T, String> {
        self.get(name)?.ok_or_else(|| format!("--{name} is missing"))
    }
}
