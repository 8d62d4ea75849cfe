//! What the documents tell people to type and to write works.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::banyan;
use crate::running::Running;

/// The section whose commands are typed one after the other.
const TOUR: &str = "## In front of your own application in five minutes";

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Texts between fences of this language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if open && line == "```" {
            open = false;
        } else if open {
            let block = blocks.last_mut().unwrap();
            block.push_str(line);
            block.push('\n');
        } else if line.strip_prefix("```") == Some(language) {
            open = true;
            blocks.push(String::new());
        }
    }
    blocks
}

fn tour() -> String {
    let readme = fs::read_to_string(house().join("README.md")).unwrap();
    let from = readme.find(TOUR).expect("README.md has the tour") + TOUR.len();
    let rest = &readme[from..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned()
}

/// As a shell runs it, with our `banyan` first in its path.
fn typed(line: &str, running: &Running) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_banyan"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).current_dir(running.routes().parent().unwrap());
    shell
        .env("PATH", path)
        .env("BANYAN_ADMIN", running.admin())
        .env("NO_COLOR", "1")
        .env_remove("BANYAN_ROUTES");
    shell
}

#[test]
fn the_tour_can_be_typed_as_it_stands() {
    let tour = tour();
    let routes = blocks(&tour, "toml");
    assert_eq!(routes.len(), 1, "one file, of which all commands tell");
    let running = Running::with(&routes[0]);
    let consoles = blocks(&tour, "console").concat();
    let lines = consoles
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .filter(|line| line.starts_with("banyan "));
    let mut commands = Vec::new();
    for line in lines {
        let command = line.split(' ').nth(1).unwrap();
        commands.push(command);
        // A proxy runs already; its flags are read all the same.
        let line = if command == "run" { format!("{line} --help") } else { line.to_owned() };
        let ended = typed(&line, &running).output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{line}: {}\n{told}", ended.status);
        assert!(!told.contains("error"), "{line}: {told}");
    }
    for wanted in ["run", "check", "explain", "shift", "status", "rollback", "history", "undo"] {
        assert!(commands.contains(&wanted), "the tour shows `banyan {wanted}`: {commands:?}");
    }
}

fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// A block that says `version = 1` is a whole file; others are parts of one.
#[test]
fn every_routes_toml_in_the_documents_is_accepted() {
    let mut paths = vec![house().join("README.md")];
    documents(&house().join("docs"), &mut paths);
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for block in
            blocks(&text, "toml").iter().filter(|block| block.lines().any(|line| line == "version = 1"))
        {
            let file = folder.path().join("routes.toml");
            fs::write(&file, block).unwrap();
            let ended = banyan().args(["check", "--deny-warnings"]).arg(&file).output().unwrap();
            let told = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(ended.status.success(), "{}: {told}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 0, "README.md shows a whole file");
}

/// `scripts/story` begins its stages with these, and runs in CI.
#[test]
fn the_rules_of_every_stage_of_the_story_are_accepted() {
    for stage in ["1-monolith", "2-modular", "3-extraction", "4-hybrid", "5-microservices"] {
        let file = house().join(format!("docs/stages/{stage}.toml"));
        let ended = banyan().args(["check", "--deny-warnings"]).arg(&file).output().unwrap();
        assert!(ended.status.success(), "{stage}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

/// Each flag of docs/limits.md with its default; a gateway's test holds the page against the code.
#[test]
fn the_help_names_every_limit_and_its_default() {
    let page = fs::read_to_string(house().join("docs/limits.md")).unwrap();
    let help = banyan().args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut seen = 0;
    for row in page.lines().filter(|line| line.contains("| `--")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (default, flag) = (cells[2], cells[3].trim_matches('`'));
        let own = help.split_once(&format!(" {flag} ")).unwrap_or_else(|| panic!("no {flag} in the help")).1;
        let own = own.split(" --").next().unwrap();
        assert!(own.contains(&format!("[default: {default}]")), "{flag} {default}: {own}");
        seen += 1;
    }
    assert!(seen >= 8, "{seen} flags");
}

/// Each promise of docs/threat-model.md names a test that is there.
#[test]
fn the_proofs_of_the_threat_model_exist() {
    let page = fs::read_to_string(house().join("docs/threat-model.md")).unwrap();
    let mut seen = 0;
    for link in page.split("[`").skip(1) {
        let (name, rest) = link.split_once("`](").unwrap();
        let path = rest.split(')').next().unwrap();
        let source = fs::read_to_string(house().join("docs").join(path)).unwrap();
        assert!(source.contains(&format!("fn {name}(")), "{path} has no test {name}");
        seen += 1;
    }
    assert!(seen >= 20, "{seen} proofs");
}
