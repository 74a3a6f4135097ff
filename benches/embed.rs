//! How fast do texts become vectors?
//!
//! `cargo bench --bench embed -- MODEL FILE [--threads N] [--runs N] [--limit N] [--max-length N] [--precision f32|bf16] [--out FILE]`
//! reads a model's folder and the texts of a file (JSON lines with a field `text`, or a text on each line), encodes all of them,
//! tokenising counted, and prints one line of JSON. `--out` writes the vectors (f32, little endian). `benches/embed.py` sets it
//! beside sentence-transformers, OpenVINO and others.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use fuseline::model::{EncodeOptions, ModelFiles, Place, Precision, SentenceEncoder};

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model, file, ..] = given.as_slice() else {
        println!("name a model's folder and a file of texts: cargo bench --bench embed -- MODEL FILE");
        return Ok(());
    };
    let option = |name: &str| given.iter().position(|word| word == name).and_then(|at| given.get(at + 1));
    let number = |name: &str| option(name).map(|text| text.parse::<usize>()).transpose();
    let threads = number("--threads")?.unwrap_or(1);
    let precision = match option("--precision").map_or("f32", String::as_str) {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        other => return Err(format!("no precision `{other}`").into()),
    };
    let mut texts = texts(file)?;
    texts.truncate(number("--limit")?.unwrap_or(usize::MAX));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let began = Instant::now();
    let encoder = SentenceEncoder::load(&files(Path::new(model))?, &Place::open("cpu", precision)?)?;
    let loading = began.elapsed().as_secs_f64();
    let options = EncodeOptions { max_length: number("--max-length")?, ..EncodeOptions::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (mut seconds, mut encoded) = (Vec::new(), None);
    for _ in 0..number("--runs")?.unwrap_or(1).max(1) {
        let began = Instant::now();
        encoded = Some(pool.install(|| encoder.encode(&texts, &options, &|_, _| {}, &|| false))?);
        seconds.push(began.elapsed().as_secs_f64());
    }
    let Some(encoded) = encoded else { return Ok(()) };
    if let Some(out) = option("--out") {
        let bytes: Vec<u8> = encoded.vectors.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(out, bytes)?;
    }
    let tokens: u64 = encoded.tokens.iter().sum();
    println!(
        "{}",
        serde_json::json!({ "texts": texts.len(), "tokens": tokens, "threads": threads, "loading": loading, "seconds": seconds })
    );
    Ok(())
}

/// All files of a model's folder, and those one folder deeper.
fn files(folder: &Path) -> Result<ModelFiles, Box<dyn Error>> {
    let mut files = ModelFiles::default();
    let mut folders = vec![(folder.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push((entry.path(), format!("{name}/")));
            } else if name.ends_with(".json") || name.ends_with(".safetensors") {
                files.read(&name, fs::File::open(entry.path())?)?;
            }
        }
    }
    Ok(files)
}

fn texts(file: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    if !file.ends_with(".jsonl") {
        return Ok(text.lines().map(str::to_owned).collect());
    }
    let field = |line: &str| -> Result<String, Box<dyn Error>> {
        let value: serde_json::Value = serde_json::from_str(line)?;
        Ok(value["text"].as_str().ok_or("a line has no field `text`")?.to_owned())
    };
    text.lines().map(field).collect()
}
