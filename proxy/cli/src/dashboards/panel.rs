//! A panel: what it asks, and how it shows the answer. No data is never drawn as a number or in green.

use serde_json::{Value, json};

use super::query::Query;

/// The variable by which a person chooses a Prometheus.
pub(super) fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// What a number counts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    /// 0 to 1.
    Ratio,
    /// Of anything.
    Count,
    Seconds,
    Bytes,
    /// Requests in a second.
    RequestRate,
    /// Anything in a second.
    EventRate,
    /// A number that stands for a word.
    Word,
}

impl Unit {
    /// As Grafana names it.
    const fn id(self) -> &'static str {
        match self {
            Self::Ratio => "percentunit",
            Self::Count => "short",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::RequestRate => "reqps",
            Self::EventRate => "cps",
            Self::Word => "none",
        }
    }
}

/// What a panel is before it has a place.
pub(super) struct Panel {
    pub(super) width: u32,
    pub(super) height: u32,
    kind: &'static str,
    title: &'static str,
    description: &'static str,
    targets: Vec<Value>,
    defaults: Value,
    overrides: Vec<Value>,
    options: Value,
    transformations: Vec<Value>,
}

/// One number now.
pub(super) fn number(title: &'static str, description: &'static str, unit: Unit, query: &Query) -> Panel {
    let options = json!({
        "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
        "colorMode": "value", "graphMode": "none", "textMode": "auto", "justifyMode": "center",
        "orientation": "auto",
    });
    let defaults = json!({ "color": { "mode": "fixed", "fixedColor": "text" } });
    Panel::new("stat", title, description, unit, defaults, options).sized(4, 4).asks(query, title)
}

/// Lines over time.
pub(super) fn graph(title: &'static str, description: &'static str, unit: Unit) -> Panel {
    let defaults = json!({
        "color": { "mode": "palette-classic" },
        "custom": {
            "drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": false,
        },
    });
    let options = json!({
        "legend": { "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [] },
        "tooltip": { "mode": "multi", "sort": "desc" },
    });
    Panel::new("timeseries", title, description, unit, defaults, options).sized(12, 8)
}

/// One line for each value of a label, columns by [`Panel::column`].
pub(super) fn table(title: &'static str, description: &'static str, first: &str) -> Panel {
    let sorted = json!([{ "displayName": first, "desc": false }]);
    let options = json!({ "showHeader": true, "cellHeight": "sm", "sortBy": sorted });
    let defaults =
        json!({ "custom": { "align": "auto", "cellOptions": { "type": "auto" }, "inspect": false } });
    let mut panel = Panel::new("table", title, description, Unit::Count, defaults, options).sized(24, 8);
    let organized = json!({ "excludeByName": { "Time": true }, "indexByName": {}, "renameByName": {} });
    panel.transformations =
        vec![json!({ "id": "merge", "options": {} }), json!({ "id": "organize", "options": organized })];
    panel
}

impl Panel {
    fn new(
        kind: &'static str,
        title: &'static str,
        description: &'static str,
        unit: Unit,
        mut defaults: Value,
        options: Value,
    ) -> Self {
        defaults["unit"] = unit.id().into();
        defaults["noValue"] = "no data".into();
        defaults["mappings"] = json!([no_data(0)]);
        let (targets, overrides, transformations) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            width: 0,
            height: 0,
            kind,
            title,
            description,
            targets,
            defaults,
            overrides,
            options,
            transformations,
        }
    }

    /// Columns of 24, and lines.
    pub(super) fn sized(mut self, width: u32, height: u32) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    /// One query more; `legend` is a template, `{{route}}` for example.
    pub(super) fn asks(mut self, query: &Query, legend: &str) -> Self {
        self.targets.push(json!({
            "refId": ref_id(self.targets.len()), "datasource": datasource(), "expr": query.to_string(),
            "legendFormat": legend, "editorMode": "code", "instant": false, "range": true,
        }));
        self
    }

    /// One column of a table.
    pub(super) fn column(mut self, title: &str, unit: Unit, query: &Query) -> Self {
        let id = ref_id(self.targets.len());
        self.targets.push(json!({
            "refId": id, "datasource": datasource(), "expr": query.to_string(), "legendFormat": title,
            "editorMode": "code", "format": "table", "instant": true, "range": false,
        }));
        let place = self.targets.len();
        let organized = &mut self.transformations[1]["options"];
        organized["renameByName"][format!("Value #{id}")] = title.into();
        organized["indexByName"][format!("Value #{id}")] = place.into();
        self.overrides.push(json!({
            "matcher": { "id": "byName", "options": title },
            "properties": [{ "id": "unit", "value": unit.id() }],
        }));
        self
    }

    /// Green below the first limit, red from the second: for what should be small.
    pub(super) fn bad_from(self, orange: f64, red: f64) -> Self {
        self.coloured(&json!([
            { "color": "green", "value": null },
            { "color": "orange", "value": orange },
            { "color": "red", "value": red },
        ]))
    }

    fn coloured(mut self, steps: &Value) -> Self {
        self.defaults["color"] = json!({ "mode": "thresholds" });
        self.defaults["thresholds"] = json!({ "mode": "absolute", "steps": steps });
        self
    }

    /// 0 is the first word and red, 1 the second and green.
    pub(super) fn words(mut self, bad: &str, good: &str) -> Self {
        self.defaults["mappings"] = json!([
            { "type": "value", "options": {
                "0": { "text": bad, "color": "red", "index": 0 },
                "1": { "text": good, "color": "green", "index": 1 },
            } },
            no_data(2),
        ]);
        self.coloured(&json!([{ "color": "red", "value": null }, { "color": "green", "value": 1 }]))
    }

    /// What no line is drawn below and above, for shares.
    pub(super) fn between(mut self, least: u32, most: u32) -> Self {
        self.defaults["min"] = least.into();
        self.defaults["max"] = most.into();
        self
    }

    /// Lines on top of each other: for parts of a whole.
    pub(super) fn stacked(mut self) -> Self {
        self.defaults["custom"]["stacking"] = json!({ "mode": "normal", "group": "A" });
        self.defaults["custom"]["fillOpacity"] = 30.into();
        self
    }

    /// Steps, for what is set rather than measured.
    pub(super) fn in_steps(mut self) -> Self {
        self.defaults["custom"]["lineInterpolation"] = "stepAfter".into();
        self
    }

    pub(super) fn into_json(self, id: usize, place: &Value) -> Value {
        let mut panel = json!({
            "id": id, "type": self.kind, "title": self.title, "description": self.description,
            "datasource": datasource(), "gridPos": place, "targets": self.targets, "options": self.options,
            "fieldConfig": { "defaults": self.defaults, "overrides": self.overrides },
        });
        if !self.transformations.is_empty() {
            panel["transformations"] = self.transformations.into();
        }
        panel
    }
}

fn no_data(index: u32) -> Value {
    let result = json!({ "text": "no data", "color": "orange", "index": index });
    json!({ "type": "special", "options": { "match": "null+nan", "result": result } })
}

/// A, B, C...
fn ref_id(place: usize) -> String {
    char::from(b'A' + u8::try_from(place % 26).unwrap_or_default()).to_string()
}
