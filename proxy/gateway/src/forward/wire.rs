//! A request in the form of the version it goes out in. It is kept in that of HTTP/1.1.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};

use crate::body::RequestBody;

/// A body without a length goes out in chunks, also with GET and HEAD.
pub(crate) fn frame(request: &mut Request<RequestBody>) {
    let has_body = !matches!(request.body(), RequestBody::Empty);
    if has_body && !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// `Host` becomes `:authority`, and what concerns the connection goes (RFC 9113 8.2.2 and 8.3.1): an upgrade, too. Where
/// nobody named a host, it is `authority`.
pub(crate) fn to_http2(request: &mut Request<RequestBody>, is_secure: bool, authority: &HeaderValue) {
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    let host = headers.remove(HOST).filter(|host| !host.is_empty());
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if is_secure { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Authority::try_from(host.as_ref().unwrap_or(authority).as_bytes()).ok();
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    // The guard has let pass only what makes a URI.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}
