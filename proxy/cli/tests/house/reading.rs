//! How the tests of the house see the source tree: as lines of code, names and paths.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::Metadata;

/// Lines of a file that are compiled into the product, with their numbers.
pub(crate) type Code = Vec<(usize, String)>;

/// The product's code under a directory: no comments, no unit tests.
pub(crate) fn sources_under(directory: &Path) -> Vec<(PathBuf, Code)> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources.extend(sources_under(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            sources.push((path, product_code(&text)));
        }
    }
    sources
}

/// Unit tests stand at the bottom: everything after `#[cfg(test)]` with `mod name {` is theirs.
fn product_code(text: &str) -> Code {
    let lines = text.lines().collect::<Vec<_>>();
    let is_test_module = |at: usize| {
        let mut after = lines[at + 1..].iter().skip_while(|line| line.starts_with("#["));
        lines[at].trim() == "#[cfg(test)]"
            && after.next().is_some_and(|l| l.starts_with("mod ") && l.ends_with('{'))
    };
    let end = (0..lines.len()).find(|at| is_test_module(*at)).unwrap_or(lines.len());
    let code = lines[..end].iter().enumerate().map(|(at, line)| (at + 1, without_comment(line).to_owned()));
    code.filter(|(_, line)| !line.trim().is_empty()).collect()
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap_or(line) }
}

/// Whether a line names a crate as the head of a path, or imports it whole.
pub(crate) fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = &line[at + name.len()..];
        let head = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '"'))
            && (!line[..at].ends_with("::") || line[..at].ends_with(" ::"));
        head && (after.starts_with("::") || (line.trim_start().starts_with("use ") && after.starts_with(';')))
    })
}

/// `mod x;` and `pub mod x;` of a crate root, test modules left out.
pub(crate) fn declared_modules(root: &str) -> Vec<&str> {
    let lines = root.lines().collect::<Vec<_>>();
    let product = (0..lines.len()).filter(|at| *at == 0 || lines[at - 1].trim() != "#[cfg(test)]");
    let declared = product.filter_map(|at| {
        let line = lines[at].trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    declared.collect()
}

/// Every file that belongs to the repository: known to git, or new and not ignored.
pub(crate) fn kept_files(metadata: &Metadata) -> Vec<String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
    let listed = Command::new("git").args(arguments).current_dir(&metadata.workspace_root).output().unwrap();
    assert!(listed.status.success(), "`git ls-files` failed: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).unwrap();
    let exists = |name: &&str| metadata.workspace_root.join(name).is_file();
    names.split('\0').filter(|name| !name.is_empty()).filter(exists).map(str::to_owned).collect()
}

/// A path begins here: nothing that belongs to a longer path or an address stands before it.
pub(crate) fn starts_a_path(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + home.len()..].chars().next();
        before.is_none_or(|c| c.is_whitespace() || "\"'`=(:,[<".contains(c))
            && after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
    })
}

/// What is run by name: everything in `scripts/` and `.ci/` without an extension.
pub(crate) fn is_script(file: &str) -> bool {
    let direct = file.strip_prefix("scripts/").or_else(|| file.strip_prefix(".ci/"));
    direct.is_some_and(|name| !name.contains(['/', '.']))
}

/// A path for people: from the root of the repository.
pub(crate) fn below_root(metadata: &Metadata, path: &Path) -> String {
    let root = metadata.workspace_root.as_std_path();
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::{declared_modules, is_script, names_crate, product_code, starts_a_path};

    #[test]
    fn see_a_vendor_at_the_head_of_a_path() {
        for line in [
            "use notify::Watcher;",
            "    let w = notify::recommended_watcher(f)?;",
            "use ::notify::Event;",
            "use notify;",
        ] {
            assert!(names_crate(line, "notify"), "{line}");
        }
        for line in [
            "use tokio::sync::notify::X;",
            "my_notify::x()",
            "self.notify();",
            "let notify = 1;",
            "\"notify::x\"",
        ] {
            assert!(!names_crate(line, "notify"), "{line}");
        }
        assert!(!names_crate("use pingora_limits::Rate;", "pingora"));
    }

    #[test]
    fn leave_out_comments_and_unit_tests() {
        let code = product_code(
            "//! a\nlet x = 1; // std::fs\n#[cfg(test)]\nmod tests;\nfn f() {}\n#[cfg(test)]\nmod inner {\n    std::fs\n}\n",
        );
        let text = code.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>();
        assert_eq!(text, ["let x = 1;", "#[cfg(test)]", "mod tests;", "fn f() {}"]);
    }

    #[test]
    fn see_paths_of_a_machine_but_not_addresses() {
        let home = "/home/".to_owned();
        assert!(starts_a_path(&format!("cd {home}ann/banyan"), &home));
        assert!(starts_a_path(&format!("root=\"{home}ann\""), &home));
        assert!(!starts_a_path(&format!("http://example.com{home}x"), &home));
        assert!(!starts_a_path(&format!("path = \"{home}*\""), &home));
    }

    #[test]
    fn see_modules_and_scripts() {
        assert_eq!(declared_modules("mod a;\npub mod b;\n#[cfg(test)]\nmod tests;\nmod c {\n}"), ["a", "b"]);
        assert!(is_script("scripts/test") && is_script(".ci/run"));
        assert!(!is_script("scripts/lib.sh") && !is_script("scripts/bench.d/nginx.conf"));
    }
}
