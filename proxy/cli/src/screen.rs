//! What people and programs see: data on standard output, talk on standard error.
//!
//! Colour comes through `anstream`, which takes it out for files, pipes and `NO_COLOR`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

/// Something is wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
/// Somebody should look.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// No emphasis.
pub(crate) const PLAIN: Style = Style::new();

/// Columns where there is no terminal.
const WIDTH: usize = 100;

/// One line of data.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    writeln!(anstream::stdout(), "{line}").map_err(Failure::from)
}

/// Data as it is, without a line end of its own.
pub(crate) fn print_text(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::from)
}

/// Data for programs: one JSON value, indented. The value carries `version`.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    // Our answers are structs with string keys: their serialisation cannot fail.
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    print(&harmless_json(&text))
}

/// The same JSON, in which no character steers a terminal. Such a one can only be inside a string, where `\u009b` stands
/// for it; what is below U+0020 there, JSON itself does not allow.
pub(crate) fn harmless_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character >= ' ' && steers(character) {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        } else {
            out.push(character);
        }
    }
    out
}

/// One line of talk. A standard error that cannot be written has nobody to be told to.
pub(crate) fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// A warning.
pub(crate) fn say_warning(message: &str) {
    say(&format!("{YELLOW}warning{YELLOW:#}: {message}"));
}

/// An error and its hint.
pub(crate) fn say_error(message: &str, hint: Option<&str>) {
    say(&format!("{RED}error{RED:#}: {message}"));
    if let Some(hint) = hint {
        say(&format!("{BOLD}hint{BOLD:#}: {hint}"));
    }
}

/// Columns of the terminal that data goes to; what fits most screens, where there is none.
pub(crate) fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let found = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    asked.or_else(found).filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

/// Text from elsewhere, which must not steer the terminal: such characters as `\u{1b}`.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if steers(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// Control characters, U+0080 to U+009F among them, and those that turn the direction of what follows. All have four digits.
fn steers(character: char) -> bool {
    let turns =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control()
}

/// Whether standard error is looked at by somebody.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes over the last such line of talk.
pub(crate) fn say_again(line: &str) {
    let mut out = anstream::stderr();
    let _ = write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush());
}

/// Whether standard error shows colour.
pub(crate) fn stderr_has_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// One field of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// With emphasis.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, PLAIN)
    }
}

/// Rows with a heading, columns as wide as they must be, no space at the end of a line.
pub(crate) fn table(heading: &[&str], rows: &[Vec<Cell>]) -> String {
    let heading: Vec<Cell> = heading.iter().map(|text| Cell::styled(*text, BOLD)).collect();
    let all = || std::iter::once(&heading).chain(rows);
    let width = |column: usize| all().map(|row| row[column].text.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    all().fold(String::new(), |text, row| text + &line(row, &widths))
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let last = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
    let padded = |(column, (cell, width)): (usize, (&Cell, &usize))| {
        let Cell { text, style } = cell;
        let gap = if column + 1 < last { width + 2 - text.chars().count() } else { 0 };
        format!("{style}{text}{style:#}{}", " ".repeat(gap))
    };
    row.iter().zip(widths).take(last).enumerate().map(padded).collect::<String>() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_spaces() {
        let rows =
            [vec!["a".into(), "bücher".into(), "1".into()], vec!["longer".into(), "".into(), "".into()]];
        let text = table(&["X", "NAME", "N"], &rows);
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(text, "X       NAME    N\na       bücher  1\nlonger\n");
    }
}
