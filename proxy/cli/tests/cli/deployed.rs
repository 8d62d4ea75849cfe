//! The files under `deploy/` that start the program: they name only flags, variables and files that exist, and the
//! systemd unit is read by systemd itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::banyan;

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn deployed(name: &str) -> String {
    fs::read_to_string(house().join("deploy").join(name)).unwrap()
}

/// The command line is understood; its help is all that comes of it.
fn is_understood(arguments: &[&str]) {
    let ended = banyan().args(arguments).arg("--help").output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "banyan {arguments:?}: {told}");
}

/// Each `BANYAN_*` variable is that of a flag.
fn is_a_variable(name: &str) {
    let help = String::from_utf8(banyan().args(["run", "--help"]).output().unwrap().stdout).unwrap();
    let flag =
        name.strip_prefix("BANYAN_").map(|name| format!("--{}", name.to_lowercase().replace('_', "-")));
    let flag = flag.unwrap_or_else(|| panic!("`{name}` is no variable of ours"));
    assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{flag} "))), "{name}: {flag}");
}

#[test]
fn the_systemd_unit_starts_what_there_is() {
    let unit = deployed("systemd/banyan.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/banyan ")).unwrap();
    is_understood(&line.split(' ').collect::<Vec<_>>());
    for name in unit.split(|letter: char| !(letter.is_ascii_uppercase() || letter == '_')) {
        if name.starts_with("BANYAN_") {
            is_a_variable(name);
        }
    }
}

/// What an operator reads is what can be typed.
#[test]
fn the_commands_of_the_operations_page_are_understood() {
    let page = fs::read_to_string(house().join("docs/operations.md")).unwrap();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ banyan ")).collect();
    for wanted in ["check", "run", "status", "upgrade"] {
        assert!(
            commands.iter().any(|command| command.starts_with(wanted)),
            "the page shows `banyan {wanted}`"
        );
    }
    for command in commands {
        is_understood(&command.split(' ').collect::<Vec<_>>());
    }
    let places = page.split("](../").skip(1).map(|rest| rest.split([')', '#']).next().unwrap());
    for place in places {
        assert!(house().join(place).exists(), "docs/operations.md leads to {place}");
    }
}

/// Nothing that systemd would only warn of, and little that an attacker could do with the process.
#[test]
fn systemd_accepts_the_unit_and_finds_it_hardened() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("banyan.service");
    // It looks for the program.
    let text = deployed("systemd/banyan.service").replace("/usr/local/bin/banyan", "/bin/true");
    fs::write(&unit, text).unwrap();
    let verified = analyze(&["verify"], &unit);
    assert_eq!(verified, (true, String::new()), "{}", verified.1);
    let (is_safe, told) = analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"], &unit);
    assert!(is_safe, "{told}");
}

fn analyze(arguments: &[&str], unit: &Path) -> (bool, String) {
    let ended = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    let ended = ended.unwrap_or_else(|error| panic!("systemd-analyze: {error}\nhint: scripts/setup --test"));
    (ended.status.success(), String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned())
}

/// Logical lines: without comments, those that go on joined.
fn instructions(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    lines.join("\n").replace("\\\n", " ").lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

/// The words of `["a", "b"]` at the end of an instruction.
fn words(instruction: &str) -> Vec<String> {
    let start = instruction.find('[').unwrap_or_else(|| panic!("in exec form: {instruction}"));
    serde_json::from_str(&instruction[start..]).unwrap()
}

#[test]
fn the_image_starts_what_there_is() {
    let text = deployed("docker/Dockerfile");
    let instructions = instructions(&text);
    let of = |name: &str| -> Vec<&String> {
        instructions.iter().filter(|line| line.starts_with(&format!("{name} "))).collect()
    };
    let entry = words(of("ENTRYPOINT")[0]);
    assert_eq!(entry, ["banyan"]);
    let command = words(of("CMD")[0]);
    is_understood(&command.iter().map(String::as_str).collect::<Vec<_>>());
    let health = words(of("HEALTHCHECK")[0]);
    assert_eq!(health[0], "banyan");
    is_understood(&health[1..].iter().map(String::as_str).collect::<Vec<_>>());
    for word in of("ENV").iter().flat_map(|line| line.split_whitespace().skip(1)) {
        is_a_variable(word.split_once('=').unwrap().0);
    }
    let last_stage = instructions.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let user = instructions[last_stage..].iter().find_map(|line| line.strip_prefix("USER ")).unwrap();
    assert!(!["root", "0", "0:0"].contains(&user.trim()), "the image runs as root");
}

/// Bases with a version, the one of Rust is ours, and what is copied between stages is made before.
#[test]
fn the_image_is_built_from_what_there_is() {
    let text = deployed("docker/Dockerfile");
    let instructions = instructions(&text);
    let toolchain = fs::read_to_string(house().join("rust-toolchain.toml")).unwrap();
    let stages: BTreeSet<&str> = instructions.iter().filter_map(|line| line.split(" AS ").nth(1)).collect();
    for base in instructions.iter().filter_map(|line| line.strip_prefix("FROM ")) {
        let base = base.split(' ').next().unwrap();
        let (name, tag) = base.split_once(':').unwrap_or_else(|| panic!("{base}: no version"));
        assert_ne!(tag, "latest", "{base}");
        if name == "rust" {
            let version = tag.split('-').next().unwrap();
            assert!(toolchain.contains(&format!("channel = \"{version}")), "{base}: another Rust than ours");
        }
    }
    let built = instructions.iter().find(|line| line.contains("cargo build")).unwrap();
    assert!(built.contains("--locked") && built.contains("--package banyan"), "{built}");
    for copy in instructions.iter().filter_map(|line| line.strip_prefix("COPY ")) {
        let parts: Vec<&str> = copy.split_whitespace().filter(|part| !part.starts_with("--ch")).collect();
        match parts[0].strip_prefix("--from=") {
            Some(stage) => {
                assert!(stages.contains(stage), "COPY {copy}");
                let source = parts[1];
                assert!(
                    source.ends_with("target/release/banyan") || text.contains(&format!("mkdir -p {source}"))
                );
            }
            None => assert!(house().join(parts[0]).exists(), "COPY {copy}"),
        }
    }
}
