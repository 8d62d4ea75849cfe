//! What an arm is sent in place of a client's request.

use banyan_routes::Arm;
use http::header::{EXPECT, HeaderName, HeaderValue, TRAILER};
use http::{Method, Request, Version};

use super::witness::Shadowed;
use super::{LiveShadow, METHOD_OVERRIDES};
use crate::body::RequestBody;
use crate::forward::{frame, set_host, to_http2};
use crate::forwarding::child_span;
use crate::outside::rewritten;
use crate::targets::Server;

pub(super) const BANYAN_SHADOW: HeaderName = HeaderName::from_static("banyan-shadow");

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
) -> Option<Request<RequestBody>> {
    let rewrite = job.state.table.rewrite(Some(job.route));
    let uri = match rewrite.prefix.as_ref().filter(|_| arm == Arm::Candidate) {
        None => job.head.uri.clone(),
        Some(prefix) => rewritten(prefix, &job.head.uri).ok()?,
    };
    let body = if kind == Kind::Handshake { None } else { job.body.clone() };
    let mut request = Request::new(body.map_or(RequestBody::Empty, |body| RequestBody::Kept(Some(body))));
    *request.method_mut() = job.head.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    *request.headers_mut() = job.head.headers.clone();
    *request.extensions_mut() = job.head.extensions.clone();
    for name in &shadow.settings.strip_headers {
        request.headers_mut().remove(name);
    }
    request.headers_mut().remove(EXPECT);
    if kind == Kind::Handshake {
        to_handshake(&mut request);
    }
    request.headers_mut().insert(BANYAN_SHADOW, kind.value());
    child_span(request.headers_mut());
    set_host(&rewrite.host, server, &mut request);
    frame(&mut request);
    Some(request)
}

fn to_handshake(request: &mut Request<RequestBody>) {
    *request.method_mut() = Method::OPTIONS;
    let is_of_body = |name: &HeaderName| name.as_str().starts_with("content-") || *name == TRAILER;
    let names: Vec<HeaderName> = request.headers().keys().filter(|name| is_of_body(name)).cloned().collect();
    // A question that is taken for what it asks about would do it.
    for name in names.iter().chain(&METHOD_OVERRIDES) {
        request.headers_mut().remove(name);
    }
}

/// In the form of the version it goes out in.
pub(super) fn in_version(
    mut request: Request<RequestBody>,
    version: Version,
    server: &Server,
) -> Request<RequestBody> {
    if version == Version::HTTP_2 {
        to_http2(&mut request, server.pool.is_secure(), &server.authority);
    }
    request
}
