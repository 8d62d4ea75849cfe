//! A browser, as far as forms and cookies go.

use std::fs;
use std::net::SocketAddr;

use banyan_control::{Proxy, Registry, RunOptions};
use tempfile::TempDir;

use crate::site::{Answer, Site, ask, options};

pub(crate) const TOKEN: &str = "kR3-admin-token";
pub(crate) const READ_TOKEN: &str = "kR3-read-token";

/// A proxy on this text whose dashboard wants a token.
pub(crate) fn guarded(text: &str) -> Site {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("routes.toml"), text).unwrap();
    with(folder, |options| {
        options.admin.token = Some(TOKEN.to_owned());
        options.admin.read_token = Some(READ_TOKEN.to_owned());
    })
}

/// A proxy in a folder made ready, with other options.
pub(crate) fn with(folder: TempDir, change: impl FnOnce(&mut RunOptions)) -> Site {
    let mut options = options(folder.path());
    change(&mut options);
    let proxy = Proxy::start(options, &Registry::new()).unwrap();
    Site { admin: proxy.addresses().admin, proxy, folder }
}

/// One browser that is signed in.
pub(crate) struct Browser {
    admin: SocketAddr,
    /// `name=value`
    pub(crate) cookie: String,
}

impl Browser {
    /// Signs in as Ann.
    pub(crate) fn sign_in(site: &Site, token: &str) -> Self {
        let answer = post(site.admin, "/session", "", &[("token", token), ("name", "ann")]);
        assert_eq!((answer.status, location(&answer)), (303, "/".to_owned()), "{}", answer.head);
        let line =
            answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect(&answer.head);
        Self { admin: site.admin, cookie: line.split(';').next().unwrap().to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n", self.cookie);
        ask(self.admin, &head, "")
    }

    /// Sends a form, as a page of ours does.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let more = format!("Cookie: {}\r\nOrigin: http://localhost\r\n", self.cookie);
        post(self.admin, path, &more, fields)
    }
}

/// Sends a form with these further header lines.
pub(crate) fn post(admin: SocketAddr, path: &str, more: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let kind = "Content-Type: application/x-www-form-urlencoded";
    ask(admin, &format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n{more}"), &body)
}

/// Where an answer sends the browser.
pub(crate) fn location(answer: &Answer) -> String {
    answer.head.lines().find_map(|line| line.strip_prefix("location: ")).expect(&answer.head).to_owned()
}

impl Browser {
    /// What the pages know of this session.
    pub(crate) fn session(&self) -> serde_json::Value {
        let answer = self.get("/api/v1/session");
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The number that every form carries.
    pub(crate) fn csrf(&self) -> String {
        self.session()["session"]["csrf"].as_str().unwrap().to_owned()
    }

    /// What would happen.
    pub(crate) fn plan(&self, query: &str) -> serde_json::Value {
        let answer = self.get(&format!("/api/v1/plan?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["plan"].clone()
    }

    /// Confirms a plan; whether it was done, and what was said.
    pub(crate) fn confirm(
        &self,
        path: &str,
        plan: &serde_json::Value,
        fields: &[(&str, &str)],
    ) -> (bool, String) {
        let (csrf, token) = (self.csrf(), plan["token"].as_str().unwrap());
        let own = [("csrf", csrf.as_str()), ("plan", token)];
        let answer = self.post(path, &[&own, fields].concat());
        assert_eq!(answer.status, 303, "{}", answer.body);
        let session = self.session();
        let flash = &session["session"]["flash"];
        let lines: Vec<&str> =
            flash["lines"].as_array().unwrap().iter().filter_map(|line| line.as_str()).collect();
        (flash["is_good"].as_bool().unwrap(), lines.join("\n"))
    }
}
