//! Addresses of pages, with names put into them safely.

/// Of one route.
pub(super) fn route(name: &str) -> String {
    format!("/routes/{}", encoded(name))
}

/// Where its share is changed.
pub(super) fn shift(route: &str) -> String {
    format!("/actions/shift?route={}", encoded(route))
}

/// Where it is rolled back.
pub(super) fn rollback(route: &str) -> String {
    format!("/actions/rollback?route={}", encoded(route))
}

/// Everything but unreserved characters percent-encoded (RFC 3986, 2.3): fits a segment of a path and a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.push(char::from(b"0123456789ABCDEF"[usize::from(half)]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place() {
        assert_eq!(route("orders-read"), "/routes/orders-read");
        assert_eq!(route("a/b?c#d\"e"), "/routes/a%2Fb%3Fc%23d%22e");
        assert_eq!(rollback("ä&b=c"), "/actions/rollback?route=%C3%A4%26b%3Dc");
    }
}
