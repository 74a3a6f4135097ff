//! Are folders and archives of texts known by what is in them, names and all?

use std::io::Write;

use zip::write::SimpleFileOptions;

use crate::support::Project;

fn pipeline(source: &str) -> String {
    format!(
        "name: x\nstages:\n  rows: {{ use: ingest, with: {{ source: '{source}', format: files, id: path, label: folder }} }}\n  \
         clean: {{ use: clean, from: rows, with: {{ unicode: nfkc }} }}\n"
    )
}

fn ran(project: &Project, folder: &str) -> u64 {
    project.ok(["run", "p.yaml", "--out", folder]);
    project.summary(folder)["totals"]["ran"].as_u64().unwrap()
}

#[test]
fn a_renamed_folder_is_another_label() {
    let project = Project::new().file("p.yaml", pipeline("texts/*/*.txt"));
    project.write("texts/good/1.txt", "fine");
    project.write("texts/bad/2.txt", "dull");
    assert_eq!(ran(&project, "first"), 2);
    assert_eq!(ran(&project, "again"), 0);
    std::fs::rename(project.path("texts/good"), project.path("texts/lovely")).unwrap();
    // the texts are in another order now, but each is what it was
    assert!(ran(&project, "renamed") > 0);
    std::fs::rename(project.path("texts/lovely"), project.path("texts/good")).unwrap();
    assert_eq!(ran(&project, "back"), 0);
    // where the folder lies does not count
    std::fs::create_dir(project.path("elsewhere")).unwrap();
    std::fs::rename(project.path("texts"), project.path("elsewhere/texts")).unwrap();
    project.write("p.yaml", pipeline("elsewhere/texts/*/*.txt"));
    assert_eq!(ran(&project, "moved"), 0);
}

#[test]
fn members_of_one_archive_are_one_input() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("m/good/1.txt", "fine"), ("m/good/2.txt", "lovely"), ("m/bad/1.txt", "dull")] {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    let project = Project::new().file("p.yaml", pipeline("all.zip!m/*/*.txt"));
    project.write("all.zip", writer.finish().unwrap().into_inner());
    assert_eq!(ran(&project, "first"), 2);
    let inputs = project.summary("first")["inputs"].clone();
    assert_eq!(inputs.as_array().unwrap().len(), 1, "{inputs}");
    assert_eq!((inputs[0]["source"].as_str().unwrap(), inputs[0]["rows"].as_u64()), ("all.zip!m/*/*.txt", Some(3)));
    let lock = String::from_utf8(project.read("p.lock")).unwrap();
    assert!(lock.contains("all.zip!m/*/*.txt") && !lock.contains("1.txt"), "{lock}");
    project.ok(["run", "p.yaml", "--locked", "--out", "second"]);
}
