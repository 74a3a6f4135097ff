//! Is anything lost when processes are killed, disks fill up, bits flip, and many run at once?
//!
//! A short form always runs. `FUSELINE_TORTURE=N` tries N moments, and as many sizes of a disk.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Project, skipped, snippets, words_pipeline};

/// No lease of a dead process may hold anybody up for longer; what a run itself takes comes on top.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many moments to try: as the environment says, or a few.
fn moments(few: u64) -> u64 {
    std::env::var("FUSELINE_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(few)
}

/// Numbers that are the same in every run of the test (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % bound.max(1)
    }

    fn moment(&mut self, within: Duration) -> Duration {
        Duration::from_micros(self.below(within.as_micros() as u64))
    }
}

/// Six variants over three folds.
fn sweep() -> Project {
    let matrix = "matrix:\n  tfidf.ngram_range: [[1, 1], [1, 2]]\n  model.estimator.linear_svc.c: [0.1, 1, 10]\n";
    Project::new().file("data.csv", snippets(300)).file("p.yaml", words_pipeline("", "folds: 3") + matrix)
}

/// Runs the sweep undisturbed, in a cache of its own: its predictions, and how long it took.
fn undisturbed(project: &Project) -> (Vec<u8>, Duration) {
    let started = Instant::now();
    project.ok(["run", "p.yaml", "--cache-dir", "undisturbed", "--out", "expected"]);
    (project.read("expected/predictions.parquet"), started.elapsed())
}

fn start(project: &Project, args: &[&str]) -> Child {
    project.command().args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Starts a command and kills it (SIGKILL) after a while.
fn killed(project: &Project, args: &[&str], after: Duration) {
    let mut child = start(project, args);
    std::thread::sleep(after);
    // It may have ended by itself.
    drop(child.kill());
    child.wait().unwrap();
}

/// A cache that has seen trouble is whole: nothing in it is damaged, a run succeeds soon, and its answer is the same bits.
fn is_whole(project: &Project, cache: &str, expected: &[u8], usual: Duration) {
    let verified = project.run(["cache", "verify", "--cache-dir", cache]);
    assert_eq!(verified.code, 0, "{cache}: {}{}", verified.stdout, verified.stderr);
    let started = Instant::now();
    let out = format!("out-{cache}");
    project.ok(["run", "p.yaml", "--cache-dir", cache, "--out", &out]);
    assert!(started.elapsed() < usual * 4 + PATIENCE, "{cache}: held up for {:?}", started.elapsed());
    assert!(project.read(&format!("{out}/predictions.parquet")) == expected, "{cache}: other bytes");
    assert_eq!(project.summary(&out)["status"], "complete");
    let verified = project.run(["cache", "verify", "--cache-dir", cache]);
    assert_eq!(verified.code, 0, "{cache}: {}{}", verified.stdout, verified.stderr);
}

#[test]
fn killed_at_any_moment_a_sweep_loses_nothing() {
    let project = sweep();
    let (expected, usual) = undisturbed(&project);
    let mut chance = Chance(0x5EED);
    for at in 0..moments(6) {
        let cache = format!("killed{at}");
        // Once, or again and again.
        for _ in 0..=chance.below(3) {
            killed(&project, &["run", "p.yaml", "--cache-dir", &cache, "--out", "lost"], chance.moment(usual));
        }
        is_whole(&project, &cache, &expected, usual);
        std::fs::remove_dir_all(project.path(&cache)).unwrap();
    }
}

#[test]
fn killed_at_any_moment_gc_breaks_nothing() {
    let project = sweep();
    let (expected, usual) = undisturbed(&project);
    let gc = ["cache", "gc", "--max-size", "20kB", "--cache-dir", "cache"];
    project.ok(["run", "p.yaml", "--out", "first"]);
    let started = Instant::now();
    project.ok(gc);
    let within = started.elapsed();
    let mut chance = Chance(0x6C);
    for _ in 0..moments(6) {
        project.ok(["run", "p.yaml", "--out", "again"]);
        killed(&project, &gc, chance.moment(within));
        is_whole(&project, "cache", &expected, usual);
    }
}

#[test]
fn gc_beside_a_run_takes_nothing_from_it() {
    let project = sweep();
    let (expected, usual) = undisturbed(&project);
    for round in 0..moments(3) {
        let cache = format!("swept{round}");
        let mut run = start(&project, &["run", "p.yaml", "--cache-dir", &cache, "--out", "beside"]);
        while run.try_wait().unwrap().is_none() {
            project.ok(["cache", "gc", "--max-size", "1kB", "--cache-dir", &cache]);
        }
        assert!(run.wait().unwrap().success());
        assert!(project.read("beside/predictions.parquet") == expected);
        is_whole(&project, &cache, &expected, usual);
    }
}

#[test]
fn many_processes_on_one_cache_run_each_unit_once() {
    let project = sweep();
    let (expected, usual) = undisturbed(&project);
    let units = project.summary("expected")["totals"]["ran"].as_u64().unwrap();
    for processes in [2, 4, 8] {
        let cache = format!("shared{processes}");
        let outs: Vec<String> = (0..processes).map(|n| format!("{cache}-{n}")).collect();
        let children: Vec<Child> = outs
            .iter()
            .map(|out| start(&project, &["run", "p.yaml", "--cache-dir", &cache, "--out", out, "--threads", "2"]))
            .collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        let mut ran = 0;
        for out in &outs {
            let summary = project.summary(out);
            assert_eq!(summary["totals"]["failed"], 0);
            ran += summary["totals"]["ran"].as_u64().unwrap();
            assert!(project.read(&format!("{out}/predictions.parquet")) == expected, "{out}");
        }
        assert_eq!(ran, units, "{processes} processes");
        is_whole(&project, &cache, &expected, usual);
    }
}

/// All files of a cache that hold results: tables, records, remembered rows.
fn kept_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        match entry.is_dir() {
            true if ["damaged", "tmp", "leases", "files", "runs"].contains(&name.as_str()) => {}
            true => found.extend(kept_files(&entry)),
            false => found.push(entry),
        }
    }
    found.sort();
    found
}

#[test]
fn a_flipped_bit_anywhere_is_found_and_mended() {
    let project = sweep();
    let (expected, usual) = undisturbed(&project);
    let mut chance = Chance(0xB17);
    for round in 0..moments(3) {
        let cache = format!("flipped{round}");
        project.ok(["run", "p.yaml", "--cache-dir", &cache, "--out", "first"]);
        let files = kept_files(&project.path(&cache));
        let records = files.iter().filter(|file| file.components().any(|part| part.as_os_str() == "keys")).count();
        let tables = files.iter().filter(|file| file.extension().is_some_and(|end| end == "parquet")).count();
        assert!(records > 40 && tables > 40, "{records} records, {tables} tables");
        // All at once in the first round, afterwards one in four.
        for file in &files {
            if round > 0 && chance.below(4) > 0 {
                continue;
            }
            let mut bytes = std::fs::read(file).unwrap();
            let at = chance.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << chance.below(8);
            std::fs::write(file, bytes).unwrap();
        }
        if round % 2 == 0 {
            let verified = project.run(["cache", "verify", "--cache-dir", &cache]);
            assert_eq!(verified.code, 7, "{}{}", verified.stdout, verified.stderr);
        } else {
            let again = project.ok(["run", "p.yaml", "--cache-dir", &cache, "--out", "mended"]);
            assert!(again.stderr.contains("damaged"), "{}", again.stderr);
            assert!(project.read("mended/predictions.parquet") == expected);
            // What no unit had to read is found by looking.
            project.run(["cache", "verify", "--cache-dir", &cache]);
        }
        is_whole(&project, &cache, &expected, usual);
    }
}

/// A small disk in memory, for the time of a test.
#[cfg(target_os = "linux")]
struct Disk(PathBuf);

#[cfg(target_os = "linux")]
impl Disk {
    /// `None`, said aloud, where mounting is not allowed.
    fn mount(at: PathBuf) -> Option<Disk> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &at);
        if !mounted {
            skipped("no disk in memory can be mounted here (that takes root)");
        }
        mounted.then_some(Disk(at))
    }

    fn resize(&self, kib: u64) {
        assert!(mount(&["-o", &format!("remount,size={kib}k")], &self.0));
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(&self.0).status());
    }
}

#[cfg(target_os = "linux")]
fn mount(args: &[&str], at: &Path) -> bool {
    let mounted = std::process::Command::new("mount").args(args).arg(at).stderr(Stdio::null()).status();
    mounted.is_ok_and(|status| status.success())
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_stops_a_run_with_one_message_and_loses_nothing() {
    let project = sweep();
    let (expected, usual) = undisturbed(&project);
    let needed: u64 = kept_files(&project.path("undisturbed"))
        .iter()
        .map(|file| file.metadata().unwrap().len().div_ceil(4096) * 4)
        .sum();
    let (points, mut filled) = (moments(6), 0);
    for point in 0..points {
        let Some(disk) = Disk::mount(project.path(&format!("disk{point}"))) else { return };
        disk.resize(64 + needed * point / points);
        let cache = format!("disk{point}/cache");
        let full = project.run(["run", "p.yaml", "--cache-dir", &cache, "--out", "full"]);
        // The largest disks may just be large enough.
        if full.code != 0 {
            assert!([2, 3].contains(&full.code), "{}: {}", full.code, full.stderr);
            assert_eq!(full.stderr.matches("no room is left").count(), 1, "{}", full.stderr);
            filled += 1;
        }
        disk.resize(needed * 4 + 4096);
        let verified = project.run(["cache", "verify", "--cache-dir", &cache]);
        assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
        let started = Instant::now();
        project.ok(["run", "p.yaml", "--cache-dir", &cache, "--out", "after"]);
        assert!(started.elapsed() < usual * 4 + PATIENCE);
        assert!(project.read("after/predictions.parquet") == expected);
    }
    assert!(filled * 2 > points, "only {filled} of {points} disks were full");
}
