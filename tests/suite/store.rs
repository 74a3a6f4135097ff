//! Is the cache sound whatever happens to it: other processes, a killed one, flipped bits, clearing up?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fuseline::table::Digest;
use serde_json::{Value, json};

use crate::support::{Project, Ran, snippets, words_pipeline};

/// What is kept of a run besides its units.
const STATISTICS: u64 = 1;

fn project(rows: usize) -> Project {
    Project::new().file("data.csv", snippets(rows)).file("p.yaml", words_pipeline("ngram_range: [1, 1]", "folds: 3"))
}

fn ran(project: &Project, folder: &str) -> u64 {
    project.summary(folder)["totals"]["ran"].as_u64().unwrap()
}

/// The files in a folder of the cache, and in the folders in it.
fn files(project: &Project, folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![project.path("cache/v2").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The keys of all artifacts in the cache.
fn keys(project: &Project) -> BTreeSet<String> {
    let listed = project.ok(["cache", "ls", "--message-format", "json"]).stdout;
    let key = |line: &str| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
    listed.lines().map(key).collect()
}

/// A lease as a process on another host would leave it.
fn leave_lease(project: &Project, key: &str, token: &str) {
    let owner = json!({ "host": "elsewhere", "pid": 7, "place": null, "started": null, "token": token });
    let note = json!({ "key": key, "owner": owner, "serial": 0 }).to_string();
    let said = note.strip_suffix('}').unwrap();
    let sealed = format!("{said},\"check\":\"{}\"}}\n", Digest::of(said.as_bytes()));
    let folder = project.path("cache/v2/leases/beats");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.parent().unwrap().join(format!("{key}.json")), sealed).unwrap();
}

#[test]
fn several_processes_on_one_cache_run_each_unit_once() {
    let alone = project(200);
    alone.ok(["run", "p.yaml", "--out", "out"]);
    let shared = project(200);
    let outs = ["a", "b", "c", "d"];
    let started: Vec<_> = outs
        .iter()
        .map(|out| {
            let mut command = shared.command();
            command.args(["run", "p.yaml", "--threads", "2", "--out", out]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in started {
        let ended = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
    assert_eq!(outs.iter().map(|out| ran(&shared, out)).sum::<u64>(), ran(&alone, "out"));
    for out in outs {
        let predictions = format!("{out}/predictions.parquet");
        assert_eq!(shared.read(&predictions), alone.read("out/predictions.parquet"));
    }
    shared.ok(["cache", "verify"]);
    for folder in ["leases", "active", "tmp", "damaged"] {
        assert!(files(&shared, folder).is_empty(), "{folder}: {:?}", files(&shared, folder));
    }
}

#[test]
fn what_a_killed_process_held_holds_nobody_up() {
    let project = project(4000);
    let mut left = false;
    for _ in 0..10 {
        let mut command = project.command();
        let mut child = command.args(["run", "p.yaml"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() && !left {
            let folder = project.path("cache/v2/leases");
            let leases = std::fs::read_dir(folder).into_iter().flatten().flatten();
            left = leases.filter(|lease| lease.path().is_file()).count() > 0;
            if left {
                child.kill().unwrap();
            }
        }
        // Nobody has asked how it ended: it is still listed among the processes.
        left = left && files(&project, "leases").len() > 1 && files(&project, "active").len() == 1;
        if left {
            project.ok(["run", "p.yaml", "--out", "out"]);
        }
        child.wait().unwrap();
        if left {
            break;
        }
        project.ok(["cache", "clear"]);
    }
    assert!(left, "no process was caught at work");
    assert_eq!(project.summary("out")["status"], "complete");
    project.ok(["cache", "gc"]);
    assert!(files(&project, "leases").is_empty() && files(&project, "active").is_empty());
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(ran(&project, "again"), 0);
    assert_eq!(project.run(["cache", "verify"]).code, 0);
}

#[test]
fn a_lease_of_another_host_holds_until_its_beat_has_stopped_for_some_seconds() {
    let project = project(60);
    project.ok(["run", "p.yaml"]);
    let of_another = keys(&project);
    project.ok(["cache", "clear"]);
    let token = "ab".repeat(16);
    of_another.iter().for_each(|key| leave_lease(&project, key, &token));
    let beat = project.path("cache/v2/leases/beats").join(format!("{token}.json"));
    let started = Instant::now();
    let beating = Duration::from_secs(4);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            while started.elapsed() < beating {
                std::fs::write(&beat, started.elapsed().as_nanos().to_string()).unwrap();
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        project.ok(["run", "p.yaml", "--out", "out"]);
        started.elapsed()
    });
    assert_eq!(ran(&project, "out") + STATISTICS, of_another.len() as u64);
    assert!(ended > beating + Duration::from_secs(4), "{ended:?}");
    assert!(ended < Duration::from_secs(60), "{ended:?}");
}

#[test]
fn a_flipped_bit_in_any_record_is_found_and_made_good() {
    let project = project(60);
    project.ok(["run", "p.yaml", "--out", "first"]);
    let records = files(&project, "keys");
    records.iter().for_each(|record| flip(record));
    let again = project.ok(["run", "p.yaml", "--out", "again"]);
    assert!(again.stderr.contains("is damaged (its bytes have changed)"), "{}", again.stderr);
    assert!(again.stderr.contains("the run's statistics are worked out again"), "{}", again.stderr);
    assert_eq!(ran(&project, "again") + STATISTICS, records.len() as u64);
    assert_eq!(project.read("first/predictions.parquet"), project.read("again/predictions.parquet"));
    assert_eq!(files(&project, "damaged").len(), records.len());
    project.ok(["run", "p.yaml", "--out", "third"]);
    assert_eq!(ran(&project, "third"), 0);
    for folder in ["keys", "blobs", "last", "runs"] {
        flip(&files(&project, folder)[0]);
        let found = project.run(["cache", "verify"]);
        assert_eq!(found.code, 7, "{folder}: {}", found.stderr);
        assert!(found.stderr.contains("damaged and set aside"), "{}", found.stderr);
        assert_eq!(project.run(["cache", "verify"]).code, 0);
    }
    project.ok(["run", "p.yaml", "--out", "fourth"]);
    assert_eq!(project.read("first/predictions.parquet"), project.read("fourth/predictions.parquet"));
}

#[test]
fn gc_keeps_what_the_last_runs_came_to_and_a_dry_run_says_what_goes() {
    let project = project(60);
    project.ok(["run", "p.yaml", "--out", "first"]);
    let first = keys(&project);
    project.ok(["run", "p.yaml", "--set", "tfidf.norm=l1", "--out", "second"]);
    let both = keys(&project);
    let would = project.ok(["cache", "gc", "--keep-runs", "1", "--dry-run", "--message-format", "json"]).stdout;
    let lines: Vec<Value> = would.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (totals, artifacts) = lines.split_last().unwrap();
    let goes: BTreeSet<String> = artifacts.iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    assert!(!goes.is_empty() && goes.is_subset(&first), "what the second run used stays");
    assert_eq!(keys(&project), both, "a dry run removes nothing");
    let removed = project.ok(["cache", "gc", "--keep-runs", "1", "--message-format", "json"]).stdout;
    let removed: Value = serde_json::from_str(removed.trim()).unwrap();
    assert_eq!(removed["removed"]["bytes"], totals["would_remove"]["bytes"]);
    assert_eq!(both.difference(&keys(&project)).cloned().collect::<BTreeSet<String>>(), goes);
    project.ok(["run", "p.yaml", "--set", "tfidf.norm=l1", "--out", "again"]);
    assert_eq!(ran(&project, "again"), 0);
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(ran(&project, "again") + STATISTICS, goes.len() as u64);
    // A kept run stays whatever the size, and that is said.
    let told = project.ok(["cache", "gc", "--max-size", "1kB"]).stderr;
    assert!(told.contains("more than 1.0 kB: runs that are kept, or go on, need it"), "{told}");
    project.ok(["cache", "gc", "--keep-runs", "0", "--max-size", "0"]);
    assert!(keys(&project).is_empty() && files(&project, "blobs").is_empty());
}

#[test]
fn gc_takes_nothing_away_from_a_run_that_goes_on() {
    let project = project(300);
    project.ok(["run", "p.yaml", "--cache-dir", "other", "--out", "expected"]);
    let over = AtomicBool::new(false);
    let cleared = std::thread::scope(|scope| {
        let clearing = scope.spawn(|| {
            let mut times = 0;
            while !over.load(Ordering::Relaxed) {
                project.ok(["cache", "gc", "--keep-runs", "0", "--max-size", "0"]);
                times += 1;
            }
            times
        });
        for (out, norm) in [("a", "l2"), ("b", "l1"), ("c", "l2")] {
            let done = project.ok(["run", "p.yaml", "--set", &format!("tfidf.norm={norm}"), "--out", out]);
            assert!(!done.stderr.contains("damaged"), "{}", done.stderr);
        }
        over.store(true, Ordering::Relaxed);
        clearing.join().unwrap()
    });
    assert!(cleared > 1, "{cleared}");
    for out in ["a", "c"] {
        assert_eq!(project.read(&format!("{out}/predictions.parquet")), project.read("expected/predictions.parquet"));
    }
    assert_eq!(project.run(["cache", "verify"]).code, 0);
}

#[test]
fn a_share_of_the_units_runs_again_beside_the_cache() {
    let project = project(60);
    let refused = project.run(["cache", "verify", "--recompute", "2%", "p.yaml"]);
    assert!(
        refused.code == 2 && refused.stderr.contains("19 units of this pipeline are not cached"),
        "{}",
        refused.stderr
    );
    project.ok(["run", "p.yaml", "--out", "out"]);
    project.write("q.yaml", "name: q\nstages:\n  rows: { use: ingest, with: { source: data.csv, id: id, text: text, label: label, fold: fold, split: split } }\n  clean: { use: clean, from: rows }\n");
    project.ok(["run", "q.yaml", "--out", "q"]);
    let before = files(&project, "keys");
    let same = project.ok(["cache", "verify", "--recompute", "25%", "p.yaml"]).stderr;
    assert!(same.contains("ran 5 of 19 units again") && same.contains("the same bytes"), "{same}");
    // An artifact that a stage would not make: another one's tables under its key.
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let of_kind = |kind: &str| before.iter().find(|path| read(path)["kind"] == kind).unwrap();
    let mut wrong = read(of_kind("clean"));
    let fold = before.iter().map(|path| read(path)).find(|record| record["phase"] == "split").unwrap();
    wrong["parts"][0]["digest"] = fold["parts"][0]["digest"].clone();
    wrong["parts"][0]["bytes"] = fold["parts"][0]["bytes"].clone();
    wrong.as_object_mut().unwrap().remove("check");
    let said = wrong.to_string();
    let said = said.strip_suffix('}').unwrap();
    let sealed = format!("{said},\"check\":\"{}\"}}\n", Digest::of(said.as_bytes()));
    std::fs::write(of_kind("clean"), sealed).unwrap();
    let other = project.run(["cache", "verify", "--recompute", "100%", "q.yaml"]);
    assert_eq!(other.code, 7, "{}", other.stderr);
    assert!(other.stderr.contains("other bytes"), "{}", other.stderr);
    assert_eq!(files(&project, "keys"), before);
    assert!(files(&project, "tmp").is_empty() && files(&project, "damaged").is_empty());
}

#[test]
fn versions_of_the_format_stand_beside_each_other() {
    let project = project(60);
    project.ok(["run", "p.yaml"]);
    let old = format!("cache/v1/keys/ab/{}.json", "ab".repeat(32));
    project.write(&old, "x".repeat(1000));
    project.write("cache/v1/blobs/ab/x.parquet", "x");
    project.write("cache/v99/keys/x", "");
    project.write("cache/v99/blobs/x", "");
    let stats = project.ok(["cache", "stats"]).stdout;
    assert!(stats.contains("(format 1): 1.0 kB in "), "{stats}");
    project.ok(["cache", "gc"]);
    assert!(project.path(&old).exists());
    let would = project.ok(["cache", "gc", "--old-formats", "--dry-run"]).stderr;
    assert!(would.contains("cache/v1 of an older version, 1.0 kB"), "{would}");
    project.ok(["cache", "gc", "--old-formats"]);
    assert_eq!(["v1", "v2", "v99"].map(|name| project.path("cache").join(name).exists()), [false, true, true]);
    project.ok(["run", "p.yaml", "--out", "again"]);
    assert_eq!(ran(&project, "again"), 0);
}

#[test]
fn sizes_that_say_nothing_are_refused() {
    let project = project(10);
    for size in ["12", "many", "-3GB"] {
        let refused = project.run(["cache", "gc", &format!("--max-size={size}")]);
        assert_eq!(refused.code, 2, "{size}");
        let message =
            format!("`{size}` is no size: write a number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, as in 2GB");
        assert!(refused.stderr.replace('\n', " ").contains(&message), "{}", refused.stderr);
    }
}
