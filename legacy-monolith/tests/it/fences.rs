//! What "modular" means here: a module reaches another one through its seam only.

use std::{fs, path::Path};

const MODULES: [&str; 6] = ["users", "catalog", "inventory", "orders", "payments", "notifications"];

#[test]
fn no_module_reaches_into_another_ones_repository() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in MODULES {
        let seam = fs::read_to_string(source.join(module).join("mod.rs")).unwrap();
        assert!(
            seam.contains("\nmod repository;\n"),
            "src/{module}/mod.rs: its repository must be `mod repository;`, private to the module"
        );
        for file in fs::read_dir(source.join(module)).unwrap() {
            let file = file.unwrap().path();
            for line in fs::read_to_string(&file).unwrap().lines() {
                let stranger = line.contains("repository") && line.contains("crate::");
                assert!(
                    !stranger,
                    "{}: `{}`\nhint: go through the other module's seam",
                    file.display(),
                    line.trim()
                );
            }
        }
    }
}
