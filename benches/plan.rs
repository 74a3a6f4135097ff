//! How much does planning cost, and does it grow with the number of units and no faster?
//!
//! `cargo bench --bench plan` prints two tables: a pipeline read and planned in this process, for 100 to 100 000 units; and
//! `fuseline plan` over a warm cache, for 1 000 and 10 000 units (with `-- --full`, 100 000 too), which first runs
//! everything once.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fuseline::pipeline::{Choosing, Pipeline};
use fuseline::plan::{Known, plan};
use fuseline::stages::STAGES;

/// Units that each variant has for itself: five folds fitted and applied, and their score.
const EACH: usize = 11;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let full = std::env::args().any(|argument| argument == "--full");
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("data.csv"), data())?;
    println!("read and planned in one process");
    println!("{:>8} {:>9} {:>9} {:>9} {:>9} {:>9}", "units", "variants", "load s", "plan s", "ns/unit", "peak MB");
    for units in [100, 1_000, 10_000, 100_000] {
        planned(folder.path(), units)?;
    }
    println!("\n`fuseline plan` over a warm cache");
    println!("{:>8} {:>9} {:>9} {:>9} {:>9} {:>9}", "units", "cold s", "plan s", "no-op s", "ns/unit", "peak MB");
    let sizes: &[usize] = if full { &[1_000, 10_000, 100_000] } else { &[1_000, 10_000] };
    for units in sizes {
        warm(folder.path(), *units)?;
    }
    Ok(())
}

/// Forty short texts of two classes.
fn data() -> String {
    let words = ["fine", "dull", "bright", "grey", "lovely", "awful", "moving", "tedious", "clever", "clumsy"];
    let mut csv = "id,text,label\n".to_owned();
    for row in 0..40 {
        let (one, other) = (words[row % 10], words[(row * 3 + row % 2) % 10 / 2 * 2 + row % 2]);
        csv.push_str(&format!("r{row},a {one} and {other} film,{}\n", ["good", "bad"][row % 2]));
    }
    csv
}

/// A pipeline of about so many units: two axes of the model over one text side.
fn pipeline(units: usize) -> String {
    let variants = (units / EACH).max(1);
    let half = variants.div_ceil(4).max(1);
    let cs: Vec<String> = (1..=half).map(|n| format!("{}", n as f64 / 1024.0)).collect();
    format!(
        "name: sweep
stages:
  rows: {{ use: ingest, with: {{ source: data.csv, id: id, text: text, label: label }} }}
  clean: {{ use: clean, from: rows, with: {{ unicode: nfkc }} }}
  words: {{ use: tokenize, from: clean }}
  tfidf: {{ use: tfidf, from: words }}
  model: {{ use: train, from: tfidf, with: {{ estimator: {{ logistic_regression: {{}} }} }} }}
  scores: {{ use: cross_validate, from: model, with: {{ folds: 5 }} }}
matrix:
  tfidf.min_df: [1, 2]
  tfidf.norm: [l1, l2]
  model.estimator.logistic_regression.c: [{}]
",
        cs.join(", ")
    )
}

fn planned(folder: &Path, units: usize) -> Outcome {
    let file = folder.join("p.yaml");
    fs::write(&file, pipeline(units))?;
    let choosing = Choosing { most: usize::MAX, ..Choosing::default() };
    let started = Instant::now();
    let pipeline = Pipeline::load_some(&file, &[], STAGES, &choosing)?;
    let load = started.elapsed();
    let started = Instant::now();
    let plan = plan(&pipeline, &Known::default());
    let lift = started.elapsed();
    let units = plan.order.len();
    println!(
        "{units:>8} {:>9} {:>9.3} {:>9.3} {:>9.0} {:>9.0}",
        pipeline.variants.len(),
        load.as_secs_f64(),
        lift.as_secs_f64(),
        (load + lift).as_nanos() as f64 / units as f64,
        peak("self").unwrap_or(f64::NAN)
    );
    Ok(())
}

fn warm(folder: &Path, units: usize) -> Outcome {
    fs::write(folder.join("p.yaml"), pipeline(units))?;
    let (cold, _) = fuseline(folder, &["run", "p.yaml"])?;
    let (plan, megabytes) = fuseline(folder, &["plan", "p.yaml"])?;
    let (again, _) = fuseline(folder, &["run", "p.yaml"])?;
    println!(
        "{units:>8} {:>9.1} {:>9.3} {:>9.3} {:>9.0} {megabytes:>9.0}",
        cold.as_secs_f64(),
        plan.as_secs_f64(),
        again.as_secs_f64(),
        plan.as_nanos() as f64 / units as f64,
    );
    Ok(())
}

/// Runs the command; how long it took, and its peak of memory in MB as seen every few milliseconds.
fn fuseline(folder: &Path, arguments: &[&str]) -> Result<(Duration, f64), Box<dyn Error>> {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fuseline"))
        .args(arguments)
        .args(["--cache-dir", "cache", "--max-variants", "0", "--quiet"])
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()?;
    let mut most = 0.0_f64;
    loop {
        if let Some(status) = child.try_wait()? {
            return if status.success() { Ok((started.elapsed(), most)) } else { Err(status.to_string().into()) };
        }
        most = most.max(peak(&child.id().to_string()).unwrap_or(0.0));
        thread::sleep(Duration::from_millis(2));
    }
}

/// A process's peak of memory in MB, where the system tells.
fn peak(process: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes / 1024.0)
}
