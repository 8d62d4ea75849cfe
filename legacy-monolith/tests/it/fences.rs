//! What "modular" means here: a module reaches another one through its seam only, and touches its own tables only.

use std::{fs, path::Path};

/// `expiration` has no tables. `reports` reads those of four modules on purpose: it is what keeps the monolith.
const MODULES: [(&str, &[&str]); 7] = [
    ("users", &["users", "sessions", "keys"]),
    ("catalog", &["tickets"]),
    ("inventory", &["tickets", "reservations"]),
    ("cart", &["sessions"]),
    ("orders", &["orders", "order_items", "placements"]),
    ("payments", &["payments"]),
    ("notifications", &["notifications"]),
];
const UNFENCED: [&str; 4] = ["reports.rs", "seed.rs", "seed", "seam.rs"];

#[test]
fn no_module_reaches_into_another_ones_repository() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = MODULES.iter().map(|(module, _)| source.join(module)).chain([source.clone()]);
    for file in folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        if file.is_dir() || UNFENCED.contains(&name) {
            continue;
        }
        let may_ask = name == "repository.rs";
        for line in fs::read_to_string(&file).unwrap().lines() {
            let asks = ["query!(", "query_as!(", "scalar!("].iter().any(|ask| line.contains(ask));
            let reaches = line.contains("repository") && line.contains("crate::");
            assert!(
                !reaches && (may_ask || !asks),
                "{}: `{}`\nhint: go through the module's seam",
                file.display(),
                line.trim()
            );
        }
    }
}

#[test]
fn a_repository_is_private_and_knows_its_own_tables_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (module, tables) in MODULES {
        let seam = fs::read_to_string(source.join(module).join("mod.rs")).unwrap();
        assert!(seam.contains("\nmod repository;\n"), "src/{module}/mod.rs: must say `mod repository;`");
        let text = fs::read_to_string(source.join(module).join("repository.rs")).unwrap();
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for pair in words.windows(2).filter(|pair| ["FROM", "JOIN", "INTO", "UPDATE"].contains(&pair[0])) {
            let known = tables.contains(&pair[1]) || ["SET", "SELECT", ""].contains(&pair[1]);
            assert!(known, "src/{module}/repository.rs: `{} {}` is another module's", pair[0], pair[1]);
        }
    }
}
