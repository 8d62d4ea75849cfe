//! Where panels stand: from left to right, row by row, never on top of each other.

use serde_json::{Value, json};

use super::panel::Panel;

/// Columns of Grafana's grid.
const COLUMNS: u32 = 24;

/// Panels under a heading.
pub(super) struct Section {
    title: &'static str,
    panels: Vec<Panel>,
}

/// A heading, and what stands under it.
pub(super) fn section(title: &'static str, panels: Vec<Panel>) -> Section {
    Section { title, panels }
}

/// The panels of a dashboard with their places and numbers.
pub(super) fn place(sections: Vec<Section>) -> Vec<Value> {
    let (mut placed, mut top) = (Vec::new(), 0);
    for section in sections {
        placed.push(json!({
            "id": placed.len() + 1, "type": "row", "title": section.title, "collapsed": false, "panels": [],
            "gridPos": { "h": 1, "w": COLUMNS, "x": 0, "y": top },
        }));
        top += 1;
        let (mut left, mut highest) = (0, 0);
        for panel in section.panels {
            if left + panel.width > COLUMNS {
                (left, top, highest) = (0, top + highest, 0);
            }
            let place = json!({ "h": panel.height, "w": panel.width, "x": left, "y": top });
            left += panel.width;
            highest = highest.max(panel.height);
            placed.push(panel.into_json(placed.len() + 1, &place));
        }
        top += highest;
    }
    placed
}
