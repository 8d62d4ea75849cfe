//! In front of Django's admin site: sign-in with a CSRF cookie, redirects, forms, an upload.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::banyan::Banyan;
use crate::pages::{HOST, Page, assert_same, get, hide};
use crate::process::{Process, free_address, run};
use crate::raw::Answer;

/// Where `scripts/setup --test` puts what comes from the Python index.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/pypi/bin");

struct Django {
    address: SocketAddr,
    _process: Process,
    folder: TempDir,
}

impl Django {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        make_project(folder.path());
        let address = free_address();
        let mut command = tool("gunicorn");
        command.args(["--bind", &address.to_string(), "--workers", "1", "--threads", "4"]);
        // Its control socket would lie in the home folder.
        command.env("HOME", folder.path()).args(["--no-control-socket", "shop.wsgi"]);
        let mut process = Process::start("gunicorn", command.current_dir(folder.path()), folder.path());
        process.listens_on(address).await;
        Self { address, _process: process, folder }
    }

    /// Puts the database back to how it was after the start.
    fn forget(&self) {
        std::fs::copy(self.folder.path().join("begin.sqlite3"), self.folder.path().join("db.sqlite3"))
            .unwrap();
    }
}

/// What `django-admin startproject` makes, with a name to answer to and a user.
fn make_project(folder: &Path) {
    run(tool("django-admin").args(["startproject", "shop", "."]).current_dir(folder));
    let settings = folder.join("shop/settings.py");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(settings, format!("{text}\nDEBUG = False\nALLOWED_HOSTS = ['{HOST}']\n")).unwrap();
    let manage = |arguments: &[&str]| {
        let mut command = tool("python");
        command.arg("manage.py").args(arguments).current_dir(folder);
        run(command.env("DJANGO_SUPERUSER_PASSWORD", "a long password"));
    };
    manage(&["migrate", "--verbosity", "0"]);
    manage(&["createsuperuser", "--noinput", "--username", "admin", "--email", "admin@shop.example"]);
    std::fs::copy(folder.join("db.sqlite3"), folder.join("begin.sqlite3")).unwrap();
}

fn tool(name: &str) -> Command {
    let path: PathBuf = Path::new(PYTHON).join(name);
    assert!(path.is_file(), "{} is missing\nhint: scripts/setup --test", path.display());
    Command::new(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn django_answers_alike_with_and_without_the_proxy() {
    let django = Django::start().await;
    let banyan = Banyan::before(django.address).await;
    let direct = Visit::all(django.address).await;
    django.forget();
    let proxied = Visit::all(banyan.address).await;
    assert_eq!(direct.len(), proxied.len());
    for ((page, direct, wanted), (_, proxied, _)) in direct.iter().zip(&proxied) {
        assert!(direct.status.starts_with(wanted), "{page:?}: {}\n{}", direct.status, direct.text());
        assert_same(page, direct, proxied, secrets_hidden);
    }
    eprintln!("Django: {} answers alike", direct.len());
}

/// Made up anew for each session.
fn secrets_hidden(text: &str) -> String {
    let text = hide(text, "csrftoken=", ";");
    let text = hide(&text, "sessionid=", ";");
    let text = hide(&text, "expires=", ";");
    // The message after a change is kept in a cookie until it is shown.
    let text = hide(&text, "messages=", ";");
    hide(&text, "name=\"csrfmiddlewaretoken\" value=\"", "\"")
}

/// One person at one browser.
struct Visit {
    address: SocketAddr,
    /// `csrftoken` and `sessionid`, as last set.
    cookies: Vec<(String, String)>,
    seen: Vec<(Page, Answer, &'static str)>,
}

impl Visit {
    /// What was asked, what came, and the status that should have come.
    async fn all(address: SocketAddr) -> Vec<(Page, Answer, &'static str)> {
        let mut visit = Self { address, cookies: Vec::new(), seen: Vec::new() };
        visit.sign_in().await;
        visit.keep_groups().await;
        visit.sign_out().await;
        visit.seen
    }

    async fn sign_in(&mut self) {
        let login = "/admin/login/?next=/admin/";
        let form = |password: &str| format!("username=admin&password={password}&next=/admin/");
        self.see(get("/nothing"), "404").await;
        self.see(get("/admin"), "301").await;
        self.see(get("/admin/"), "302").await;
        self.see(get(login).method("HEAD"), "200").await;
        self.see(posted(login, form("x")), "403").await;
        self.see(get(login), "200").await;
        self.post(login, &form("wrong"), "200").await;
        self.post(login, &form("a+long+password"), "302").await;
        self.see(get("/admin/"), "200").await;
        self.see(get("/admin/").method("HEAD"), "200").await;
    }

    async fn keep_groups(&mut self) {
        let add = "/admin/auth/group/add/";
        self.see(get("/admin/jsi18n/"), "200").await;
        self.see(get(add), "200").await;
        self.post(add, "name=", "200").await;
        self.post(add, "name=Gr%C3%BC%C3%9Fe&_continue=1", "302").await;
        self.see(get("/admin/auth/group/1/change/"), "200").await;
        self.upload(add, "302").await;
        self.see(get("/admin/auth/group/?q=sent&o=-1"), "200").await;
        self.post("/admin/auth/group/1/delete/", "post=yes", "302").await;
        self.see(get("/admin/auth/group/1/change/"), "302").await;
    }

    async fn sign_out(&mut self) {
        self.see(get("/admin/logout/"), "405").await;
        self.post("/admin/logout/", "", "200").await;
        self.see(get("/admin/"), "302").await;
    }

    /// A form as a browser sends it.
    async fn post(&mut self, target: &str, form: &str, wanted: &'static str) {
        let token = self.token();
        self.see(posted(target, format!("csrfmiddlewaretoken={token}&{form}")), wanted).await;
    }

    /// A form with a file of 4 MiB, in parts and in chunks.
    async fn upload(&mut self, target: &str, wanted: &'static str) {
        let part = |name: &str| format!("--part\r\nContent-Disposition: form-data; name=\"{name}\"");
        let mut body = format!(
            "{}\r\n\r\n{}\r\n{}\r\n\r\nsent in parts\r\n{}; filename=\"a.bin\"\r\nContent-Type: a/b\r\n\r\n",
            part("csrfmiddlewaretoken"),
            self.token(),
            part("name"),
            part("file")
        )
        .into_bytes();
        body.extend(vec![0xff; 4 * 1024 * 1024]);
        body.extend(b"\r\n--part--\r\n");
        let page = get(target).method("POST").with("Content-Type", "multipart/form-data; boundary=part");
        self.see(page.body(body), wanted).await;
    }

    async fn see(&mut self, page: Page, wanted: &'static str) {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let page = if cookies.is_empty() { page } else { page.with("Cookie", cookies.join("; ")) };
        let answer = page.ask(self.address).await;
        for (_, value) in answer.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.trim_matches('"').to_owned()));
        }
        self.seen.push((page, answer, wanted));
    }

    fn token(&self) -> String {
        let found = self.cookies.iter().find(|(name, _)| name == "csrftoken");
        found.map(|(_, value)| value.clone()).expect("a CSRF cookie")
    }
}

fn posted(target: &str, form: String) -> Page {
    let page = get(target).method("POST").with("Content-Type", "application/x-www-form-urlencoded");
    page.body(form)
}
