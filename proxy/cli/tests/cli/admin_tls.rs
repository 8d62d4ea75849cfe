//! The admin listener with TLS, and commands that ask it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::banyan;
use crate::process::start_told;
use crate::running::{application, free_address};

/// Files are looked at every 5 seconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// An authority, and a certificate of it for `localhost`.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.renew();
        files
    }

    /// Another authority, and a certificate of that.
    fn renew(&self) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        for (name, text) in
            [("ca.pem", issuer.pem()), ("admin.pem", certificate.pem()), ("admin.key", key.serialize_pem())]
        {
            std::fs::write(self.path(name), text).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// Exit code and what was said, of `banyan status --ready`.
fn ready(admin: &str, ca: Option<&Path>) -> (Option<i32>, String) {
    let mut command = banyan();
    command.args(["status", "--ready", "--admin", admin]);
    if let Some(ca) = ca {
        command.arg("--admin-ca").arg(ca);
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn commands_ask_over_tls_and_believe_only_its_authority() {
    let (files, address) = (Files::new(), free_address());
    let (listen, admin) = (free_address().to_string(), format!("https://{address}"));
    let legacy = format!("http://{}", application("legacy"));
    let (certificate, key) = (files.shown("admin.pem"), files.shown("admin.key"));
    let flags = ["--admin-tls-certificate", &certificate, "--admin-tls-key", &key];
    let flags = [&["--listen", &listen, "--admin", &admin, "--legacy", &legacy][..], &flags].concat();
    let _running = start_told(&flags);

    let by_name = format!("https://localhost:{}", address.port());
    let ca = files.path("ca.pem");
    assert_eq!(ready(&by_name, Some(&ca)), (Some(0), "ready\n".to_owned()));
    let (code, text) = ready(&by_name, None);
    assert!(code == Some(4) && text.contains("cannot trust") && text.contains("--admin-ca FILE"), "{text}");
    let (code, text) = ready(&admin, Some(&ca));
    assert!(code == Some(4) && text.contains("127.0.0.1"), "not a name in its certificate: {text}");
    let (code, text) = ready(&address.to_string(), None);
    assert!(code == Some(4), "plain HTTP: {text}");

    replays_over_tls(&files, &by_name);

    files.renew();
    let deadline = Instant::now() + DEADLINE;
    while ready(&by_name, Some(&ca)).0 != Some(0) {
        assert!(Instant::now() < deadline, "the new certificate is not used");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Both arms are one here, so nothing differs.
fn replays_over_tls(files: &Files, by_name: &str) {
    let asked = files.path("asked.jsonl");
    std::fs::write(&asked, r#"{"request":{"method":"GET","target":"/healthz"}}"#).unwrap();
    let replay = |ca: &[&str]| {
        let mut command = banyan();
        command.args(["replay", "--legacy", by_name, "--candidate", by_name, "--jsonl"]).arg(&asked).args(ca);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(replay(&["--ca", &files.shown("ca.pem")]), (Some(0), String::new()));
    let (code, text) = replay(&[]);
    assert!(code == Some(1) && text.contains("no answer to `GET /healthz`: "), "{text}");
    assert!(text.contains("certificate") && text.contains("no data is no pass"), "{text}");
}

#[test]
fn files_that_are_of_no_use_are_refused() {
    let files = Files::new();
    std::fs::write(files.path("empty.pem"), "").unwrap();
    let (empty, key, certificate) =
        (files.shown("empty.pem"), files.shown("admin.key"), files.shown("admin.pem"));
    let run = |flags: &[&str]| {
        let output = banyan()
            .args(["run", "--legacy", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"])
            .args(flags)
            .output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let https = ["--admin", "https://127.0.0.1:0"];
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--admin-tls-certificate", &empty, "--admin-tls-key", &key], 1, "no certificate in"),
        (&["--admin-tls-certificate", &certificate, "--admin-tls-key", &empty], 1, "empty.pem"),
        (&[], 2, "an admin address with `https` needs a certificate"),
        (&["--admin-tls-certificate", &certificate], 2, "the admin certificate needs its key"),
        (&["--admin-tls-key", &key], 2, "an admin key is given, and no certificate"),
    ];
    for (flags, code, expected) in cases {
        let (found, text) = run(&[&https, flags].concat());
        assert!(found == Some(code) && text.contains(expected), "{flags:?}: {found:?} {text}");
    }
    let (code, text) =
        run(&["--admin", "127.0.0.1:0", "--admin-tls-certificate", &certificate, "--admin-tls-key", &key]);
    assert!(code == Some(2) && text.contains("`--admin` is not `https://`"), "{text}");
    for (ca, expected) in [("empty.pem", "no certificate in it"), ("none.pem", "No such file")] {
        let (code, text) = ready("https://localhost:9", Some(&files.path(ca)));
        assert!(code == Some(1) && text.contains(expected) && text.contains(ca), "{text}");
    }
}
