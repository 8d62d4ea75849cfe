//! HTML in which white space that a browser does not show is gone.
//!
//! Runs of white space become one space, between two tags one line end: so lines are what a tag says. In quoted
//! values and in `pre`, `textarea`, `script` and `style` nothing changes. Whether an element is laid out as a block
//! is up to style sheets: white space between two tags never counts, white space beside words does.

/// Elements whose content stays as it is.
const VERBATIM: [&str; 4] = ["pre", "textarea", "script", "style"];

/// The page with its white space collapsed. Doing it again changes nothing.
pub(crate) fn collapse(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let out = String::with_capacity(page.len());
    let mut collapsing = Collapsing { page, lower: &lower, out, after_tag: true };
    let mut at = 0;
    while at < page.len() {
        at = if page.as_bytes()[at] == b'<' { collapsing.tag(at) } else { collapsing.words(at) };
    }
    collapsing.out
}

struct Collapsing<'p> {
    page: &'p str,
    lower: &'p str,
    out: String,
    /// Nothing that is shown came since the last tag, or since the beginning.
    after_tag: bool,
}

impl Collapsing<'_> {
    /// Copies one tag, and what follows verbatim; gives the place after it.
    fn tag(&mut self, start: usize) -> usize {
        if self.after_tag && !self.out.is_empty() {
            self.out.push('\n');
        }
        let end = tag_end(self.page, start);
        push_tag(&self.page[start..end], &mut self.out);
        let name = VERBATIM.iter().find(|name| opens(&self.lower[start..end], name));
        self.after_tag = name.is_none();
        let Some(name) = name else { return end };
        let close =
            self.lower[end..].find(&format!("</{name}")).map_or(self.page.len(), |offset| end + offset);
        self.out.push_str(&self.page[end..close]);
        close
    }

    /// Copies up to the next tag; gives the place of it.
    fn words(&mut self, start: usize) -> usize {
        let rest = &self.page[start..];
        let text = &rest[..rest.find('<').unwrap_or(rest.len())];
        let shown = !text.trim_ascii().is_empty();
        if shown || !self.after_tag {
            push_words(text, &mut self.out);
        }
        self.after_tag &= !shown;
        start + text.len()
    }
}

fn tag_end(page: &str, start: usize) -> usize {
    let mut quote = None;
    for (offset, byte) in page.bytes().enumerate().skip(start) {
        match (quote, byte) {
            (None, b'>') => return offset + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    page.len()
}

fn opens(tag: &str, name: &str) -> bool {
    let rest = tag.strip_prefix('<').and_then(|tag| tag.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with(|c: char| c == '>' || c == '/' || c.is_ascii_whitespace()))
}

fn push_tag(tag: &str, out: &mut String) {
    let mut quote = None;
    for character in tag.chars() {
        match (quote, character) {
            (None, space) if space.is_ascii_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        out.push(character);
    }
}

fn push_words(text: &str, out: &mut String) {
    let space = |c: char| c.is_ascii_whitespace();
    out.push_str(if text.starts_with(space) { " " } else { "" });
    for (index, word) in text.split_ascii_whitespace().enumerate() {
        out.push_str(if index > 0 { " " } else { "" });
        out.push_str(word);
    }
    if text.ends_with(space) && !out.ends_with(' ') {
        out.push(' ');
    }
}

#[cfg(test)]
mod tests {
    use super::collapse;

    #[test]
    fn what_a_browser_does_not_show_is_gone() {
        let page = "<ul>\n  <li  class='a  b'>One\n two</li>\n</ul>\n<pre>a\n  b</pre>";
        let expected = "<ul>\n<li class='a  b'>One two</li>\n</ul>\n<pre>a\n  b</pre>";
        assert_eq!(collapse(page), expected);
        assert_eq!(collapse("<ul><li class='a  b'>One two</li></ul><pre>a\n  b</pre>"), expected);
        assert_ne!(collapse("a <b>c</b>"), collapse("a<b>c</b>"));
        assert_eq!(collapse("<preface>a  b</preface>"), "<preface>a b</preface>");
        assert_eq!(collapse("<script>a  <"), "<script>a  <");
    }

    proptest::proptest! {
        #[test]
        fn again_changes_nothing(page in r#"(<|>|</|pre|b|x| |\n|"|'|=){0,40}"#) {
            let once = collapse(&page);
            proptest::prop_assert_eq!(collapse(&once), once);
        }
    }
}
