//! What an arm is sent in place of a client's request.

use banyan_routes::Arm;
use http::header::{EXPECT, HeaderName, HeaderValue, TRAILER};
use http::{Extensions, Method, Version};

use super::witness::Shadowed;
use super::{LiveShadow, METHOD_OVERRIDES};
use crate::body::RequestBody;
use crate::forward::{frame, set_host};
use crate::forwarding::child_span;
use crate::message::{Fields, RequestHead, is_name};
use crate::outside::rewritten;
use crate::targets::Server;

pub(super) static BANYAN_SHADOW: HeaderName = HeaderName::from_static("banyan-shadow");

/// What an arm is told of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its answer goes to nobody.
    Copy,
    /// Nothing may come of it.
    DryRun,
    /// The question before a dry run, without the body.
    Handshake,
}

impl Kind {
    fn value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Copy => "1",
            Self::DryRun | Self::Handshake => "dry-run",
        })
    }
}

/// `None` when the arm cannot be asked for this path.
pub(super) fn request(
    job: &Shadowed,
    shadow: &LiveShadow,
    arm: Arm,
    kind: Kind,
    server: &Server,
) -> Option<(RequestHead, RequestBody)> {
    let rewrite = job.state.table.rewrite(Some(job.route));
    let uri = match rewrite.prefix.as_ref().filter(|_| arm == Arm::Candidate) {
        None => job.head.uri.clone(),
        Some(prefix) => rewritten(prefix, &job.head.uri).ok()?,
    };
    let body = if kind == Kind::Handshake { None } else { job.body.clone() };
    let body = body.map_or(RequestBody::Empty, |body| RequestBody::Kept(Some(body)));
    let mut fields = job.head.fields.clone();
    for name in &shadow.settings.strip_headers {
        fields.remove(name);
    }
    fields.remove(&EXPECT);
    let method = if kind == Kind::Handshake { to_handshake(&mut fields) } else { job.head.method.clone() };
    fields.insert(&BANYAN_SHADOW, &kind.value());
    child_span(&mut fields);
    set_host(&rewrite.host, server, &mut fields);
    frame(&mut fields, &body);
    let head = RequestHead { method, uri, version: Version::HTTP_11, fields, extensions: Extensions::new() };
    Some((head, body))
}

/// A question that is taken for what it asks about would do it.
fn to_handshake(fields: &mut Fields) -> Method {
    let begins = |name: &[u8], start: &[u8]| {
        name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    let is_of_body = |name: &[u8]| begins(name, b"content-") || is_name(name, TRAILER.as_ref());
    fields.retain(|name| !is_of_body(name));
    for name in &METHOD_OVERRIDES {
        fields.remove(name);
    }
    Method::OPTIONS
}
