//! Does a run go on, stop, retry and end as it is told, and can one see what it did?

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Project, Ran, snippets, words_pipeline};

fn project() -> Project {
    Project::new().file("data.csv", snippets(60)).file("p.yaml", words_pipeline("", "folds: 3"))
}

/// Two branches: one fails at once (`min_df`), the other is sound.
fn half_broken() -> Project {
    let project = project();
    project.write("p.yaml", words_pipeline("min_df: 50", "folds: 3") + "matrix: { tfidf.min_df: [50, 1] }\n");
    project
}

fn outcomes(project: &Project, folder: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for unit in project.summary(folder)["units"].as_array().unwrap() {
        *counts.entry(unit["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

fn events(project: &Project, folder: &str) -> Vec<Value> {
    let text = String::from_utf8(project.read(&format!("{folder}/events.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'e>(events: &'e [Value], event: &'e str) -> impl Iterator<Item = &'e Value> {
    events.iter().filter(move |line| line["event"] == event)
}

#[test]
fn a_failure_stops_what_has_not_begun_and_keep_going_does_not() {
    let project = half_broken();
    let ran = project.run(["run", "p.yaml", "--threads", "1", "--out", "stopped"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("after the failure nothing new was started"), "{}", ran.stderr);
    let stopped = outcomes(&project, "stopped");
    assert_eq!(stopped["failed"], 1, "{stopped:?}");
    assert!(project.path("stopped/report.html").exists() && project.path("stopped/timeline.html").exists());

    let ran = project.run(["run", "p.yaml", "--keep-going", "--threads", "1", "--out", "kept"]);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("what does not depend on them is done"), "{}", ran.stderr);
    let kept = outcomes(&project, "kept");
    assert!(kept["failed"] == 3 && kept["skipped"] < stopped["skipped"], "{kept:?} {stopped:?}");
    let scored = |summary: Value| {
        let variants = summary["variants"].as_array().unwrap().clone();
        variants.iter().filter(|variant| !variant["metrics"].as_object().unwrap().is_empty()).count()
    };
    assert_eq!((scored(project.summary("stopped")), scored(project.summary("kept"))), (0, 1));
    assert_eq!(project.run(["run", "p.yaml", "-k", "--set", "matrix.tfidf.min_df=[1, 2]"]).code, 0);
}

#[test]
fn a_failed_unit_is_tried_again_as_often_as_told_and_nothing_of_it_is_kept() {
    let project = project();
    project.write("p.yaml", words_pipeline("min_df: 50", "holdout: test"));
    let ran = project.run(["run", "p.yaml", "--retries", "5", "--retries", "tfidf=2", "--out", "out"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("try 3 begins in"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("error[stage-failed]").count(), 1, "{}", ran.stderr);
    let events = events(&project, "out");
    let tries: Vec<u64> = of(&events, "retrying").map(|line| line["attempt"].as_u64().unwrap()).collect();
    assert_eq!(tries, [2, 3]);
    let begun = of(&events, "started").filter(|line| line["stage"] == "tfidf");
    assert_eq!(begun.map(|line| line["attempt"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(project.run(["run", "p.yaml", "--retries", "tfid=2"]).code, 2);
    assert_eq!(project.run(["run", "p.yaml", "--retries", "often"]).code, 2);
}

/// A run that takes some seconds: many words of many texts.
fn slow() -> Project {
    let word = |row: u32, at: u32| format!("w{}", (row.wrapping_mul(2_654_435_761).wrapping_add(at * 40_503)) >> 18);
    let text = |row: u32| (0..16).map(|at| word(row, at)).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = (0..3000).map(|r| format!("r{r},{},{},{},train", text(r), r % 7, r % 3)).collect();
    Project::new()
        .file("data.csv", format!("id,text,label,fold,split\n{}", rows.join("\n")))
        .file("p.yaml", words_pipeline("ngram_range: [1, 3]", "folds: 5"))
}

#[test]
fn a_unit_that_runs_over_its_limit_fails_and_says_who_set_it() {
    let project = slow();
    let ran = project.run(["run", "p.yaml", "--timeout", "tfidf=1ms", "--out", "out"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let said = "it ran longer than its limit of 0.001 s (`--timeout tfidf=1ms`)";
    assert!(ran.stderr.contains(said) && ran.stderr.contains("raise the limit"), "{}", ran.stderr);
    project.write("fuseline.yaml", "limits: { words: { timeout: 1ms, retries: 1 } }\n");
    project.ok(["cache", "clear"]);
    let ran = project.run(["run", "p.yaml", "--out", "out"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("limit of 0.001 s (set in ") && ran.stderr.contains("fuseline.yaml)"),
        "{}",
        ran.stderr
    );
    assert_eq!(of(&events(&project, "out"), "retrying").count(), 1, "a time limit is tried again as well");
    let failed = project.summary("out");
    let failed = failed["units"].as_array().unwrap().iter().find(|unit| unit["outcome"] == "failed").unwrap().clone();
    assert_eq!(failed["stage"], "words");
    assert!(!project.run(["cache", "ls"]).stdout.contains("tokenize"), "what ran over is not kept");
    std::fs::remove_file(project.path("fuseline.yaml")).unwrap();
    assert_eq!(project.run(["run", "p.yaml", "--timeout", "soon"]).code, 2);
}

#[cfg(unix)]
mod signals {
    use super::*;

    fn start(project: &Project) -> Child {
        let mut command = project.command();
        command.args(["run", "p.yaml", "--threads", "1", "--out", "out", "--progress", "plain"]);
        command.stderr(Stdio::piped()).spawn().unwrap()
    }

    fn wait_for(project: &Project, what: &str) {
        let log = project.path("out/events.jsonl");
        let since = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|text| text.contains(what)) {
            assert!(since.elapsed() < Duration::from_secs(120), "{what} does not come");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn send(signal: &str, child: &Child) {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }

    #[test]
    fn a_signal_ends_the_run_with_a_partial_report_and_the_next_goes_on() {
        for signal in ["-INT", "-TERM", "-HUP"] {
            let project = slow();
            let child = start(&project);
            wait_for(&project, "\"title\":\"tfidf fit fold");
            send(signal, &child);
            let ran = Ran::from(child.wait_with_output().unwrap());
            assert_eq!(ran.code, 5, "{signal}: {}", ran.stderr);
            assert!(ran.stderr.contains("interrupted: what is finished is cached"), "{signal}: {}", ran.stderr);
            let summary = project.summary("out");
            assert_eq!(summary["status"], "interrupted");
            for file in ["report.html", "trace.json", "timeline.html"] {
                assert!(project.path("out").join(file).exists(), "{signal}: {file}");
            }
            assert_eq!(of(&events(&project, "out"), "stopping").count(), 1);
            let before = outcomes(&project, "out")["ran"];
            if signal == "-INT" {
                project.ok(["run", "p.yaml", "--out", "out"]);
                assert!(outcomes(&project, "out")["reused"] >= before, "{signal}");
            }
        }
    }

    #[test]
    fn the_second_signal_ends_the_run_at_once_and_breaks_nothing() {
        let project = slow();
        let mut child = start(&project);
        wait_for(&project, "\"title\":\"tfidf fit fold");
        send("-INT", &child);
        send("-INT", &child);
        assert_eq!(child.wait().unwrap().code(), Some(5));
        project.ok(["run", "p.yaml", "--out", "out"]);
        assert_eq!(project.summary("out")["status"], "complete");
    }
}

#[test]
fn a_trace_has_lanes_on_which_no_two_units_overlap() {
    let project = project();
    project.write("p.yaml", words_pipeline("", "folds: 3") + "matrix: { tfidf.min_df: [1, 2, 3] }\n");
    project.ok(["run", "p.yaml", "--threads", "3", "--out", "out"]);
    let trace: Value = serde_json::from_slice(&project.read("out/trace.json")).unwrap();
    let mut lanes: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for event in trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X") {
        let (ts, dur) = (event["ts"].as_u64().unwrap(), event["dur"].as_u64().unwrap());
        lanes.entry(event["tid"].as_u64().unwrap()).or_default().push((ts, ts + dur));
    }
    let ran = outcomes(&project, "out")["ran"];
    assert_eq!(lanes.values().map(Vec::len).sum::<usize>(), ran);
    for (lane, spans) in &mut lanes {
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "lane {lane}: {spans:?}");
    }
    project.ok(["run", "p.yaml", "--threads", "3", "--out", "again"]);
    let trace: Value = serde_json::from_slice(&project.read("again/trace.json")).unwrap();
    let hits = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "i").count();
    assert_eq!(hits, outcomes(&project, "again")["reused"]);
    let page = String::from_utf8(project.read("again/timeline.html")).unwrap();
    assert!(page.contains("reused") && !page.contains("://"), "nothing is loaded from elsewhere");
}

#[test]
fn every_event_is_as_the_schema_says() {
    let project = half_broken();
    project.run(["run", "p.yaml", "-k", "--retries", "1", "--out", "out"]);
    let schema: Value = serde_json::from_str(&project.ok(["schema", "events"]).stdout).unwrap();
    let all = events(&project, "out");
    for name in ["planned", "started", "retrying", "finished", "trouble"] {
        assert!(of(&all, name).next().is_some(), "{name}");
    }
    for line in &all {
        let fits: Vec<String> =
            variants(&schema).into_iter().filter_map(|variant| misfit(&schema, variant, line).err()).collect();
        assert!(fits.len() < variants(&schema).len(), "{line}\n{}", fits.join("\n"));
    }
    assert!(of(&all, "finished").filter(|line| line["outcome"] == "ran").all(|line| line["lane"].is_u64()));
}

fn variants(schema: &Value) -> Vec<&Value> {
    schema["oneOf"].as_array().unwrap().iter().collect()
}

/// Whether a line has what a variant of the schema requires, of the types that it says, and nothing else.
fn misfit(schema: &Value, variant: &Value, line: &Value) -> Result<(), String> {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    let mut required: Vec<String> = Vec::new();
    let mut collect = |part: &Value| {
        for (name, field) in part["properties"].as_object().into_iter().flatten() {
            known.insert(name.clone(), field.clone());
        }
        required
            .extend(part["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()));
    };
    collect(schema);
    collect(variant);
    if let Some(name) = variant["$ref"].as_str().and_then(|way| way.rsplit('/').next()) {
        collect(&schema["$defs"][name]);
    }
    for name in &required {
        line.get(name).ok_or_else(|| format!("no `{name}`"))?;
    }
    for (name, value) in line.as_object().unwrap() {
        let field = known.get(name).ok_or_else(|| format!("`{name}` is not known"))?;
        if field.get("const").is_some_and(|constant| constant != value) {
            return Err(format!("`{name}` is {value}"));
        }
        let kinds: Vec<&str> = match &field["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => continue,
        };
        let fits = |kind: &&str| match *kind {
            "integer" => value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "null" => value.is_null(),
            _ => true,
        };
        if !kinds.iter().any(fits) {
            return Err(format!("`{name}` is {value}, not {kinds:?}"));
        }
    }
    Ok(())
}

#[test]
fn a_plan_says_how_long_it_will_take_once_something_like_it_has_run() {
    let project = project();
    let before = project.ok(["plan", "p.yaml"]).stdout;
    assert!(before.contains("how long that takes is unknown"), "{before}");
    project.ok(["run", "p.yaml"]);
    let after = project.ok(["plan", "p.yaml", "--set", "tfidf.min_df=3", "--threads", "2"]).stdout;
    assert!(after.contains(" of work, ") && after.contains(" on 2 threads; "), "{after}");
    let json = project.ok(["plan", "p.yaml", "--set", "tfidf.min_df=3", "--format", "json"]).stdout;
    let estimate = serde_json::from_str::<Value>(&json).unwrap()["estimate"].clone();
    assert!(estimate["work"].as_f64().unwrap() > 0.0 && estimate["bytes"].as_u64().unwrap() > 0, "{estimate}");
    assert!(estimate["wall"].as_f64().unwrap() <= estimate["work"].as_f64().unwrap(), "{estimate}");
    // The record of times is damaged: estimates are lost, and nothing else.
    let record = std::fs::read_dir(project.path("cache")).unwrap();
    let record = record.map(|entry| entry.unwrap().path().join("timings.json")).find(|path| path.exists()).unwrap();
    std::fs::write(&record, "{}").unwrap();
    assert!(project.ok(["plan", "p.yaml", "--set", "tfidf.min_df=3"]).stdout.contains("unknown"));
    project.ok(["run", "p.yaml", "--set", "tfidf.min_df=3"]);
}

#[test]
fn one_unit_always_may_run_however_little_memory_there_is() {
    let project = project();
    project.ok(["run", "p.yaml", "--memory", "1MB", "--threads", "3", "--out", "out"]);
    let mut at_work = 0;
    for line in events(&project, "out") {
        match line["event"].as_str().unwrap() {
            "started" => at_work += 1,
            "finished" if line["outcome"] == "ran" => at_work -= 1,
            _ => {}
        }
        assert!(at_work <= 1, "{line}");
    }
    assert_eq!(project.run(["run", "p.yaml", "--memory", "lots"]).code, 2);
}

#[test]
fn a_unit_that_another_process_makes_is_waited_for() {
    let project = slow();
    let run = |out: &str| {
        let mut command = project.command();
        command.args(["run", "p.yaml", "--threads", "1", "--out", out, "--progress", "plain"]);
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = [run("one"), run("two")];
    let ended: Vec<Ran> = children.map(|child| Ran::from(child.wait_with_output().unwrap())).into();
    assert!(ended.iter().all(|ran| ran.code == 0), "{} {}", ended[0].stderr, ended[1].stderr);
    let all = outcomes(&project, "one").values().sum::<usize>();
    let ran = |out: &str| outcomes(&project, out).get("ran").copied().unwrap_or(0);
    assert_eq!(ran("one") + ran("two"), all, "each unit ran once");
    let waited = |out: &str| of(&events(&project, out), "waiting").count();
    assert!(waited("one") + waited("two") > 0);
    assert!(ended.iter().any(|ran| ran.stderr.contains("waiting for process ")), "{}", ended[1].stderr);
    assert_eq!(project.read("one/predictions.parquet"), project.read("two/predictions.parquet"));
}
