//! Image files and Kubernetes manifests: valid, and of one mind. The tools come with `scripts/setup --test`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::Metadata;
use serde_json::Value;

use crate::metadata;
use crate::reading::kept_files;

const MANIFESTS: &str = "deploy/kubernetes/boxoffice";

/// By `hadolint` of `PyPI`.
#[test]
fn image_files_have_no_lint() {
    let metadata = metadata();
    let files = kept_files(&metadata).into_iter().filter(|file| is_image_file(file)).collect::<Vec<_>>();
    assert!(files.len() > 1, "of the image files only these were found: {files:?}");
    run(tool(&metadata, "hadolint").args(["--failure-threshold", "style"]).args(files));
}

/// By `kubernetes-validate` of `PyPI`, whose schemas come with it: nothing is fetched, and no key is unknown.
#[test]
fn manifests_fit_the_schemas_of_kubernetes() {
    let metadata = metadata();
    let files = kept_files(&metadata).into_iter().filter(|file| is_manifest(file)).collect::<Vec<_>>();
    let said = run(tool(&metadata, "kubernetes-validate").arg("--strict").args(&files));
    for file in files {
        assert!(said.contains(&format!("{file} passed")), "nothing in {file} was looked at:\n{said}");
    }
}

#[test]
fn each_application_of_the_box_office_has_its_image_and_manifest() {
    let metadata = metadata();
    let files = kept_files(&metadata);
    let mut wanted = BTreeSet::from([format!("{MANIFESTS}/monolith.yaml")]);
    for file in files.iter().filter(|file| file.starts_with("extracted/") && is_image_file(file)) {
        wanted.insert(manifest_of(Path::new(file).parent().unwrap()));
    }
    // Programs that serve: all but the load.
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().unwrap().strip_prefix(&metadata.workspace_root).unwrap();
        let serves = package.targets.iter().any(|target| target.is_bin() && target.name != "boxoffice-load");
        if folder.starts_with("extracted") && serves {
            assert!(
                files.contains(&format!("{folder}/Dockerfile")),
                "{folder}: a service without a Dockerfile"
            );
            wanted.insert(manifest_of(folder.as_std_path()));
        }
    }
    let there = files.iter().filter(|file| is_manifest(file));
    assert_eq!(there.cloned().collect::<BTreeSet<_>>(), wanted, "manifests, and what has a Dockerfile");
    let ports = wanted.iter().map(|manifest| agree(&metadata, manifest)).collect::<BTreeMap<_, _>>();
    for manifest in wanted {
        let text = std::fs::read_to_string(metadata.workspace_root.join(&manifest)).unwrap();
        for address in text.split("http://").skip(1).filter_map(|rest| rest.split('"').next()) {
            let (name, port) = address.split_once(':').unwrap();
            assert_eq!(ports.get(name).map(u16::to_string).as_deref(), Some(port), "{manifest}: {address}");
        }
    }
}

/// Deployment, Service and image file of one application: the same name and the same port everywhere, which are returned.
fn agree(metadata: &Metadata, manifest: &str) -> (String, u16) {
    let name = Path::new(manifest).file_stem().unwrap().to_str().unwrap();
    let folder = if name == "monolith" { "legacy-monolith".to_owned() } else { format!("extracted/{name}") };
    let image = std::fs::read_to_string(metadata.workspace_root.join(&folder).join("Dockerfile")).unwrap();
    let port = image.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap().parse::<u16>().unwrap();
    for said in [
        format!("--file {folder}/Dockerfile --tag boxoffice-{name}:"),
        format!("--package boxoffice-{name} "),
        format!("ENTRYPOINT [\"boxoffice-{name}\"]"),
        format!("LISTEN=0.0.0.0:{port} "),
    ] {
        assert!(image.contains(&said), "{folder}/Dockerfile does not say `{said}`");
    }

    let documents = documents(metadata, manifest);
    let [deployment, service] = documents.as_slice() else { panic!("{manifest}: not two documents") };
    assert_eq!([&deployment["kind"], &service["kind"]], ["Deployment", "Service"], "{manifest}");
    let pod = &deployment["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let labels = &pod["metadata"]["labels"];
    for selector in [&deployment["spec"]["selector"]["matchLabels"], &service["spec"]["selector"]] {
        let selected = selector.as_object().unwrap();
        assert!(
            !selected.is_empty() && selected.iter().all(|(key, value)| labels[key] == *value),
            "{manifest}"
        );
    }
    for named in [&deployment["metadata"]["name"], &service["metadata"]["name"], &container["name"]] {
        assert_eq!(named, name, "{manifest}");
    }
    assert!(container["image"].as_str().unwrap().starts_with(&format!("boxoffice-{name}:")), "{manifest}");

    let listen = container["env"].as_array().unwrap().iter().find(|variable| variable["name"] == "LISTEN");
    assert_eq!(listen.unwrap()["value"], format!("0.0.0.0:{port}"), "{manifest}");
    assert_eq!(container["ports"][0]["containerPort"], port, "{manifest}");
    assert_eq!(service["spec"]["ports"][0]["port"], port, "{manifest}");
    assert_eq!(pod["metadata"]["annotations"]["prometheus.io/port"], port.to_string(), "{manifest}");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], container["ports"][0]["name"], "{manifest}: {probe}");
    }
    (name.to_owned(), port)
}

fn is_image_file(file: &str) -> bool {
    Path::new(file).file_name().is_some_and(|name| name == "Dockerfile")
}

fn is_manifest(file: &str) -> bool {
    file.starts_with(MANIFESTS) && Path::new(file).extension().is_some_and(|extension| extension == "yaml")
}

fn manifest_of(folder: &Path) -> String {
    format!("{MANIFESTS}/{}.yaml", folder.file_name().unwrap().to_str().unwrap())
}

/// What a file of YAML says, as Python reads it: that is what the validator does, too.
pub(crate) fn documents(metadata: &Metadata, file: &str) -> Vec<Value> {
    let program = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    serde_json::from_str(&run(tool(metadata, "python").args(["-c", program, file]))).unwrap()
}

/// A tool of `PyPI`.
pub(crate) fn tool(metadata: &Metadata, name: &str) -> Command {
    let mut command = Command::new(metadata.workspace_root.join("target/tools/pypi/bin").join(name));
    command.current_dir(&metadata.workspace_root);
    command
}

/// What it says; it must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| {
        panic!("{}: {error}\nhint: scripts/setup --test", command.get_program().display())
    });
    let said = [done.stdout.as_slice(), done.stderr.as_slice()].map(String::from_utf8_lossy).concat();
    assert!(done.status.success(), "{command:?}:\n{said}");
    said
}
