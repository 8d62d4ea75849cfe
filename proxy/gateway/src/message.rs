//! Heads of messages, in the form in which they pass through: as they came, and what is changed of them.
//!
//! hyper's types stand at the borders to HTTP/2, where names and values are apart on the wire, too.
//!
//! - `fields`: the header fields of a head.

mod fields;

use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, Version};

use crate::body::ResponseBody;
use crate::http1::Incoming;
pub(crate) use fields::{Fields, Span, is_name, write_own_line};

/// The head of a request.
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) fields: Fields,
    /// A client's side of an upgrade.
    pub(crate) extensions: Extensions,
}

/// The head of an answer.
pub(crate) struct AnswerHead {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    /// The reason phrase where it is another than usual: in the text of the fields.
    pub(crate) reason: Option<Span>,
    pub(crate) fields: Fields,
}

/// What the client is sent.
pub(crate) struct Answer {
    pub(crate) head: AnswerHead,
    pub(crate) body: ResponseBody,
}

impl RequestHead {
    /// Of a request with HTTP/2.
    pub(crate) fn of_http2<B>(request: Request<B>) -> (Box<Self>, B) {
        let (parts, body) = request.into_parts();
        let http::request::Parts { method, uri, version, headers, extensions, .. } = parts;
        (Box::new(Self { method, uri, version, fields: Fields::from(&headers), extensions }), body)
    }
}

impl AnswerHead {
    pub(crate) fn new(status: StatusCode) -> Self {
        Self { status, version: Version::HTTP_11, reason: None, fields: Fields::default() }
    }

    /// Of an answer with HTTP/2.
    pub(crate) fn of_http2(response: Response<hyper::body::Incoming>) -> (Self, Incoming) {
        let (parts, body) = response.into_parts();
        let fields = Fields::from(&parts.headers);
        (Self { status: parts.status, version: parts.version, reason: None, fields }, Incoming::Http2(body))
    }
}

impl Answer {
    /// For a client with HTTP/2.
    pub(crate) fn into_http2(self) -> Response<ResponseBody> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.head.status;
        *response.headers_mut() = HeaderMap::from(&self.head.fields);
        response
    }
}
