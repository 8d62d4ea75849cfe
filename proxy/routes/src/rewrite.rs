//! The path a candidate is asked for instead of the public one, and the way back.
//!
//! Forward, the normal form of the path is rewritten, never its spelling: what was decided is what is sent. A path
//! that some server could read as leading out of the rewritten prefix is refused.
//!
//! Back, an address that the candidate wrote as seen from where it stands is written as the client sees it.

use crate::path::{NormalPath, PathProblem, split_target};
use crate::pattern::rest_below;

/// `strip_prefix` and `add_prefix` of a route: `/api/orders/7` becomes `/v2/7`.
///
/// Both are empty or a path in normal form that every server reads alike and that does not end with `/`; one of them
/// is not empty. Everything the route takes lies below what is stripped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixRewrite {
    pub(crate) strip: Box<str>,
    pub(crate) add: Box<str>,
    /// Of the route: what is stripped is compared without regard to case, too.
    pub(crate) ignore_case: bool,
}

impl PrefixRewrite {
    /// What goes from the beginning of the public path, empty for nothing.
    pub fn strip(&self) -> &str {
        &self.strip
    }

    /// What the candidate's path begins with instead, empty for nothing.
    pub fn add(&self) -> &str {
        &self.add
    }

    /// The target the candidate is asked for: the rewritten normal form of the path, and the query byte for byte.
    ///
    /// Fails for a path that the route does not take, or that [`crate::RouteTable::decide`] refuses.
    pub fn forward(&self, target: &str) -> Result<String, PathProblem> {
        let (path, query) = split_target(target);
        let normal = NormalPath::read(path)?;
        self.check(&normal)?;
        let rest = self.rest(normal.as_str()).ok_or(PathProblem::LeavesPrefix)?;
        let query_length = query.map_or(0, |query| query.len() + 1);
        let mut asked = String::with_capacity(self.add.len() + rest.len().max(1) + query_length);
        asked.push_str(&self.add);
        asked.push_str(rest);
        if asked.is_empty() {
            asked.push('/');
        }
        if let Some(query) = query {
            asked.push('?');
            asked.push_str(query);
        }
        Ok(asked)
    }

    /// The public path of a path at the candidate (without query and fragment); `None` when no public path of this
    /// route leads there. Dot segments are resolved first, everything else keeps its spelling.
    ///
    /// [`Self::forward`] and back is the same path in normal form, except that with nothing added both `/a` and
    /// `/a/` are asked for as `/`, which is `/a/` again.
    pub fn back(&self, path: &str) -> Option<String> {
        if !has_dot_segment(path) {
            return self.mapped_back(path);
        }
        self.mapped_back(NormalPath::read(path).ok()?.as_str())
    }

    /// As [`Self::back`], for the `Path` of a cookie: it covers what lies below it, so that `/` at the candidate is
    /// all of the route and ends without a slash (RFC 6265, section 5.1.4).
    pub fn cookie_path_back(&self, path: &str) -> Option<String> {
        match self.back(path)? {
            public if path == "/" && !self.strip.is_empty() => Some(public.trim_end_matches('/').to_owned()),
            public => Some(public),
        }
    }

    /// The public path that a reference of the candidate leads to which does not begin with `/`, such as `7` or
    /// `../8`, in an answer to what [`Self::forward`] gave (RFC 3986, section 5.2.3).
    pub fn resolve_back(&self, asked: &str, reference: &str) -> Option<String> {
        let asked = split_target(asked).0;
        let folder = &asked[..=asked.rfind('/')?];
        self.back(&format!("{folder}{reference}"))
    }

    /// Whether every server sees a path of the route stay below what is rewritten.
    ///
    /// What is sent is the normal form, in which only `%2F`, `%5C` and `;` are read in other ways. When no reading
    /// of what is left after the strip climbs out of it, none of the whole does, whatever is put before it.
    pub(crate) fn check(&self, normal: &NormalPath<'_>) -> Result<(), PathProblem> {
        if !normal.is_odd() {
            return Ok(());
        }
        let rest = self.rest(normal.as_str()).ok_or(PathProblem::LeavesPrefix)?;
        if rest.is_empty() {
            return Ok(());
        }
        let plain = NormalPath::read(rest)?;
        let climbs = plain.other_readings(rest).any(|reading| reading.is_err());
        if climbs { Err(PathProblem::LeavesPrefix) } else { Ok(()) }
    }

    /// What is left of a path in normal form: empty, or beginning with `/`.
    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        rest_below(&self.strip, path, self.ignore_case)
    }

    fn mapped_back(&self, path: &str) -> Option<String> {
        let path = if path.is_empty() { "/" } else { path };
        let rest = rest_below(&self.add, path, false)?;
        let public = format!("{}{rest}", self.strip);
        match public.as_bytes() {
            [] => Some("/".to_owned()),
            // `//host` and, to browsers, `/\host` are other hosts, which the candidate did not mean.
            [b'/', b'/' | b'\\', ..] => None,
            _ => Some(public),
        }
    }
}

/// Whether a segment is `.` or `..`, encoded or not.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let plain = segment.len() <= 6 && segment.starts_with(['.', '%']);
        plain && matches!(&*segment.to_ascii_lowercase().replace("%2e", "."), "." | "..")
    })
}

#[cfg(test)]
mod tests {
    use super::PrefixRewrite;
    use crate::path::PathProblem;

    fn rewrite(strip: &str, add: &str) -> PrefixRewrite {
        PrefixRewrite { strip: strip.into(), add: add.into(), ignore_case: false }
    }

    #[track_caller]
    fn forward(strip: &str, add: &str, cases: &[(&str, Result<&str, PathProblem>)]) {
        for (target, asked) in cases {
            let found = rewrite(strip, add).forward(target);
            assert_eq!(found.as_deref().map_err(|problem| *problem), *asked, "{target}");
        }
    }

    #[test]
    fn the_normal_form_is_sent_and_the_query_as_it_came() {
        let (ok, out) = (Ok, Err(PathProblem::LeavesPrefix));
        forward(
            "/api/orders",
            "",
            &[
                ("/api/orders/7", ok("/7")),
                ("/api/orders", ok("/")),
                ("/api/orders/", ok("/")),
                ("/api/orders?", ok("/?")),
                ("//api/./orders//%7e?a=/../%2e", ok("/~?a=/../%2e")),
                ("/api/x/../orders/7", ok("/7")),
                ("/api/orders/a%2fb;v=1", ok("/a%2Fb;v=1")),
                ("/api/ordersx", out),
                ("/API/orders", out),
            ],
        );
        forward("/a", "/v2/b", &[("/a", ok("/v2/b")), ("/a/", ok("/v2/b/")), ("/a/c?d", ok("/v2/b/c?d"))]);
        forward("", "/v2", &[("/", ok("/v2/")), ("/a", ok("/v2/a"))]);
    }

    #[test]
    fn no_reading_leads_out_of_the_prefix() {
        for (strip, add) in [("/api", ""), ("/api", "/v2"), ("", "/v2"), ("/api", "/api")] {
            for rest in ["/..%2fapi/y", "/x/..%2f..%2fy", "/..;/y", "/x\\..\\..\\y", "/%2f..%2fy", "/..%5cy"]
            {
                let sent = format!("{strip}{rest}");
                assert!(rewrite(strip, add).forward(&sent).is_err(), "{sent}");
            }
            for rest in ["/x/..%2fy", "/a%2fb", "/a;b/c", "/a%5cb"] {
                let sent = format!("{strip}{rest}");
                assert!(rewrite(strip, add).forward(&sent).is_ok(), "{sent}");
            }
        }
    }

    #[test]
    fn addresses_are_mapped_back() {
        let back = |strip, add, path: &str| rewrite(strip, add).back(path);
        let to = |path: &str| Some(path.to_owned());
        assert_eq!(back("/api/orders", "", "/7"), to("/api/orders/7"));
        assert_eq!(back("/api/orders", "", "/"), to("/api/orders/"));
        assert_eq!(back("/api/orders", "", ""), to("/api/orders/"));
        assert_eq!(back("/api/orders", "", "/a/../%7e"), to("/api/orders/~"));
        assert_eq!(back("/api/orders", "", "/%2e%2e/a"), None);
        assert_eq!(back("/api/orders", "", "//x/%7e"), to("/api/orders//x/%7e"));
        assert_eq!(back("/a", "/v2", "/v2"), to("/a"));
        assert_eq!(back("/a", "/v2", "/v2/"), to("/a/"));
        assert_eq!(back("/a", "/v2", "/v20"), None);
        assert_eq!(back("/a", "/v2", "/login"), None);
        assert_eq!(back("/a", "/v2", "/v2/../login"), None);
        assert_eq!(back("", "/v2", "/v2"), to("/"));
        assert_eq!(back("", "/v2", "/v2/x"), to("/x"));
        assert_eq!(back("", "/v2", "/v2//evil.test"), None);
        assert_eq!(back("", "/v2", "/v2/\\evil.test"), None);
    }

    #[test]
    fn cookies_and_relative_references_are_mapped_back() {
        let to = |path: &str| Some(path.to_owned());
        assert_eq!(rewrite("/a", "").cookie_path_back("/"), to("/a"));
        assert_eq!(rewrite("/a", "").cookie_path_back("/b/"), to("/a/b/"));
        assert_eq!(rewrite("/a", "/v2").cookie_path_back("/v2"), to("/a"));
        assert_eq!(rewrite("/a", "/v2").cookie_path_back("/"), None);
        assert_eq!(rewrite("", "/v2").cookie_path_back("/v2"), to("/"));
        assert_eq!(rewrite("/a", "").resolve_back("/", "login"), to("/a/login"));
        assert_eq!(rewrite("/a", "").resolve_back("/7/edit?x=/y", "../8"), to("/a/8"));
        assert_eq!(rewrite("/a", "/v2").resolve_back("/v2/7", "../8"), None);
    }
}
