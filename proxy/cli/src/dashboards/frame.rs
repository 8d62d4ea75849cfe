//! What every dashboard has: variables, links to the others, and changes of the configuration.

use banyan_control::{MetricInfo, metric};
use serde_json::{Value, json};

use super::grid::{Section, place};
use super::panel::datasource;
use super::query::{Query, of};

/// A version of the dashboard's form that Grafana 11 writes and 12 reads.
const SCHEMA_VERSION: u32 = 41;

/// Everything of a dashboard but its panels.
pub(super) struct Frame {
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) routes: Routes,
}

/// How many routes a person chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routes {
    /// No variable.
    None,
    One,
    Many,
}

impl Frame {
    /// The whole of it. Not editable: the next export would undo what was edited.
    pub(super) fn with(self, sections: Vec<Section>) -> Value {
        json!({
            "uid": self.uid, "title": self.title, "description": self.description, "tags": ["banyan"],
            "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": false, "graphTooltip": 1,
            "refresh": "10s", "time": { "from": "now-30m", "to": "now" }, "timezone": "browser",
            "links": [to_the_others()],
            "annotations": { "list": annotations() },
            "templating": { "list": self.variables() },
            "panels": place(sections),
        })
    }

    fn variables(&self) -> Vec<Value> {
        let mut variables = vec![
            json!({
                "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
                "hide": 0, "refresh": 1, "multi": false, "includeAll": false, "current": {}, "options": [], "regex": "",
            }),
            many("job", "Job", &metric::BUILD_INFO, ""),
            many("instance", "Instance", &metric::BUILD_INFO, "job=~\"$job\""),
        ];
        let chosen = "job=~\"$job\", instance=~\"$instance\"";
        match self.routes {
            Routes::None => {}
            // A route that moves has a share; one that does not has nothing to compare.
            Routes::One => variables.push(one("route", "Route", &metric::SHARE, chosen)),
            Routes::Many => variables.push(many("route", "Route", &metric::REQUESTS, chosen)),
        }
        variables
    }
}

fn many(name: &str, label: &str, metric: &MetricInfo, chosen: &str) -> Value {
    let mut variable = one(name, label, metric, chosen);
    variable["multi"] = true.into();
    variable["includeAll"] = true.into();
    variable["allValue"] = ".+".into();
    variable["current"] = json!({ "selected": true, "text": ["All"], "value": ["$__all"] });
    variable
}

fn one(name: &str, label: &str, metric: &MetricInfo, chosen: &str) -> Value {
    let series =
        if chosen.is_empty() { metric.name.to_owned() } else { format!("{}{{{chosen}}}", metric.name) };
    let query = format!("label_values({series}, {name})");
    json!({
        "name": name, "label": label, "type": "query", "datasource": datasource(),
        "query": { "qryType": 1, "query": query, "refId": name },
        // 2: again when the time range changes, since routes come and go.
        "refresh": 2, "sort": 1, "multi": false, "includeAll": false, "current": {}, "options": [], "regex": "",
        "hide": 0,
    })
}

fn to_the_others() -> Value {
    json!({
        "title": "Banyan", "type": "dashboards", "tags": ["banyan"], "asDropdown": false, "includeVars": true,
        "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "", "url": "",
    })
}

/// Shifts up and down, and every change of a configuration, a share or not.
fn annotations() -> Vec<Value> {
    let share = of(&metric::SHARE).delta().max("route");
    let lowered = of(&metric::SHARE).delta().min("route");
    vec![
        annotation("Share raised", "blue", "{{route}} raised", &share.where_above(0)),
        annotation("Share lowered", "orange", "{{route}} lowered", &lowered.where_below(0)),
        annotation(
            "Configuration changed",
            "purple",
            "{{instance}}: new configuration",
            &of(&metric::CONFIG_GENERATION).changes().max("instance").where_above(0),
        ),
    ]
}

fn annotation(name: &str, colour: &str, title: &str, query: &Query) -> Value {
    json!({
        "name": name, "datasource": datasource(), "enable": true, "hide": false, "iconColor": colour,
        "expr": query.to_string(), "titleFormat": title, "step": "10s",
    })
}
