//! One application, asked one request.

use std::cell::RefCell;
use std::time::Instant;

use banyan_compare::{Answer, Body, Failure as NoAnswer, Observation};
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::input::Question;
use crate::admin::{HTTPS, authorities};
use crate::args::{Base, ReplayArgs};
use crate::failure::{Exit, Failure};

/// Fields of one connection, and those that say where the request was sent once.
const LEFT_OUT: [HeaderName; 9] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("keep-alive"),
];

/// Fields in place of a request's own.
#[derive(Debug, Clone)]
pub(super) struct Overrides(HeaderMap);

impl Overrides {
    pub(super) fn parse(written: &[(String, String)]) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in written {
            let read = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(value).ok());
            let (name, value) = read.ok_or_else(|| {
                Failure::new(Exit::Usage, format!("not a header field: `{name}`")).hint("-H 'x-user-id: 42'")
            })?;
            headers.append(name, value);
        }
        Ok(Self(headers))
    }
}

/// Where it is, and how it is asked.
pub(super) struct Application {
    base: String,
    agent: ureq::Agent,
    overrides: Overrides,
    body_bytes_max: u64,
    /// The first request without an answer, and why.
    trouble: RefCell<Option<String>>,
}

impl Application {
    pub(super) fn new(base: &Base, args: &ReplayArgs, overrides: Overrides) -> Result<Self, Failure> {
        let tls = authorities::tls(args.ca.as_deref(), base.0.starts_with(HTTPS))?;
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(args.timeout.0))
            .max_redirects(0)
            .tls_config(tls)
            .user_agent("")
            .accept("")
            .accept_encoding("")
            // What both answer is compared, not what stands between.
            .proxy(None)
            .allow_non_standard_methods(true)
            .build();
        Ok(Self {
            base: base.0.clone(),
            agent: config.new_agent(),
            overrides,
            body_bytes_max: args.max_body.0 as u64,
            trouble: RefCell::default(),
        })
    }

    /// What it answers, or how it fails to.
    pub(super) fn ask(&self, question: &Question) -> Observation {
        let Ok(request) = self.request(question) else { return Observation::Failed(NoAnswer::BrokenAnswer) };
        let begun = Instant::now();
        let mut answer = match self.agent.run(request) {
            Ok(answer) => answer,
            Err(error) => {
                let told = || format!("no answer to `{}`: {error}", question.told());
                self.trouble.borrow_mut().get_or_insert_with(told);
                return Observation::Failed(no_answer(&error));
            }
        };
        let elapsed = begun.elapsed();
        let body = self.body(&mut answer);
        let (parts, _) = answer.into_parts();
        Observation::Answered(Answer { status: parts.status, headers: parts.headers, body, elapsed })
    }

    /// The first request that it did not answer, and why.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    fn request(&self, question: &Question) -> Result<http::Request<Vec<u8>>, http::Error> {
        let body = question.body.clone().unwrap_or_default();
        let uri = format!("{}{}", self.base, question.target);
        let mut request = http::Request::builder().method(&question.method).uri(uri).body(body)?;
        let headers = request.headers_mut();
        *headers = question.headers.clone();
        let nominated: Vec<HeaderName> = nominated(headers);
        for name in LEFT_OUT.iter().chain(&nominated).chain(self.overrides.0.keys()) {
            headers.remove(name);
        }
        headers.extend(self.overrides.0.clone());
        Ok(request)
    }

    fn body(&self, answer: &mut http::Response<ureq::Body>) -> Body {
        let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream")) {
            return Body::Streaming;
        }
        // One more than is compared tells the two apart.
        let read = answer.body_mut().with_config().limit(self.body_bytes_max + 1).read_to_vec();
        match read {
            Ok(bytes) if bytes.len() as u64 <= self.body_bytes_max => Body::Complete(Bytes::from(bytes)),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Body::TooLarge,
            Err(_) => Body::Broken,
        }
    }
}

/// Fields that `Connection` names (RFC 9110, 7.6.1).
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok()).collect()
}

fn no_answer(error: &ureq::Error) -> NoAnswer {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed => NoAnswer::ConnectError,
        ureq::Error::Timeout(_) => NoAnswer::TimedOut,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            NoAnswer::ConnectError
        }
        _ => NoAnswer::BrokenAnswer,
    }
}
