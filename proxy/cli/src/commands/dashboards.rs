//! `banyan dashboards`

use std::path::Path;

use crate::args::DashboardsCommand;
use crate::dashboards::{Dashboard, all};
use crate::failure::{Exit, Failure};
use crate::screen;

/// Writes them, or tells them.
pub(super) fn perform(command: &DashboardsCommand) -> Result<Exit, Failure> {
    let DashboardsCommand::Export(args) = command;
    let Some(folder) = &args.out else {
        let told = all().map(|dashboard| (dashboard.file.to_owned(), dashboard.json));
        screen::print_json(&serde_json::Map::from_iter(told))?;
        return Ok(Exit::Ok);
    };
    for dashboard in all() {
        write(folder, &dashboard)?;
        screen::print(&folder.join(dashboard.file).display().to_string())?;
    }
    Ok(Exit::Ok)
}

fn write(folder: &Path, dashboard: &Dashboard) -> Result<(), Failure> {
    let place = folder.join(dashboard.file);
    let text = format!("{:#}\n", dashboard.json);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&place, text));
    written.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", place.display()))
            .hint("name a folder that can be written with --out")
    })
}
