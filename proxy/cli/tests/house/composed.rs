//! The compose file and what it mounts: valid, and of one mind with image files, manifests and rules.
//! No container engine runs here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::Metadata;
use serde_json::Value;

use crate::deployed::{documents, run, tool};
use crate::metadata;
use crate::reading::kept_files;

const FILE: &str = "deploy/compose.yaml";

/// What is no image of ours, and where it listens.
const PORTS: [(&str, &[u16]); 4] =
    [("nats", &[4222]), ("prometheus", &[9090]), ("alertmanager", &[9093]), ("grafana", &[3000])];

/// By the schema of the Compose Specification that `check-jsonschema` of `PyPI` carries.
#[test]
fn the_compose_file_fits_the_specification() {
    let metadata = metadata();
    run(tool(&metadata, "check-jsonschema").args(["--builtin-schema", "vendor.compose-spec", FILE]));
}

#[test]
fn every_application_is_composed_from_its_image_file() {
    let metadata = metadata();
    let composed = Composed::read(&metadata);
    let ours: BTreeSet<String> = composed.built().map(|(name, _)| name.to_owned()).collect();
    let files = kept_files(&metadata);
    let folders =
        files.iter().filter_map(|file| file.strip_prefix("extracted/")?.strip_suffix("/Dockerfile"));
    let wanted = folders.chain(["monolith", "proxy"]).map(str::to_owned).collect();
    assert_eq!(ours, wanted, "services that are built, and what has an image file");
    for (name, service) in composed.built() {
        let (context, file) =
            (&service["build"]["context"], service["build"]["dockerfile"].as_str().unwrap());
        assert_eq!(context, "..", "{name}");
        let image = std::fs::read_to_string(metadata.workspace_root.join(file)).unwrap();
        let tag = service["image"].as_str().unwrap();
        assert!(
            image.contains(&format!("--tag {} ", tag.split(':').next().unwrap())) || image.contains(tag),
            "{tag}"
        );
        // What is written to has its owner from the image.
        for (source, target) in mounts(service).filter(|(source, _)| !source.contains('/')) {
            assert!(
                image.contains(&format!(" {target}\n")),
                "{name}: {source} at {target}, which {file} does not make"
            );
        }
    }
}

#[test]
fn what_is_mounted_is_there_and_what_is_named_is_declared() {
    let metadata = metadata();
    let composed = Composed::read(&metadata);
    let mut used = BTreeSet::new();
    for (name, service) in composed.services() {
        for (source, _) in mounts(service) {
            let path = source.split_once(":-").map_or(source, |(_, default)| default.trim_end_matches('}'));
            if path.starts_with('.') {
                let there = metadata.workspace_root.join("deploy").join(path);
                assert!(there.exists(), "{name}: {source} is not there");
            } else {
                used.insert(path.to_owned());
            }
        }
        for secret in service["secrets"].as_array().into_iter().flatten() {
            assert!(composed.0["secrets"].get(secret.as_str().unwrap()).is_some(), "{name}: {secret}");
        }
        for other in service["depends_on"].as_array().into_iter().flatten() {
            assert!(composed.0["services"].get(other.as_str().unwrap()).is_some(), "{name}: {other}");
        }
    }
    let declared: BTreeSet<String> = composed.0["volumes"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(used, declared, "volumes used, and declared");
}

/// A name and a port in an address are those of a service, wherever the address stands.
#[test]
fn every_address_is_that_of_a_service() {
    let metadata = metadata();
    let composed = Composed::read(&metadata);
    let mut listening: BTreeMap<String, BTreeSet<u16>> =
        PORTS.iter().map(|(name, ports)| ((*name).to_owned(), ports.iter().copied().collect())).collect();
    for (name, service) in composed.built() {
        let file = service["build"]["dockerfile"].as_str().unwrap();
        let image = std::fs::read_to_string(metadata.workspace_root.join(file)).unwrap();
        let port = image.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap().parse().unwrap();
        listening.entry(name.to_owned()).or_default().insert(port);
    }
    let admin = composed.0["services"]["proxy"]["environment"]["BANYAN_ADMIN"].as_str().unwrap();
    let admin: u16 = admin.rsplit(':').next().unwrap().parse().unwrap();
    listening.get_mut("proxy").unwrap().insert(admin);

    let files =
        ["compose.yaml", "compose/prometheus.yml", "grafana/provisioning/datasources/prometheus.yaml"];
    let mut seen = 0;
    for file in files {
        for (name, port) in addresses(&documents(&metadata, &format!("deploy/{file}"))) {
            let Some(ports) = listening.get(&name) else { continue };
            assert!(ports.contains(&port), "{file}: {name}:{port}, which listens on {ports:?}");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} addresses were found");
    // What a container publishes is what it listens on.
    for (name, service) in composed.services() {
        for published in service["ports"].as_array().into_iter().flatten().map(|port| port.as_str().unwrap())
        {
            let [host, _, port] = published.split(':').collect::<Vec<_>>()[..] else { panic!("{published}") };
            assert_eq!(host, "127.0.0.1", "{name} is open to the network");
            assert!(listening[name].contains(&port.parse().unwrap()), "{name}: {published}");
        }
    }
}

/// As in the manifests of Kubernetes, but for databases, which here are those of the images.
#[test]
fn applications_get_what_they_get_on_kubernetes() {
    let metadata = metadata();
    let composed = Composed::read(&metadata);
    for (name, service) in composed.built().filter(|(name, _)| *name != "proxy") {
        let manifest = documents(&metadata, &format!("deploy/kubernetes/boxoffice/{name}.yaml"));
        let container = &manifest[0]["spec"]["template"]["spec"]["containers"][0];
        let there = container["env"].as_array().unwrap().iter();
        let wanted: BTreeMap<&str, &Value> =
            there.map(|variable| (variable["name"].as_str().unwrap(), &variable["value"])).collect();
        let given = service["environment"].as_object().unwrap();
        let not_here = ["LISTEN", "DATABASE_URL"];
        for (key, value) in wanted.iter().filter(|(key, _)| !not_here.contains(key)) {
            assert!(given.contains_key(*key), "{name} gets no {key}");
            // A secret has another source here.
            assert!(
                value.is_null() || given[*key] == **value,
                "{name}: {key} is {} here, {value} there",
                given[*key]
            );
        }
        let surplus = given.keys().find(|key| !wanted.contains_key(key.as_str()) && *key != "BOXOFFICE_SEED");
        assert_eq!(surplus, None, "{name} gets it here alone");
    }
}

#[test]
fn rules_dashboards_and_alerts_are_found_where_they_are_mounted() {
    let metadata = metadata();
    let composed = Composed::read(&metadata);
    let deploy = metadata.workspace_root.join("deploy");
    let mounted = |service: &str, path: &str| {
        let at = mounts(&composed.0["services"][service]).filter(|(source, _)| source.starts_with("./"));
        let mut found =
            at.filter_map(|(source, target)| Some((source, Path::new(path).strip_prefix(target).ok()?)));
        let (source, rest) =
            found.next().unwrap_or_else(|| panic!("{service}: nothing is mounted at {path}"));
        let there = deploy.join(source).join(rest.to_str().unwrap());
        assert!(there.exists(), "{service}: {path} is {there}, which is not there");
    };
    let prometheus = &documents(&metadata, "deploy/compose/prometheus.yml")[0];
    for rules in prometheus["rule_files"].as_array().unwrap() {
        mounted("prometheus", &format!("/etc/prometheus/{}", rules.as_str().unwrap()));
    }
    let secret = prometheus["scrape_configs"][0]["authorization"]["credentials_file"].as_str().unwrap();
    assert_eq!(composed.0["services"]["prometheus"]["secrets"][0], secret.rsplit('/').next().unwrap());
    mounted("alertmanager", "/etc/alertmanager/alertmanager.yml");
    let home = &composed.0["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    mounted("grafana", home.as_str().unwrap());
    let provider = &documents(&metadata, "deploy/grafana/provisioning/dashboards/banyan.yaml")[0];
    mounted("grafana", provider["providers"][0]["options"]["path"].as_str().unwrap());
    mounted("grafana", "/etc/grafana/provisioning/datasources/prometheus.yaml");

    // $__rate_interval is made of what Grafana takes for the scrape interval.
    let source = &documents(&metadata, "deploy/grafana/provisioning/datasources/prometheus.yaml")[0];
    let shipped = &documents(&metadata, "deploy/prometheus/prometheus.yml")[0];
    for config in [prometheus, shipped] {
        let interval = &source["datasources"][0]["jsonData"]["timeInterval"];
        assert_eq!(&config["global"]["scrape_interval"], interval, "Grafana's interval");
    }
}

/// By Prometheus' and Alertmanager's own tools.
#[test]
fn alerts_go_where_their_severity_says() {
    let metadata = metadata();
    let root = metadata.workspace_root.as_std_path();
    let debian = |name: &str, arguments: &[&str]| run(Command::new(name).current_dir(root).args(arguments));
    debian("promtool", &["check", "config", "--syntax-only", "deploy/compose/prometheus.yml"]);
    let config = "deploy/alertmanager/alertmanager.yml";
    debian("amtool", &["check-config", config]);
    let alerts = &documents(&metadata, "deploy/prometheus/alerts.yml")[0]["groups"][0]["rules"];
    let severities =
        alerts.as_array().unwrap().iter().map(|alert| alert["labels"]["severity"].as_str().unwrap());
    assert_eq!(severities.collect::<BTreeSet<_>>(), ["page", "ticket"].into());
    for (severity, receiver) in [("page", "pager"), ("ticket", "tickets")] {
        let label = format!("severity={severity}");
        let went = debian("amtool", &["config", "routes", "test", "--config.file", config, &label]);
        assert!(went.lines().any(|line| line == receiver), "{severity} went to {went}");
    }
}

struct Composed(Value);

impl Composed {
    fn read(metadata: &Metadata) -> Self {
        Self(documents(metadata, FILE).remove(0))
    }

    fn services(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0["services"].as_object().unwrap().iter().map(|(name, service)| (name.as_str(), service))
    }

    /// Those whose image is made here.
    fn built(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.services().filter(|(_, service)| service.get("build").is_some())
    }
}

/// Source and target; the source may be a variable with a default, which has colons of its own.
fn mounts(service: &Value) -> impl Iterator<Item = (&str, &str)> {
    service["volumes"].as_array().into_iter().flatten().map(|mount| {
        let mount = mount.as_str().unwrap().trim_end_matches(":ro");
        mount.rsplit_once(':').unwrap()
    })
}

/// Every `name:port` in the strings of a document, with or without a scheme.
fn addresses(value: &impl serde::Serialize) -> Vec<(String, u16)> {
    let text = serde_json::to_string(value).unwrap();
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || ":-.".contains(letter)));
    let address = |word: &str| {
        let (name, port) = word.rsplit_once(':')?;
        Some((name.to_owned(), port.parse().ok()?))
    };
    words.filter_map(address).collect()
}
