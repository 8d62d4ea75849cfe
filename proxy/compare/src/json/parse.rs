//! Text to tree, by RFC 8259 to the letter, within bounds.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{DEPTH_MAX, Member, NODES_MAX, Node, Value};

/// Why a text gives no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonProblem {
    /// It is not JSON.
    Syntax,
    /// It is deeper or has more values than is compared.
    TooComplex,
}

type Parsed<T> = Result<T, JsonProblem>;

/// One document.
pub(crate) fn parse(text: &str) -> Parsed<Node<'_>> {
    let mut parser = Parser::new(text);
    parser.document()
}

/// One document on each line that is not blank, as an array.
pub(crate) fn parse_lines(text: &str) -> Parsed<Node<'_>> {
    let mut nodes = 1;
    let mut items = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut parser = Parser { nodes, ..Parser::new(line) };
        items.push(parser.document()?);
        nodes = parser.nodes;
    }
    Ok(Node::new(Value::Array(items)))
}

/// A form: an object of strings. A name that comes again is a doubled key.
pub(crate) fn parse_pairs(text: &str) -> Parsed<Node<'_>> {
    let pairs = form_urlencoded::parse(text.as_bytes());
    let members =
        pairs.take(NODES_MAX).map(|(key, value)| Member { key, node: Node::new(Value::String(value)) });
    let members: Vec<_> = members.collect();
    if members.len() == NODES_MAX {
        Err(JsonProblem::TooComplex)
    } else {
        Ok(Node::new(Value::Object(members)))
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, nodes: 0 }
    }

    fn document(&mut self) -> Parsed<Node<'a>> {
        self.space();
        let node = self.node()?;
        self.space();
        if self.at == self.text.len() { Ok(node) } else { Err(JsonProblem::Syntax) }
    }

    fn node(&mut self) -> Parsed<Node<'a>> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(JsonProblem::TooComplex);
        }
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(Cow::Borrowed(self.number()?)),
            Some(b't') => self.word("true", Value::Bool(true))?,
            Some(b'f') => self.word("false", Value::Bool(false))?,
            Some(b'n') => self.word("null", Value::Null)?,
            _ => return Err(JsonProblem::Syntax),
        };
        Ok(Node::new(value))
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Parsed<Value<'a>>) -> Parsed<Value<'a>> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(JsonProblem::TooComplex);
        }
        self.at += 1;
        self.space();
        let value = inner(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Parsed<Value<'a>> {
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            members.push(Member { key, node: self.node()? });
            self.space();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self) -> Parsed<Value<'a>> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.node()?);
            self.space();
            if self.take(b']') {
                return Ok(Value::Array(items));
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut owned: Option<String> = None;
        loop {
            let run = self.at;
            while self.peek().is_some_and(|byte| byte != b'"' && byte != b'\\' && byte >= b' ') {
                self.at += 1;
            }
            // Cuts are at ASCII bytes: always between characters.
            if let Some(text) = &mut owned {
                text.push_str(&self.text[run..self.at]);
            }
            match self.next() {
                Some(b'"') => {
                    let borrowed = || Cow::Borrowed(&self.text[start..self.at - 1]);
                    return Ok(owned.map_or_else(borrowed, Cow::Owned));
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_with(|| self.text[start..self.at - 1].to_owned());
                    let mut text = std::mem::take(text);
                    self.escape(&mut text)?;
                    owned = Some(text);
                }
                _ => return Err(JsonProblem::Syntax),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Parsed<()> {
        let character = match self.next().ok_or(JsonProblem::Syntax)? {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => return self.unicode(out),
            same @ (b'"' | b'\\' | b'/') => char::from(same),
            _ => return Err(JsonProblem::Syntax),
        };
        out.push(character);
        Ok(())
    }

    fn unicode(&mut self, out: &mut String) -> Parsed<()> {
        let unit = self.hex()?;
        if let Some(character) = char::from_u32(unit) {
            out.push(character);
            return Ok(());
        }
        let after = self.at;
        if unit < 0xdc00 && self.take(b'\\') && self.take(b'u') {
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                out.extend(char::from_u32(code));
                return Ok(());
            }
        }
        self.at = after;
        out.push('\u{fffd}');
        let _ = write!(out, "{unit:04x}");
        Ok(())
    }

    fn hex(&mut self) -> Parsed<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(JsonProblem::Syntax)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or(JsonProblem::Syntax)?;
            Ok(value << 4 | digit)
        })
    }

    fn number(&mut self) -> Parsed<&'a str> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _ = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(JsonProblem::Syntax) }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Parsed<Value<'a>> {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        if found { Ok(value) } else { Err(JsonProblem::Syntax) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        if self.take(byte) { Ok(()) } else { Err(JsonProblem::Syntax) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{DEPTH_MAX, Value};
    use super::{JsonProblem, parse, parse_lines};

    #[test]
    fn strings_are_unescaped_and_numbers_kept() {
        let Value::Array(items) =
            parse(r#"["a\u00e9\n\ud83d\ude00", "\ud800x", 12345678901234567890.10]"#).unwrap().value
        else {
            panic!("not an array")
        };
        assert_eq!(items[0].value, Value::String("aé\n😀".into()));
        assert_eq!(items[1].value, Value::String("\u{fffd}d800x".into()));
        assert_eq!(items[2].value, Value::Number("12345678901234567890.10".into()));
    }

    #[test]
    fn bounds_are_told_from_mistakes() {
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&deep(DEPTH_MAX)).is_ok());
        assert_eq!(parse(&deep(DEPTH_MAX + 1)), Err(JsonProblem::TooComplex));
        assert_eq!(parse(&format!("[{}0]", "0,".repeat(300_000))), Err(JsonProblem::TooComplex));
        for wrong in [
            "",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "\"\u{1}\"",
            "nul",
            "[1] 2",
            "'a'",
            "\"\\x\"",
            "\"\\u12\"",
            "+1",
        ] {
            assert_eq!(parse(wrong), Err(JsonProblem::Syntax), "{wrong}");
        }
        assert!(parse_lines("{\"a\":1}\n\n{\"a\":2}\n").is_ok());
    }

    proptest! {
        /// Both take the same texts (serde_json refuses lone surrogates, which are not made here).
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:0-9eE+.\-truefalsn \\a]{0,24}"#) {
            prop_assume!(!text.contains('e') && !text.contains('E'));
            prop_assert_eq!(parse(&text).is_ok(), serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }
}
