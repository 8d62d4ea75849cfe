//! A request in the form of the version it goes out in. It is kept in that of HTTP/1.1.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};

use crate::body::RequestBody;
use crate::forwarding::Added;
use crate::message::{Fields, RequestHead};

/// How a request with HTTP/2 names the server it is for.
#[derive(Clone, Copy)]
pub(crate) struct Naming<'n> {
    pub(crate) is_secure: bool,
    /// Where nobody named a host.
    pub(crate) authority: &'n HeaderValue,
}

/// A body without a length goes out in chunks, also with GET and HEAD.
pub(crate) fn frame(fields: &mut Fields, body: &RequestBody) {
    let has_body = !matches!(body, RequestBody::Empty);
    if has_body && !fields.contains(&CONTENT_LENGTH) {
        fields.insert(&TRANSFER_ENCODING, &HeaderValue::from_static("chunked"));
    }
}

/// `Host` becomes `:authority`, and what concerns the connection goes (RFC 9113 8.2.2 and 8.3.1): an upgrade, too.
pub(crate) fn in_http2(
    head: &RequestHead,
    body: RequestBody,
    added: Option<&Added>,
    naming: Naming<'_>,
) -> Request<RequestBody> {
    let mut headers = HeaderMap::from(&head.fields);
    if let Some(added) = added {
        added.put_into_map(&mut headers);
    }
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    let host = headers.remove(HOST).filter(|host| !host.is_empty());
    let mut parts = head.uri.clone().into_parts();
    parts.scheme = Some(if naming.is_secure { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Authority::try_from(host.as_ref().unwrap_or(naming.authority).as_bytes()).ok();
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    // The guard has let pass only what makes a URI.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    request
}
