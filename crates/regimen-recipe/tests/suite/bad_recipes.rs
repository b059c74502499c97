//! Every way to write a recipe wrongly, beside what it is told. `# arm:` and `# set:` at the head of a file give the
//! command line.

use std::fs;
use std::path::Path;

use regimen_recipe::{Node, Report, Resolved};

#[test]
fn each_is_told_what_is_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_recipes");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().into_string().unwrap().strip_suffix(".toml").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(names.len() >= 20);
    for name in names {
        let text = fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap();
        let said =
            |lead: &str| text.lines().filter_map(|l| l.strip_prefix(lead)).map(str::trim).collect::<Vec<_>>();
        let report = match crate::fake::resolve(&text, said("# arm:").first().copied(), &said("# set:")) {
            Ok(resolved) => report_unread(&resolved).unwrap_or_else(|| panic!("{name} is a good recipe")),
            Err(report) => report,
        };
        insta::with_settings!({
            snapshot_path => "../bad_recipes", prepend_module_to_snapshot => false, omit_expression => true,
        }, {
            insta::assert_snapshot!(name, report.render(false));
        });
    }
}

/// As if everything were read but what nothing can read.
fn report_unread(resolved: &Resolved) -> Option<Report> {
    resolved.root().table("model").mark_all_read();
    resolved.stages().iter().for_each(Node::mark_all_read);
    resolved.report_unread()
}
