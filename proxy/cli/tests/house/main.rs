//! The fences of the house: who may know whom, and where vendor types live.
//!
//! `reading` is how these tests see the source tree; `deployed` holds image files and Kubernetes manifests, `composed`
//! the compose file and what it mounts, `dashboards` those of Grafana.
//!
//! Every failure says which rule was broken, where, and what to do. A rule that has become wrong is changed
//! here, in the same commit and with its reason.

#![allow(clippy::unwrap_used, reason = "a test that cannot read the workspace has failed")]

mod composed;
mod dashboards;
mod deployed;
mod reading;

use std::collections::BTreeSet;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use reading::{
    below_root, declared_modules, is_script, kept_files, names_crate, sources_under, starts_a_path,
};

/// Which of our crates each of our crates may name, nearest first.
const DIRECTION: &[(&str, &[&str])] = &[
    ("banyan-compare", &[]),
    ("banyan-routes", &["banyan-compare"]),
    ("banyan-gateway", &["banyan-routes", "banyan-compare"]),
    ("banyan-control", &["banyan-gateway", "banyan-routes", "banyan-compare"]),
    ("banyan", &["banyan-control", "banyan-gateway", "banyan-routes", "banyan-compare"]),
];

/// Crates in which text goes in and values come out.
const PURE: &[&str] = &["banyan-routes", "banyan-compare"];

/// What a pure crate may not reach, however far away.
const IMPURE_ANYWHERE: &[&str] =
    &["tokio", "mio", "async-std", "smol", "hyper", "socket2", "pingora", "notify"];

/// What a pure crate may not name itself.
const IMPURE_NAMED: &[&str] = &[
    "axum",
    "chrono",
    "fastrand",
    "getrandom",
    "log",
    "prometheus",
    "rand",
    "reqwest",
    "tempfile",
    "tracing",
    "ureq",
];

/// What the source of a pure crate may not say.
const IMPURE_WORDS: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "RandomState",
    "println!",
    "eprintln!",
];

/// Vendors whose types stay in few files: who they are (as Rust spells it), and where they may be named.
const VENDORS: &[(&str, &[&str])] = &[
    ("pingora", &["proxy/gateway/src/server.rs", "proxy/gateway/src/health.rs"]),
    ("pingora_load_balancing", &["proxy/gateway/src/health.rs"]),
    ("pingora_runtime", &["proxy/gateway/src/server.rs"]),
    ("pingora_limits", &["proxy/gateway/src/targets.rs"]),
    ("rustls", &["proxy/gateway/src/tls", "proxy/cli/src/admin/authorities.rs"]),
    ("tokio_rustls", &["proxy/gateway/src/tls"]),
    ("webpki", &["proxy/gateway/src/tls"]),
    ("rustls_native_certs", &["proxy/gateway/src/tls", "proxy/cli/src/admin/authorities.rs"]),
    // hyper tells no other way whether a stream was refused unread.
    ("h2", &["proxy/gateway/src/forward/error.rs"]),
    ("rusqlite", &["proxy/control/src/evidence/store"]),
    ("notify", &["proxy/control/src/reload/watch.rs"]),
    (
        "prometheus",
        &[
            "proxy/gateway/src/metrics",
            "proxy/control/src/metrics.rs",
            // These pass the registry down, and its errors up.
            "proxy/gateway/src/gateway.rs",
            "proxy/control/src/run",
            "proxy/control/src/lib.rs",
        ],
    ),
    // The admin listener is axum's but for its connections, which axum leaves without a deadline and a bound.
    ("httparse", &["proxy/gateway/src/http1"]),
    ("hyper", &["proxy/gateway/src/", "proxy/control/src/admin/connections.rs"]),
    ("axum", &["proxy/control/src/"]),
    ("maud", &["proxy/control/src/dashboard"]),
    ("clap", &["proxy/cli/src/"]),
];

/// Crates that may never be linked, and why.
const BANNED: &[(&str, &str)] = &[
    (
        "aws-lc-sys",
        "a second rustls provider beside ring panics at the first handshake: `default-features = false`",
    ),
    (
        "aws-lc-rs",
        "a second rustls provider beside ring panics at the first handshake: `default-features = false`",
    ),
    ("openssl-sys", "TLS is rustls on ring: choose the crate's rustls feature"),
    ("native-tls", "TLS is rustls on ring: choose the crate's rustls feature"),
];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "core", "types", "helpers", "misc"];

#[test]
fn our_crates_name_only_those_below_them() {
    let metadata = metadata();
    for package in proxy_crates(&metadata) {
        let allowed =
            DIRECTION.iter().find(|(name, _)| *name == package.name.as_str()).map(|(_, allowed)| *allowed);
        let allowed = allowed.unwrap_or_else(|| {
            panic!("`{}` is not in DIRECTION: say in this test which of our crates it may name", package.name)
        });
        let ours = DIRECTION.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>();
        for dependency in package.dependencies.iter().filter(|d| ours.contains(d.name.as_str())) {
            assert!(
                allowed.contains(&dependency.name.as_str()),
                "`{}` names `{}`, which is above it\nhint: move what is shared down, or pass it in",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn the_samples_know_nothing_of_ours() {
    let metadata = metadata();
    let ours = proxy_crates(&metadata).map(|package| package.name.as_str()).collect::<BTreeSet<_>>();
    let samples = metadata.workspace_packages().into_iter().filter(|package| !is_proxy(&metadata, package));
    for package in samples {
        for dependency in &package.dependencies {
            assert!(
                !ours.contains(dependency.name.as_str()),
                "sample `{}` names `{}`\nhint: applications meet Banyan over HTTP only",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn pure_crates_reach_nothing_impure() {
    let metadata = metadata();
    for package in proxy_crates(&metadata).filter(|package| PURE.contains(&package.name.as_str())) {
        let named =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        for dependency in named {
            assert!(
                !IMPURE_NAMED.contains(&dependency.name.as_str()),
                "pure crate `{}` names `{}`\nhint: take the value as an argument, the caller has it",
                package.name,
                dependency.name
            );
        }
        let reached = reached_from(&metadata, &package.id);
        for impure in IMPURE_ANYWHERE {
            assert!(
                !reached.contains(*impure),
                "pure crate `{}` reaches `{impure}`\nhint: `cargo tree -p {} -e normal -i {impure}` says through whom",
                package.name,
                package.name
            );
        }
    }
}

#[test]
fn pure_crates_touch_no_file_clock_socket_or_environment() {
    let metadata = metadata();
    for package in proxy_crates(&metadata).filter(|package| PURE.contains(&package.name.as_str())) {
        let source = package.manifest_path.parent().unwrap().join("src");
        for (file, code) in sources_under(source.as_std_path()) {
            for (line, text) in code {
                for word in IMPURE_WORDS {
                    assert!(
                        !text.contains(word),
                        "{}:{line}: `{word}` in a pure crate\nhint: take the value as an argument, the caller has it",
                        below_root(&metadata, &file)
                    );
                }
            }
        }
    }
}

#[test]
fn vendor_types_stay_in_their_files() {
    let metadata = metadata();
    let mut strays = Vec::new();
    for package in proxy_crates(&metadata) {
        let source = package.manifest_path.parent().unwrap().join("src");
        for (file, code) in sources_under(source.as_std_path()) {
            let place = below_root(&metadata, &file);
            for (vendor, homes) in VENDORS {
                let named = code.iter().find(|(_, text)| names_crate(text, vendor));
                let at_home = homes.iter().any(|home| place.starts_with(home));
                if let (Some((line, _)), false) = (named, at_home) {
                    strays.push(format!("{place}:{line}: `{vendor}` named outside {homes:?}"));
                }
            }
        }
    }
    let hint = "give the rest of the house our own type, or add the file to VENDORS with a reason";
    assert!(strays.is_empty(), "{}\nhint: {hint}", strays.join("\n"));
}

#[test]
fn every_crate_root_maps_its_modules() {
    let metadata = metadata();
    let mut unnamed = Vec::new();
    for package in metadata.workspace_packages() {
        for root in package.targets.iter().filter(|target| target.is_lib() || target.is_bin()) {
            let text = std::fs::read_to_string(&root.src_path).unwrap();
            let place = below_root(&metadata, root.src_path.as_std_path());
            // A type of the same name stands for its module: [`Report`] for `report`.
            let map =
                text.lines().take_while(|line| line.starts_with("//!")).collect::<String>().to_lowercase();
            if map.is_empty() {
                unnamed.push(format!("{place}: no `//!` map"));
            }
            let modules =
                declared_modules(&text).into_iter().filter(|name| !map.contains(&format!("`{name}`")));
            unnamed.extend(modules.map(|module| format!("{place}: the map does not name `{module}`")));
        }
    }
    let hint = "begin with what the crate is for, and a line for each module with its job";
    assert!(unnamed.is_empty(), "{}\nhint: {hint}", unnamed.join("\n"));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            manifest.replace("\r\n", "\n").contains("[lints]\nworkspace = true"),
            "{}: lints are not inherited\nhint: add `[lints]` with `workspace = true`",
            below_root(&metadata, package.manifest_path.as_std_path())
        );
    }
}

#[test]
fn names_say_what_is_inside() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        for part in package.name.split(['-', '_']) {
            assert!(
                !EMPTY_NAMES.contains(&part),
                "crate `{}`: `{part}` says nothing of what is inside",
                package.name
            );
        }
    }
    for file in kept_files(&metadata) {
        let path = Path::new(&file);
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let names = path.with_extension("");
        for part in names.iter().filter_map(|part| part.to_str()) {
            assert!(
                !EMPTY_NAMES.contains(&part),
                "{file}: `{part}` says nothing of what is inside\nhint: name it after its job"
            );
        }
    }
}

#[test]
fn banned_crates_are_not_linked() {
    let metadata = metadata();
    let linked = metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| &metadata[&node.id]);
    for package in linked {
        if let Some((name, reason)) = BANNED.iter().find(|(name, _)| *name == package.name.as_str()) {
            panic!(
                "`{name}` is linked: {reason}\nhint: `cargo tree --workspace -i {name}` says through whom"
            );
        }
    }
}

#[test]
fn no_file_names_one_machine() {
    let metadata = metadata();
    // Spelled in parts, or this file would be the first to break the rule.
    let homes = ["home", "Users", "root", "work"].map(|name| format!("/{name}/"));
    for file in kept_files(&metadata) {
        let Ok(text) = std::fs::read_to_string(metadata.workspace_root.join(&file)) else { continue };
        for (number, line) in text.lines().enumerate() {
            let found = homes.iter().find(|home| starts_a_path(line, home));
            assert!(
                found.is_none(),
                "{file}:{}: `{}` is a path of one machine\nhint: make it relative to the repository",
                number + 1,
                found.map_or("", |home| home.as_str())
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let metadata = metadata();
    let scripts = kept_files(&metadata).into_iter().filter(|file| is_script(file)).collect::<Vec<_>>();
    assert!(!scripts.is_empty(), "no script found under scripts/");
    for script in scripts {
        let path = metadata.workspace_root.join(&script);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("#!/usr/bin/env "),
            "{script}: begin with `#!/usr/bin/env bash` (or python3)"
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert!(mode & 0o111 != 0, "{script}: not executable\nhint: `chmod +x {script}`");
    }
}

/// Everything cargo knows of the workspace, for the platform the test runs on.
fn metadata() -> Metadata {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let options = ["--locked", "--filter-platform", &platform].map(str::to_owned).to_vec();
    MetadataCommand::new()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .other_options(options)
        .exec()
        .expect("`cargo metadata --locked` works in a checkout: commit Cargo.lock with Cargo.toml")
}

fn proxy_crates(metadata: &Metadata) -> impl Iterator<Item = &Package> {
    metadata.workspace_packages().into_iter().filter(|package| is_proxy(metadata, package))
}

fn is_proxy(metadata: &Metadata, package: &Package) -> bool {
    package.manifest_path.starts_with(metadata.workspace_root.join("proxy"))
}

/// Names of everything that is linked into a library, itself left out.
fn reached_from<'m>(metadata: &'m Metadata, start: &PackageId) -> BTreeSet<&'m str> {
    let nodes = &metadata.resolve.as_ref().unwrap().nodes;
    let mut open = vec![start];
    let mut seen = BTreeSet::from([start]);
    while let Some(id) = open.pop() {
        let node = nodes.iter().find(|node| node.id == *id).unwrap();
        let linked =
            node.deps.iter().filter(|d| d.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal));
        open.extend(linked.map(|dependency| &dependency.pkg).filter(|id| seen.insert(id)));
    }
    seen.remove(start);
    seen.into_iter().map(|id| metadata[id].name.as_str()).collect()
}
