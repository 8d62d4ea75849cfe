//! The client of the admin API.
//!
//! - `authorities`: whom it believes, with TLS.

pub(crate) mod authorities;

use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use banyan_control::api;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;

use crate::failure::{Exit, Failure};

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read: 10 000 routes are about 5 MiB.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Longest word of `/readyz`.
const WORD_BYTES_MAX: u64 = 1024;

/// Begins an address that speaks TLS.
pub(crate) const HTTPS: &str = "https://";

/// How `explain` is asked.
pub(crate) const EXPLAIN_HINT: &str = "banyan explain 'GET /path' -H 'name: value'";

/// Where the admin API is: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdminUrl(String);

impl AdminUrl {
    /// `127.0.0.1:9900`, `:9900`, `https://host:9900`. An address that means every interface is asked on loopback.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("not an admin address: `{text}`");
        let (scheme, rest) = match text.strip_prefix(HTTPS) {
            Some(rest) => (HTTPS, rest),
            None => ("http://", text.strip_prefix("http://").unwrap_or(text)),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
        let port: u16 = port.parse().map_err(|_| wrong())?;
        if host.contains(['/', '@', '?', '#', ' ']) {
            return Err(wrong());
        }
        let host = match host {
            // A certificate rather names this host than its address.
            "" | "0.0.0.0" | "[::]" if scheme == HTTPS => "localhost",
            "" | "0.0.0.0" => "127.0.0.1",
            "[::]" => "[::1]",
            host => host,
        };
        Ok(Self(format!("{scheme}{host}:{port}")))
    }

    fn is_https(&self) -> bool {
        self.0.starts_with(HTTPS)
    }
}

impl fmt::Display for AdminUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Why there is no answer to use.
#[derive(Debug)]
pub(crate) enum AdminError {
    /// Nobody answers.
    Unreachable {
        /// Who was asked.
        url: AdminUrl,
        /// What the system said.
        error: String,
    },
    /// Somebody answers, and cannot show that it is the one to ask.
    Untrusted {
        /// Who was asked.
        url: AdminUrl,
        /// What rustls says.
        error: String,
    },
    /// Somebody is there and says nothing in time: what was asked may still be done.
    Silent {
        /// Who was asked.
        url: AdminUrl,
    },
    /// The proxy refuses.
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        refusal: api::Refusal,
    },
    /// Something else than Banyan answers there.
    NotBanyan {
        /// Who was asked.
        url: AdminUrl,
        /// What is odd about the answer.
        found: String,
    },
}

impl AdminError {
    /// True when the proxy says that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { url, error } => write!(out, "no proxy answers at {url}: {error}"),
            Self::Untrusted { url, error } => write!(out, "cannot trust what answers at {url}: {error}"),
            Self::Silent { url } => {
                let seconds = ANSWER_TIMEOUT.as_secs();
                write!(out, "no answer from {url} within {seconds} s; it may still act")
            }
            Self::Refused { refusal, .. } => write!(out, "the proxy refuses: {}", refusal.message),
            Self::NotBanyan { url, found } => write!(out, "what answers at {url} is no Banyan: {found}"),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        match error {
            AdminError::Silent { .. } => Self::new(Exit::TimedOut, message).hint("banyan status"),
            AdminError::Unreachable { .. } => Self::new(Exit::Unreachable, message)
                .hint("start it with `banyan run`, or name it with `--admin ADDR`"),
            AdminError::Untrusted { .. } => Self::new(Exit::Unreachable, message)
                .hint("name its authority with `--admin-ca FILE`, and the host as its certificate has it with `--admin`"),
            AdminError::Refused { status: 401, .. } => {
                Self::new(Exit::Failed, message).hint("give the token with `--admin-token-file FILE`")
            }
            AdminError::Refused { refusal, .. } if refusal.code == "foreign-host" => {
                Self::new(Exit::Failed, message)
                    .hint("ask it by its address, or start it with `--admin-host NAME`")
            }
            AdminError::Refused { refusal, .. } if refusal.code == "question" => {
                Self::new(Exit::Usage, message).hint(EXPLAIN_HINT)
            }
            AdminError::Refused { .. } => Self::new(Exit::Failed, message).hint("banyan status"),
            AdminError::NotBanyan { .. } => {
                Self::new(Exit::Unreachable, message).hint("name the admin address with `--admin ADDR`")
            }
        }
    }
}

/// Asks one proxy.
#[derive(Debug)]
pub(crate) struct Admin {
    url: AdminUrl,
    token: Option<String>,
    agent: ureq::Agent,
}

impl Admin {
    /// Asks nothing yet. With TLS it believes the authorities in the file, or those of the system.
    pub(crate) fn new(url: AdminUrl, token: Option<String>, ca: Option<&Path>) -> Result<Self, Failure> {
        let tls = authorities::tls(ca, url.is_https())?;
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .max_redirects(0)
            .tls_config(tls)
            // The admin API is on this host or beside it: a proxy from the environment would only be in the way.
            .proxy(None)
            .build();
        Ok(Self { url, token, agent: config.new_agent() })
    }

    /// Where it asks.
    pub(crate) fn url(&self) -> &AdminUrl {
        &self.url
    }

    pub(crate) fn config(&self) -> Result<api::Config, AdminError> {
        self.get("config")
    }

    pub(crate) fn routes(&self) -> Result<api::Routes, AdminError> {
        self.get("routes")
    }

    pub(crate) fn history(&self, limit: usize) -> Result<api::History, AdminError> {
        self.get(&format!("history?limit={limit}"))
    }

    pub(crate) fn kept_set(&self, text_hash: &str) -> Result<api::KeptSet, AdminError> {
        self.get(&format!("history/sets/{text_hash}"))
    }

    pub(crate) fn explain(&self, question: &api::ExplainRequest) -> Result<api::Explained, AdminError> {
        self.post("explain", question)
    }

    pub(crate) fn reload(&self) -> Result<api::Reload, AdminError> {
        self.post("reload", &api::ReloadRequest {})
    }

    pub(crate) fn rollback(&self, rollback: &api::Rollback) -> Result<api::RolledBack, AdminError> {
        self.post("rollback", rollback)
    }

    pub(crate) fn end_rollback(&self, order: &api::EndRollback) -> Result<api::RolledBack, AdminError> {
        self.post("rollback/end", order)
    }

    pub(crate) fn upgrade(&self) -> Result<api::UpgradeBegun, AdminError> {
        self.post("upgrade", &api::UpgradeRequest {})
    }

    pub(crate) fn mismatches(&self) -> Result<api::Mismatches, AdminError> {
        self.get("mismatches")
    }

    pub(crate) fn evidence(&self, route: &str) -> Result<api::RouteEvidence, AdminError> {
        self.get(&format!("mismatches/{}", segment(route)))
    }

    pub(crate) fn sample(&self, route: &str, id: u64) -> Result<api::Sample, AdminError> {
        self.get(&format!("mismatches/{}/samples/{id}", segment(route)))
    }

    pub(crate) fn stored_requests(&self, route: &str) -> Result<api::StoredRequests, AdminError> {
        self.get(&format!("mismatches/{}/requests", segment(route)))
    }

    pub(crate) fn reset_evidence(&self, route: &str) -> Result<api::Reset, AdminError> {
        self.post(&format!("mismatches/{}/reset", segment(route)), &api::ResetRequest {})
    }

    /// Shadowed requests from a place on; without one, the place to begin at.
    pub(crate) fn recorded(
        &self,
        route: Option<&str>,
        after: Option<u64>,
        count: usize,
    ) -> Result<api::Recorded, AdminError> {
        let route = route.map(|route| format!("&route={}", segment(route))).unwrap_or_default();
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        self.get(&format!("record?count={count}{route}{after}"))
    }

    /// Whether traffic may come, and the proxy's word for it.
    pub(crate) fn ready(&self) -> Result<(bool, String), AdminError> {
        let asked = self.agent.get(format!("{}/readyz", self.url)).call();
        let mut answer = asked.map_err(|error| self.unreachable(&error))?;
        let word = answer.body_mut().with_config().limit(WORD_BYTES_MAX).read_to_string();
        let word = word.map_err(|error| self.unreachable(&error))?.trim().to_owned();
        match (answer.status().as_u16(), word.as_str()) {
            (200, "ready") => Ok((true, word)),
            (503, "starting" | "draining") => Ok((false, word)),
            (status, _) => Err(self.not_banyan(format!("it says {status}"))),
        }
    }

    /// The answer says nothing that matters.
    pub(crate) fn announce(&self, announcement: &api::Announcement) -> Result<(), AdminError> {
        self.send("announce", announcement).map(drop)
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        let request = self.agent.get(self.address(path));
        let answer = self.with_token(request).call().map_err(|error| self.unreachable(&error))?;
        self.understood(&self.accepted(answer)?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, AdminError> {
        self.understood(&self.send(path, body)?)
    }

    fn send(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>, AdminError> {
        let request = self.agent.post(self.address(path));
        let answer = self.with_token(request).send_json(body).map_err(|error| self.unreachable(&error))?;
        self.accepted(answer)
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.url)
    }

    fn with_token<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> AdminError {
        let error = match error {
            // A connection that does not come about within the time is nobody's answer.
            ureq::Error::Timeout(kind) if *kind != ureq::Timeout::Connect => {
                return AdminError::Silent { url: self.url.clone() };
            }
            ureq::Error::Io(error) if authorities::refuse(error) => {
                return AdminError::Untrusted { url: self.url.clone(), error: error.to_string() };
            }
            ureq::Error::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        AdminError::Unreachable { url: self.url.clone(), error }
    }

    fn accepted(&self, mut answer: Response<ureq::Body>) -> Result<Vec<u8>, AdminError> {
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let body = body.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return Ok(body);
        }
        let refusal = serde_json::from_slice(&body);
        let refusal = refusal.map_err(|_| self.not_banyan(format!("it says {status}")))?;
        Err(AdminError::Refused { status: status.as_u16(), refusal })
    }

    fn understood<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, AdminError> {
        serde_json::from_slice(body).map_err(|error| self.not_banyan(error.to_string()))
    }

    fn not_banyan(&self, found: String) -> AdminError {
        AdminError::NotBanyan { url: self.url.clone(), found }
    }
}

/// A name as one segment of a path, or as a value of a query: all but letters, digits, `-`, `.`, `_` and `~` in percent.
fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // A string takes everything.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_travel_in_paths() {
        assert_eq!(segment("orders-read"), "orders-read");
        assert_eq!(segment("a/b ?é"), "a%2Fb%20%3F%C3%A9");
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let url = |text| AdminUrl::parse(text).map(|url| url.0).ok();
        assert_eq!(url("127.0.0.1:9900").as_deref(), Some("http://127.0.0.1:9900"));
        assert_eq!(url("http://localhost:1/").as_deref(), Some("http://localhost:1"));
        assert_eq!(url(":9900").as_deref(), Some("http://127.0.0.1:9900"));
        assert_eq!(url("0.0.0.0:9900").as_deref(), Some("http://127.0.0.1:9900"));
        assert_eq!(url("[::]:9900").as_deref(), Some("http://[::1]:9900"));
        assert_eq!(url("https://admin.test:9900/").as_deref(), Some("https://admin.test:9900"));
        assert_eq!(url("https://:9900").as_deref(), Some("https://localhost:9900"));
        for wrong in ["", "localhost", "localhost:http", "http://a:1/b", "https://a", "ftp://a:1", "a:99999"]
        {
            assert_eq!(url(wrong), None, "{wrong}");
        }
    }
}
