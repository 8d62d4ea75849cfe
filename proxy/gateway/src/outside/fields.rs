//! Where addresses stand in `Link` and `Refresh`.

/// Every `<address>` of a `Link` through `map` (RFC 8288, section 3); `None` when none changed. From where it is no
/// `Link` any more, it stays as it is.
pub(super) fn map_link(text: &str, map: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut changed = String::new();
    let mut kept_to = 0;
    let mut at = 0;
    while let Some((start, end)) = next_address(text, at) {
        if let Some(address) = map(&text[start..end]) {
            changed.push_str(&text[kept_to..start]);
            changed.push_str(&address);
            kept_to = end;
        }
        at = end_of_parameters(text, end + 1);
    }
    (kept_to > 0).then(|| changed + &text[kept_to..])
}

/// Begin and end of the address between `<` and `>` of the element at or after `at`.
fn next_address(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?.trim_start_matches([' ', '\t', ',']);
    let start = text.len() - rest.len() + 1;
    let length = rest.strip_prefix('<')?.find('>')?;
    Some((start, start + length))
}

/// Place of the comma that ends an element: not one in quotes.
fn end_of_parameters(text: &str, from: usize) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.bytes().enumerate().skip(from).find(|&(_, byte)| {
        let was_escaped = escaped;
        escaped = quoted && !was_escaped && byte == b'\\';
        quoted ^= byte == b'"' && !was_escaped;
        byte == b',' && !quoted
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// The address of `5; url=address` through `map`, as browsers read it (HTML, "shared declarative refresh steps"):
/// `,` for `;`, quotes, and no `url=` are all met. `None` when it did not change.
pub(super) fn map_refresh(text: &str, map: impl Fn(&str) -> Option<String>) -> Option<String> {
    let is_time = |found: char| found.is_ascii_digit() || found == '.' || found.is_ascii_whitespace();
    let after_time = text.trim_start_matches(is_time).strip_prefix([';', ','])?.trim_ascii_start();
    let named = after_time.split_at_checked(3).filter(|(name, _)| name.eq_ignore_ascii_case("url"));
    let named = named.and_then(|(_, rest)| rest.trim_ascii_start().strip_prefix('='));
    let value = named.map_or(after_time, str::trim_ascii_start);
    let address = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.trim_ascii_end(),
    };
    let start = text.len() - value.len() + usize::from(value.starts_with(['"', '\'']));
    let mapped = map(address)?;
    Some(format!("{}{mapped}{}", &text[..start], &text[start + address.len()..]))
}

#[cfg(test)]
mod tests {
    use super::{map_link, map_refresh};

    fn marked(address: &str) -> Option<String> {
        address.contains("in").then(|| format!("[{address}]"))
    }

    #[test]
    fn every_address_of_a_link_is_found() {
        for (text, expected) in [
            ("<in>", Some("<[in]>")),
            (
                "<in>; rel=next, <out>; rel=x,<in2>;rel=\"y\"",
                Some("<[in]>; rel=next, <out>; rel=x,<[in2]>;rel=\"y\""),
            ),
            (
                r#"<out>; title="a, <in> \", <in>"; x, , <in>"#,
                Some(r#"<out>; title="a, <in> \", <in>"; x, , <[in]>"#),
            ),
            ("<in>; title=\"unclosed, <in>", Some("<[in]>; title=\"unclosed, <in>")),
            ("<in, <in>", Some("<[in, <in]>")),
            ("in", None),
            ("<out>, in, <in>", None),
            ("", None),
            ("<", None),
        ] {
            assert_eq!(map_link(text, marked).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_address_of_a_refresh_is_found() {
        for (text, expected) in [
            ("5; url=in", Some("5; url=[in]")),
            ("0;URL='in' x", Some("0;URL='[in]' x")),
            ("1.5 , Url = \"in", Some("1.5 , Url = \"[in]")),
            ("5;in ", Some("5;[in] ")),
            ("5; url", None),
            ("5; url=out", None),
            ("5", None),
            ("5;", None),
            ("soon; url=in", None),
            ("", None),
        ] {
            assert_eq!(map_refresh(text, marked).as_deref(), expected, "{text}");
        }
    }
}
