//! Does a gate fail for the right reason only? A pull request in a repository of its own; baselines, reports, runs.

use std::process::Command;

use serde_json::Value;

use crate::support::{Project, Ran, skipped, snippets, words_pipeline};

const ROWS: usize = 2000;

/// Rows with three texts each: one of ten tells the wrong class in `a`; three of a hundred more in `b`; in `c` as many and two
/// more as in `a`, but 60 others.
fn rows() -> String {
    let mut csv = "id,label,a,b,c\n".to_owned();
    for row in 0..ROWS {
        let label = ["positive", "negative"][row % 2];
        let told = |wrong: bool| if (row % 2 == 0) != wrong { "lovely" } else { "awful" };
        let wrong = |text: char| match (text, row) {
            ('a', row) => row < 200,
            ('b', row) => row < 260,
            // of the 200, 29 are told right, and 31 of the others wrong
            (_, row) => (29..231).contains(&row),
        };
        let text = |column: char| format!("a {} film that many have seen", told(wrong(column)));
        csv.push_str(&format!("r{row},{label},{},{},{}\n", text('a'), text('b'), text('c')));
    }
    csv
}

fn pipeline(text: &str) -> String {
    format!(
        "name: words
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: {text}, label: label }} }}
  tfidf: {{ use: tfidf, from: rows }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ linear_svc: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: 2, metrics: [accuracy, f1_macro] }} }}
gates:
  quality: {{ metric: accuracy, min_delta: -0.005 }}
  floor: {{ metric: f1_macro, min: 0.8 }}
"
    )
}

fn git<const N: usize>(project: &Project, args: [&str; N]) {
    let mut command = Command::new("git");
    command.current_dir(project.path(".")).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let told = command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args).output().unwrap();
    assert!(told.status.success(), "{args:?}: {}", String::from_utf8_lossy(&told.stderr));
}

fn has_git() -> bool {
    let there = Command::new("git").arg("--version").output().is_ok_and(|told| told.status.success());
    if !there {
        skipped("no git");
    }
    there
}

/// A repository whose branch `main` has a pipeline and its baseline.
fn repository() -> Project {
    let project =
        Project::new().file("data.csv", rows()).file("p.yaml", pipeline("a")).file(".gitignore", "cache\nruns\n");
    let first = project.ok(["gate", "p.yaml", "--update"]);
    assert!(first.stderr.contains("the baseline is written: p.baseline.json"), "{}", first.stderr);
    git(&project, ["init", "-q", "-b", "main"]);
    git(&project, ["add", "."]);
    git(&project, ["commit", "-q", "-m", "a baseline"]);
    git(&project, ["checkout", "-q", "-b", "change"]);
    project
}

fn report(project: &Project) -> Value {
    serde_json::from_slice(&project.read("report.json")).unwrap()
}

fn against_main(project: &Project) -> Ran {
    project.run(["gate", "p.yaml", "--baseline", "main", "--emit", "github", "--emit", "json=report.json"])
}

#[test]
fn a_pull_request_fails_for_the_right_reason_only() {
    if !has_git() {
        return;
    }
    let project = repository();
    let unchanged = against_main(&project);
    assert_eq!((unchanged.code, unchanged.stdout.as_str()), (0, ""), "{}", unchanged.stderr);
    assert_eq!(project.summary("runs/words")["totals"]["ran"], 0, "all came from the cache");
    assert_eq!(report(&project)["gates"][0]["reason"], "the predictions are the same");

    project.write("p.yaml", pipeline("b"));
    let worse = against_main(&project);
    assert_eq!(worse.code, 1, "{}", worse.stderr);
    let [only] = worse.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{}", worse.stdout) };
    assert!(only.starts_with("::error file=p.yaml,line=8,col=3,title=fail%3A quality%3A accuracy"), "{only}");
    assert!(only.contains("60 of 2000 predictions changed"), "{only}");
    assert!(worse.stderr.contains("error[gate-failed]") && worse.stderr.contains("--> p.yaml:8:3"), "{}", worse.stderr);
    let gate = &report(&project)["gates"][0];
    assert!((gate["change"].as_f64().unwrap() + 0.03).abs() < 1e-9 && gate["p"].as_f64().unwrap() < 1e-9, "{gate}");
    assert_eq!(report(&project)["gates"][1]["verdict"], "pass");

    project.write("p.yaml", pipeline("c"));
    let hardly = against_main(&project);
    assert_eq!(hardly.code, 10, "{}", hardly.stderr);
    let gate = &report(&project)["gates"][0];
    assert_eq!((&gate["verdict"], &gate["changed_rows"]), (&Value::from("inconclusive"), &Value::from(60)));
    assert!((gate["change"].as_f64().unwrap() + 0.001).abs() < 1e-9, "{gate}");
    assert!(hardly.stdout.starts_with("::error file=p.yaml,line=8"), "{}", hardly.stdout);
    let lenient = project.run(["gate", "p.yaml", "--inconclusive", "pass", "--emit", "github=-"]);
    assert_eq!(lenient.code, 0, "{}", lenient.stderr);
    assert!(lenient.stdout.starts_with("::warning file=p.yaml,line=8"), "{}", lenient.stdout);
    assert_eq!(project.run(["gate", "p.yaml", "--inconclusive", "fail"]).code, 1);

    project.write("p.yaml", pipeline("a"));
    project.write("data.csv", rows().replacen("r7,negative,", "r7,positive,", 1));
    let other = against_main(&project);
    assert_eq!(other.code, 1, "{}", other.stderr);
    assert!(other.stderr.contains("other data: `data.csv` changed, sha256:"), "{}", other.stderr);
    assert_eq!(report(&project)["gates"][0]["verdict"], "incomparable");

    project.write("data.csv", rows());
    project.write("p.yaml", pipeline("a").replace("name: words\n", "name: words\nseed: 7\n"));
    let folds = against_main(&project);
    assert!(folds.code == 1 && folds.stderr.contains("other splits"), "{}", folds.stderr);
    // the change that is meant brings its baseline with it
    project.ok(["gate", "p.yaml", "--update"]);
    project.ok(["gate", "p.yaml"]);
}

#[test]
fn a_baseline_is_small_and_is_written_whole_and_only_when_it_changes() {
    let project = Project::new().file("data.csv", rows()).file("p.yaml", pipeline("a"));
    let none = project.run(["gate", "p.yaml"]);
    assert!(none.code == 2 && none.stderr.contains("error[no-baseline]"), "{}", none.stderr);
    assert!(!project.path("runs").exists(), "nothing ran");
    project.ok(["gate", "p.yaml", "--update"]);
    let text = String::from_utf8(project.read("p.baseline.json")).unwrap();
    assert!(text.len() < 3000, "{} bytes: {text}", text.len());
    let again = project.ok(["gate", "p.yaml", "--update"]);
    assert!(again.stderr.contains("the baseline is as it was"), "{}", again.stderr);
    assert_eq!(project.read("p.baseline.json"), text.as_bytes());
    project.write("p.baseline.json", text.replace("\"format\": 1", "\"format\": 2"));
    let newer = project.run(["gate", "p.yaml"]);
    assert!(newer.code == 2 && newer.stderr.contains("form 2"), "{}", newer.stderr);
    project.ok(["gate", "p.yaml", "--update", "--baseline", "kept/other.json"]);
    assert_eq!(project.read("kept/other.json"), text.as_bytes());
}

#[test]
fn runs_and_summaries_are_baselines_too() {
    let project = Project::new().file("data.csv", rows()).file("p.yaml", pipeline("a"));
    project.ok(["run", "p.yaml", "--out", "before"]);
    std::fs::copy(project.path("before/summary.json"), project.path("alone.json")).unwrap();
    project.write("p.yaml", pipeline("b"));
    for (baseline, method) in [("before", "McNemar"), ("before/summary.json", "McNemar"), ("alone.json", "independent")]
    {
        let ran = project.run(["gate", "p.yaml", "--baseline", baseline, "--emit", "json=report.json"]);
        let gate = &report(&project)["gates"][0];
        assert!(gate["method"].as_str().unwrap().contains(method), "{baseline}: {gate} {}", ran.stderr);
    }
    for (wrong, said) in
        [("nowhere", "there is no baseline"), ("-x", "begins with `-`"), ("nowhere.json", "there is no baseline")]
    {
        let refused = project.run(["gate", "p.yaml", &format!("--baseline={wrong}")]);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{wrong}: {}", refused.stderr);
    }
}

#[test]
fn flags_stand_above_gates_on_changes() {
    let project = Project::new().file("data.csv", rows()).file("p.yaml", pipeline("a"));
    project.ok(["gate", "p.yaml", "--update"]);
    project.write("p.yaml", pipeline("b"));
    let lenient =
        project.run(["gate", "p.yaml", "--metric", "f1_macro", "--min-delta", "-0.05", "--emit", "json=report.json"]);
    assert_eq!(lenient.code, 0, "{}", lenient.stderr);
    let gates: Vec<String> = report(&project)["gates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gate| gate["gate"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(gates, ["f1_macro", "floor"]);
    let strict = project.run(["gate", "p.yaml", "--min-delta", "-0.03", "--emit", "github"]);
    assert_eq!(strict.code, 10, "{}", strict.stderr);
    assert!(strict.stdout.contains("line=6,"), "without a line of its own, that of `scores`: {}", strict.stdout);
    let cost =
        project.run(["gate", "p.yaml", "--set", "gates.quality=null", "--set", "gates.ran={cost: units_ran, max: 0}"]);
    assert_eq!(cost.code, 0, "{}", cost.stderr);
    project.write("p.yaml", pipeline("b").replace("metric: f1_macro", "metric: f1_marco"));
    let misspelt = project.run(["check", "p.yaml"]);
    assert!(misspelt.code == 2 && misspelt.stderr.contains("did you mean `f1_macro`?"), "{}", misspelt.stderr);
    project.write("p.yaml", pipeline("b"));
    for (flag, said) in [("--metric=f1", "did you mean `f1_macro`?"), ("--confidence=2", "between 0 and 1")] {
        let refused = project.run(["gate", "p.yaml", flag]);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{flag}: {}", refused.stderr);
    }
}

#[test]
fn every_form_is_written_and_labels_break_none() {
    let project = Project::new().file("data.csv", snippets(60));
    let nasty = r#"matrix: { c: { set: model.estimator.linear_svc.c, values: { "::error::x|<b>`\u202e": 1, "]]>\n%0A": 2 } } }"#;
    project.write("p.yaml", words_pipeline("", "folds: 3") + nasty + "\nexpect: { rows: \">= 100\" }\n");
    let summary = project.path("step.md");
    let mut command = project.command();
    command.env("GITHUB_STEP_SUMMARY", &summary).args(["run", "p.yaml"]);
    command.args([
        "--emit",
        "junit=out/j.xml",
        "--emit",
        "gitlab=q.json",
        "--emit",
        "markdown=m.md",
        "--emit",
        "github",
    ]);
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("::error file=p.yaml,line=") && ran.stdout.lines().count() == 1, "{}", ran.stdout);
    let read = |name: &str| String::from_utf8(project.read(name)).unwrap();
    let junit = read("out/j.xml");
    assert!(
        junit.contains("<testsuite name=\"units\"") && junit.contains("<testsuite name=\"variants\" tests=\"2\""),
        "{junit}"
    );
    assert!(!junit.contains("<b>") && junit.contains("&lt;b&gt;") && junit.contains("failures=\"1\""), "{junit}");
    let quality: Value = serde_json::from_str(&read("q.json")).unwrap();
    assert_eq!(quality[0]["location"]["path"], "p.yaml");
    assert_eq!(read("step.md"), read("m.md"));
    assert!(!read("m.md").contains("<b>") && !read("m.md").contains('\u{202e}'));
    let refused = project.run(["run", "p.yaml", "--emit", "junit"]);
    assert!(refused.code == 2 && refused.stderr.contains("junit=FILE"), "{}", refused.stderr);
}

#[test]
fn what_failed_is_told_in_every_form_and_no_gate_is_judged() {
    let project = Project::new().file("sub/data.csv", rows());
    project.write(
        "sub/p.yaml",
        pipeline("a").replace("use: tfidf, from: rows", "use: tfidf, from: rows, with: { min_df: 5000 }"),
    );
    project.write("p.baseline.json", "{}");
    let mut command = project.command();
    command.current_dir(project.path("sub")).env("GITHUB_WORKSPACE", project.path("."));
    command.args(["gate", "p.yaml", "--set", "gates.quality=null", "--emit", "github", "--emit", "junit=j.xml"]);
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let annotations: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        !annotations.is_empty() && annotations.iter().all(|line| line.starts_with("::error file=sub/p.yaml,line="))
    );
    assert!(annotations.iter().any(|line| line.contains("title=tfidf fit fold 1 failed::")), "{}", ran.stdout);
    let junit = String::from_utf8(project.read("sub/j.xml")).unwrap();
    assert!(
        junit.contains("<error type=\"failed\"") && junit.contains("<skipped") && !junit.contains("\"gates\""),
        "{junit}"
    );
}

#[test]
fn runs_are_listed_shown_and_removed() {
    let project = Project::new().file("data.csv", rows());
    for (text, out) in [("b", "runs/one"), ("a", "runs/two")] {
        project.write("p.yaml", pipeline(text));
        project.ok(["run", "p.yaml", "--out", out]);
    }
    project.write("runs/two/notes.txt", "mine");
    let list = project.ok(["runs", "ls"]).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines[1].starts_with("runs/two") && lines[1].contains("accuracy 0.9000"), "the latest first: {list}");
    assert!(lines[2].starts_with("runs/one") && lines[2].contains("accuracy 0.8700"), "{list}");
    assert!(list.contains("words accuracy  ▁█  0.8700 to 0.9000 over 2 runs"), "{list}");
    let json = project.ok(["runs", "ls", "--metric", "f1_macro", "--message-format", "json"]).stdout;
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["folder"], &first["best"]["metric"]), (&Value::from("runs/two"), &Value::from("f1_macro")));
    assert!(project.ok(["runs", "show", "runs/one"]).stdout.contains("data.csv"));
    assert_eq!(project.run(["runs", "rm", "runs/one", "data.csv"]).code, 2);
    project.ok(["runs", "rm", "runs/one", "-n"]);
    assert!(project.path("runs/one/summary.json").exists());
    let gone = project.ok(["runs", "rm", "runs/one", "runs/two"]);
    assert!(gone.stderr.contains("1 file that no run writes stay"), "{}", gone.stderr);
    assert!(!project.path("runs/one").exists() && project.read("runs/two/notes.txt") == b"mine");
    assert!(!project.path("runs/two/summary.json").exists());
}

#[test]
fn costs_are_held_to_those_of_the_baseline() {
    let costs = |max_ratio: &str| {
        pipeline("a").split("gates:").next().unwrap().to_owned()
            + &format!(
                "gates:\n  size: {{ cost: units, max_ratio: {max_ratio} }}\n  wall: {{ cost: seconds, max_ratio: 1000000 }}\n"
            )
    };
    let project = Project::new().file("data.csv", rows()).file("p.yaml", costs("1"));
    let none = project.run(["gate", "p.yaml"]);
    assert!(none.code == 2 && none.stderr.contains("error[no-baseline]"), "{}", none.stderr);
    project.ok(["gate", "p.yaml", "--update"]);
    let kept: Value = serde_json::from_slice(&project.read("p.baseline.json")).unwrap();
    let names: Vec<&String> = kept["costs"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["seconds", "units", "units_ran"]);
    let units = kept["costs"]["units"].as_f64().unwrap();
    project.ok(["gate", "p.yaml"]);
    // one fold more is one unit more of each kind
    project.write("p.yaml", costs("1.1").replace("folds: 2", "folds: 3"));
    let dearer =
        project.run(["gate", "p.yaml", "--emit", "junit=j.xml", "--emit", "json=report.json", "--emit", "markdown=-"]);
    assert_eq!(dearer.code, 1, "{}", dearer.stderr);
    let gate = &report(&project)["gates"][0];
    assert_eq!((&gate["verdict"], &gate["old"]), (&Value::from("fail"), &Value::from(units)));
    let ratio = gate["ratio"].as_f64().unwrap();
    assert!(ratio > 1.2 && (ratio - gate["new"].as_f64().unwrap() / units).abs() < 1e-9, "{gate}");
    let junit = String::from_utf8(project.read("j.xml")).unwrap();
    assert!(junit.contains("<property name=\"ratio\"") && junit.contains("<failure"), "{junit}");
    assert!(
        dearer.stdout.contains("more than is let through") && dearer.stdout.contains("× the baseline"),
        "{}",
        dearer.stdout
    );
    assert!(dearer.stderr.contains("error[gate-failed]: `size` does not hold"), "{}", dearer.stderr);
    assert!(dearer.stderr.contains("write the baseline anew with `--update`"), "{}", dearer.stderr);
    // without the gate nothing of the clock is kept
    project.write("p.yaml", pipeline("a"));
    project.ok(["gate", "p.yaml", "--update"]);
    assert!(!String::from_utf8(project.read("p.baseline.json")).unwrap().contains("costs"));
}

#[test]
fn a_metric_is_drawn_over_runs_and_other_data_break_its_line() {
    let project = Project::new().file("data.csv", rows());
    for (text, out) in [("b", "runs/one"), ("a", "runs/two"), ("c", "runs/three")] {
        project.write("p.yaml", pipeline(text));
        project.ok(["run", "p.yaml", "--out", out]);
    }
    let drawn = project.ok(["runs", "ls", "--plot", "plots/trend.html"]);
    assert!(drawn.stderr.contains("drawn: plots/trend.html"), "{}", drawn.stderr);
    let page = |name: &str| String::from_utf8(project.read(name)).unwrap();
    let whole = page("plots/trend.html");
    assert_eq!((whole.matches("<polyline").count(), whole.matches("class=\"part spot").count()), (1, 3));
    assert!(whole.contains("accuracy 0.8700, 95% interval") && !whole.contains("not joined"), "{whole}");
    project.write("data.csv", rows().lines().take(1801).map(|line| format!("{line}\n")).collect::<String>());
    project.ok(["run", "p.yaml", "--out", "runs/four"]);
    let list = project.ok(["runs", "ls", "--metric", "f1_macro", "--plot", "plots/trend.html"]).stdout;
    assert!(list.contains("╎") && list.contains("╎: other data or splits from here on"), "{list}");
    let broken = page("plots/trend.html");
    assert_eq!((broken.matches("<polyline").count(), broken.matches("class=\"part spot").count()), (1, 4));
    assert!(broken.contains("words in runs/four") && broken.contains("other data than before, so not joined"));
    let unknown = project.run(["runs", "ls", "--metric", "f1", "--plot", "no.html"]);
    assert_eq!((unknown.code, project.path("no.html").exists()), (2, false));
    assert!(unknown.stderr.contains("error[unknown-metric]: no run here has the metric `f1`"), "{}", unknown.stderr);
    let nothing = project.run(["runs", "ls", "plots", "--plot", "no.html"]);
    assert!(
        nothing.code == 2 && nothing.stderr.contains("there are no runs with scores to draw"),
        "{}",
        nothing.stderr
    );
}

#[test]
fn a_difference_of_runs_says_how_sure_it_is() {
    let project = Project::new().file("data.csv", rows());
    for (text, out) in [("a", "one"), ("b", "two")] {
        project.write("p.yaml", pipeline(text));
        project.ok(["run", "p.yaml", "--out", out]);
    }
    let text = project.ok(["diff", "one", "two"]).stdout;
    assert!(text.contains("95% interval") && text.contains("<0.001"), "{text}");
    let diff: Value =
        serde_json::from_str(&project.ok(["diff", "one", "two", "--message-format", "json"]).stdout).unwrap();
    let metric =
        &diff["metrics"].as_array().unwrap().iter().find(|metric| metric["metric"] == "accuracy").unwrap()["paired"];
    assert!((metric["delta"].as_f64().unwrap() + 0.03).abs() < 1e-9, "{metric}");
    assert!(metric["ci95"][1].as_f64().unwrap() < 0.0 && metric["p"].as_f64().unwrap() < 1e-9, "{metric}");
}

#[test]
fn a_broken_baseline_is_written_anew_and_what_can_be_emitted_is() {
    let project = Project::new().file("data.csv", snippets(60)).file("p.yaml", words_pipeline("", "folds: 2"));
    for broken in ["", "{", "<<<<<<< HEAD\n"] {
        project.write("p.baseline.json", broken);
        let out = project.run(["gate", "p.yaml"]);
        assert_eq!(out.code, 2, "{}", out.stderr);
        let out = project.run(["gate", "p.yaml", "--update"]);
        assert!(out.code == 0 && out.stderr.contains("it is written anew"), "{}", out.stderr);
        project.ok(["gate", "p.yaml"]);
    }
    // a file that is named and is no baseline is none that may be replaced
    project.write("data.json", "[1, 2]");
    assert_eq!(project.run(["gate", "p.yaml", "--update", "--baseline", "data.json"]).code, 2);
    assert_eq!(project.read("data.json"), b"[1, 2]");
    // what stands in the way of one report takes no other with it
    project.write("file", "");
    let out = project.run(["run", "p.yaml", "--emit", "json=file/x.json", "--emit", "junit=j.xml"]);
    assert!(out.code == 3 && out.stderr.contains("cannot write `file/x.json`"), "{}", out.stderr);
    assert!(String::from_utf8(project.read("j.xml")).unwrap().starts_with("<?xml"));
    // through a link
    #[cfg(unix)]
    {
        let path = |name: &str| project.path(name);
        project.write("kept/real.json", "{");
        std::fs::remove_file(path("p.baseline.json")).unwrap();
        std::os::unix::fs::symlink(path("kept/real.json"), path("p.baseline.json")).unwrap();
        project.run(["gate", "p.yaml", "--update"]);
        assert!(path("p.baseline.json").is_symlink() && project.read("kept/real.json").len() > 100);
    }
}

#[test]
fn variants_are_held_against_those_of_their_label() {
    let noisy: String = snippets(300)
        .lines()
        .enumerate()
        .map(|(row, line)| match row % 9 {
            4 => {
                line.replace(",positive,", ",\u{0}").replace(",negative,", ",positive,").replace(",\u{0}", ",negative,")
                    + "\n"
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let of = |small: &str, large: &str| {
        words_pipeline("", "folds: 2").replace("linear_svc: {}", "logistic_regression: {}")
            + &format!(
                "matrix:\n  size: {{ set: model.estimator.logistic_regression.c, values: {{ small: {small}, large: {large} }} }}
gates:\n  ship: {{ metric: log_loss, min_delta: -0.01, variant: size=large }}\n"
            )
    };
    let project = Project::new().file("data.csv", noisy).file("p.yaml", of("0.0001", "1"));
    project.ok(["gate", "p.yaml", "--update"]);
    project.ok(["gate", "p.yaml"]);
    // what is called large is now what was called small
    project.write("p.yaml", of("1", "0.0001"));
    let out = project.run(["gate", "p.yaml"]);
    assert_eq!(out.code, 1, "{}", out.stderr);
    // another name for the same variant is no other variant
    project.write("p.yaml", of("0.0001", "1").replace("large", "big"));
    let out = project.run(["gate", "p.yaml", "--emit", "json=g.json"]);
    assert_eq!(out.code, 0, "{}", out.stderr);
    assert!(String::from_utf8(project.read("g.json")).unwrap().contains("held against `size=large`"));
    // a run that did not end is no baseline
    let summary = project.read("runs/words/summary.json");
    let cut = String::from_utf8(summary).unwrap().replace("\"status\": \"complete\"", "\"status\": \"interrupted\"");
    project.write("runs/words/summary.json", cut);
    let out = project.run(["gate", "p.yaml", "--out", "other", "--baseline", "runs/words"]);
    assert!(out.code == 2 && out.stderr.contains("did not end"), "{}", out.stderr);
}
