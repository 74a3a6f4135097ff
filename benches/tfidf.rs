//! How fast are texts weighed, and in how much room?
//!
//! `cargo bench --bench tfidf -- FILE [--threads N] [--runs N] [--char-wb MIN,MAX] [--ngrams MIN,MAX] [--hashing N]` reads the texts
//! of a file (JSON lines with a field `text`, or a text on each line) into memory, then counts, fits and weighs all of them, as
//! `fit_transform` does, and prints one line of JSON. `benches/tfidf.py` sets it beside scikit-learn.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fs;
use std::time::Instant;

use fuseline::ml::{
    Analyzed, Analyzer, AnalyzerParams, Csr, HashedCounts, HashedWeights, Hashing, TermCounts, TextUnit, TfidfError,
    TfidfParams, Vocabulary,
};

/// What is measured.
struct Task {
    analyzer: Analyzer,
    params: TfidfParams,
    hashing: Option<Hashing>,
    threads: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some(file) = given.first().filter(|first| !first.starts_with("--")) else {
        println!("name a file of texts: cargo bench --bench tfidf -- FILE");
        return Ok(());
    };
    let option = |name: &str| given.iter().position(|word| word == name).and_then(|at| given.get(at + 1));
    let number = |name: &str, default: usize| option(name).map_or(Ok(default), |text| text.parse());
    let range = |text: &String| -> Result<(usize, usize), Box<dyn Error>> {
        let (min, max) = text.split_once(',').ok_or("a range is two numbers with a comma")?;
        Ok((min.parse()?, max.parse()?))
    };
    let mut analyzer = AnalyzerParams::default();
    if let Some(text) = option("--char-wb") {
        analyzer.unit = TextUnit::CharWb { ngram_range: range(text)? };
    }
    let ngram_range = option("--ngrams").map_or(Ok((1, 1)), range)?;
    let n_features = option("--hashing").map(|text| text.parse()).transpose()?;
    let task = Task {
        analyzer: Analyzer::new(&analyzer)?,
        params: TfidfParams { ngram_range, ..TfidfParams::default() },
        hashing: n_features.map(|n_features| Hashing { n_features, ..Hashing::default() }),
        threads: number("--threads", 1)?,
    };
    rayon::ThreadPoolBuilder::new().num_threads(task.threads).build_global()?;
    let texts = texts(file)?;
    let (mut seconds, mut weighed) = (Vec::new(), Csr::default());
    for _ in 0..number("--runs", 5)?.max(1) {
        drop(std::mem::take(&mut weighed));
        let began = Instant::now();
        weighed = task.fit_transform(&texts)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    let sum: f64 = weighed.values.iter().map(|&weight| f64::from(weight)).sum();
    println!(
        "{{\"rows\": {}, \"columns\": {}, \"stored\": {}, \"sum\": {sum}, \"seconds\": {seconds:?}, \"peak_mb\": {}}}",
        texts.len(),
        weighed.cols,
        weighed.values.len(),
        peak_mb().unwrap_or_default(),
    );
    Ok(())
}

impl Task {
    fn fit_transform(&self, texts: &[String]) -> Result<Csr, TfidfError> {
        let rows = Analyzed { analyzer: &self.analyzer, texts };
        let range = self.params.ngram_range;
        match self.hashing {
            Some(hashing) => {
                let counts = HashedCounts::of(&rows, range, hashing, self.threads);
                HashedWeights::fit(&counts, hashing, &self.params)?.transform(&counts, hashing, &self.params)
            }
            None => {
                let counts = TermCounts::of(&rows, range, self.threads)?;
                Vocabulary::fit(&counts, &self.params)?.transform(&counts, &self.params)
            }
        }
    }
}

fn texts(file: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let whole = fs::read_to_string(file)?;
    if !file.ends_with(".jsonl") {
        return Ok(whole.lines().map(str::to_owned).collect());
    }
    let text = |line: &str| -> Result<String, Box<dyn Error>> {
        let row: serde_json::Value = serde_json::from_str(line)?;
        Ok(row["text"].as_str().ok_or("a line has no field `text`")?.to_owned())
    };
    whole.lines().map(text).collect()
}

/// The most memory that the process has held, where the system tells.
fn peak_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kb| kb / 1024)
}
