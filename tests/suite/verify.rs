//! Can a run be repeated, here and elsewhere, and does it show where it cannot?

use serde_json::Value;

use crate::support::{Project, snippets, words_pipeline};

fn ran() -> Project {
    let project = Project::new().file("data.csv", snippets(60));
    project.write("p.yaml", words_pipeline("ngram_range: [1, 2]", "folds: 3"));
    project.ok(["run", "p.yaml", "--out", "run"]);
    project
}

#[test]
fn a_run_is_repeated_bit_for_bit_in_a_cache_of_its_own() {
    let project = ran();
    std::fs::remove_dir_all(project.path("cache")).unwrap();
    let verified = project.ok(["verify", "run"]);
    assert!(
        verified.stderr.contains("run: repeated, the same bits: 19 units, predictions and metrics"),
        "{}",
        verified.stderr
    );
    assert!(!project.path("cache/v2/keys").exists(), "nothing was taken from, or put into, the usual cache");
    let json = project.ok(["verify", "run", "--message-format", "json"]).stdout;
    let last: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    assert_eq!((&last["verdict"]["same"], &last["verdict"]["units"]), (&true.into(), &19.into()));
}

#[test]
fn what_was_set_from_outside_is_set_again() {
    let project = ran();
    let matrix = "matrix: { c: { set: model.estimator.linear_svc.c, values: [1, 10] } }\n";
    project.write("p.yaml", words_pipeline("", "folds: 3") + matrix);
    project.ok(["run", "p.yaml", "--set", "matrix.c=[3]", "--set", "tfidf.min_df=2", "--out", "set"]);
    project.ok(["run", "p.yaml", "--variant", "c=10", "--out", "some"]);
    project.ok(["verify", "set"]);
    project.ok(["verify", "some"]);
    project.ok(["pack", "set", "--out", "set.tar.gz", "--with-data"]);
    project.ok(["verify", "set.tar.gz"]);
}

#[test]
fn what_was_tampered_with_is_found() {
    let project = ran();
    let tampered = |file: &str, change: &dyn Fn(&str) -> String, said: &str| {
        let before = project.read(file);
        project.write(file, change(&String::from_utf8_lossy(&before)));
        let verified = project.run(["verify", "run"]);
        assert_eq!(verified.code, 7, "{file}: {}", verified.stderr);
        assert!(
            verified.stderr.contains("error[not-repeated]") && verified.stderr.contains(said),
            "{}",
            verified.stderr
        );
        project.write(file, before);
    };
    let summary = project.summary("run");
    let mean = summary["variants"][0]["metrics"]["accuracy"]["mean"].to_string();
    tampered("run/summary.json", &|text| text.replacen(&format!("\"mean\": {mean}"), "\"mean\": 0.123", 1), "metrics");
    let manifest: Value = serde_json::from_slice(&project.read("run/manifest.json")).unwrap();
    let units = manifest["units"].as_array().unwrap();
    let fit = units.iter().find(|unit| unit["stage"] == "tfidf" && unit["phase"] == "fit").unwrap();
    let (part, digest) = fit["parts"].as_object().unwrap().iter().next().unwrap();
    let other = "0".repeat(64);
    tampered(
        "run/manifest.json",
        &|text| text.replace(digest.as_str().unwrap(), &other),
        &format!("`tfidf` fit fold 1 gave other bytes in `{part}`"),
    );
    let predictions = project.read("run/predictions.parquet");
    project.ok(["run", "p.yaml", "--set", "model.estimator.linear_svc.c=0.00001", "--out", "other"]);
    project.write("run/predictions.parquet", project.read("other/predictions.parquet"));
    let verified = project.run(["verify", "run"]);
    assert_eq!(verified.code, 7);
    assert!(verified.stderr.contains("`predictions.parquet` is not what it was"), "{}", verified.stderr);
    project.write("run/predictions.parquet", predictions);
    project.ok(["verify", "run"]);
}

#[test]
fn other_data_than_the_run_read_are_told_before_anything_runs() {
    let project = ran();
    project.write("data.csv", snippets(62));
    let verified = project.run(["verify", "run"]);
    assert_eq!(verified.code, 7);
    assert!(
        verified.stderr.contains("error[input-changed]") && verified.stderr.contains("`data.csv` changed"),
        "{}",
        verified.stderr
    );
}

#[test]
fn another_numeric_class_is_compared_within_tolerances() {
    let project = ran();
    let class = project.summary("run")["numeric"]["libm"].as_str().unwrap().to_owned();
    let lock = String::from_utf8(project.read("run/pipeline.lock")).unwrap();
    project.write("run/pipeline.lock", lock.replace(&class, "vax-vms/00000000"));
    let same = project.ok(["verify", "run"]);
    assert!(
        same.stderr.contains("`vax-vms/00000000` then") && same.stderr.contains("the same bits"),
        "{}",
        same.stderr
    );
    // As if the other machine's last bits had been others, all the way to the scores.
    let manifest = String::from_utf8(project.read("run/manifest.json")).unwrap();
    let at = manifest.find("\"parts\"").unwrap() + 40;
    let (head, tail) = manifest.split_at(at);
    let digit = tail.find(|c: char| c.is_ascii_digit()).unwrap();
    let mut bytes = format!("{head}{tail}").into_bytes();
    let place = head.len() + digit;
    bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
    project.write("run/manifest.json", bytes);
    let near = project.ok(["verify", "run"]);
    assert!(
        near.stderr.contains("warning[not-repeated]") && near.stderr.contains("within the tolerances"),
        "{}",
        near.stderr
    );
}

#[test]
fn what_is_no_whole_run_is_refused() {
    let project = ran();
    assert_eq!(project.run(["verify", "nowhere"]).code, 2);
    std::fs::remove_file(project.path("run/manifest.json")).unwrap();
    let lacks = project.run(["verify", "run"]);
    assert_eq!(lacks.code, 2);
    assert!(lacks.stderr.contains("`run` has no `manifest.json`"), "{}", lacks.stderr);
    project.write("broken.tar.gz", "no archive");
    assert_eq!(project.run(["verify", "broken.tar.gz"]).code, 2);
}

#[test]
fn a_packed_run_is_repeated_elsewhere_without_its_data_at_hand() {
    let project = Project::new().file("data/one.csv", snippets(30)).file("data/two.csv", snippets(60));
    let pipeline = words_pipeline("", "folds: 3").replace("source: data.csv, id: id", "source: ../data/*.csv");
    project.write("pipes/p.yaml", pipeline + "matrix: { model.estimator.linear_svc.c: [1, 10] }\n");
    project.ok(["run", "pipes/p.yaml", "--out", "run"]);
    for archive in ["packed.tar.gz", "packed.tar.zst"] {
        project.ok(["pack", "run", "--out", archive, "--with-data"]);
        project.ok(["pack", "run", "--out", "again.tar.gz", "--with-data"]);
        let elsewhere = Project::new().file(archive, project.read(archive));
        let verified = elsewhere.ok(["verify", archive, "--offline"]);
        assert!(verified.stderr.contains("repeated, the same bits"), "{}", verified.stderr);
    }
    assert_eq!(project.read("packed.tar.gz"), project.read("again.tar.gz"));
    // Without its data it needs to be told where they are.
    project.ok(["pack", "run", "--out", "bare.tar.gz"]);
    let elsewhere = Project::new().file("bare.tar.gz", project.read("bare.tar.gz"));
    assert_eq!(elsewhere.run(["verify", "bare.tar.gz"]).code, 2);
    let base = project.path("pipes");
    elsewhere.ok(["verify", "bare.tar.gz", "--base", base.to_str().unwrap()]);
    assert_eq!(project.run(["pack", "run", "--out", "packed.zip"]).code, 2);
}
