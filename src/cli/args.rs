//! What may be typed? The command line, as clap sees it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::limits;
use super::recompute::{Share, share};
use crate::emit::Emit;
use crate::settings::{Memory, Progress};

/// Runs text-ML experiments from a YAML file: nothing leaks between folds, and nothing is computed twice.
#[derive(Debug, Parser)]
#[command(name = "fuseline", version, max_term_width = 110, propagate_version = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Flags that every command knows.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Where artifacts are kept [default: the user's cache folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) cache_dir: Option<PathBuf>,
    /// Worker threads; 0 takes as many as the machine has
    #[arg(long, value_name = "N", global = true)]
    pub(super) threads: Option<usize>,
    /// Where transformers are computed: `cpu`, `cuda:0`, `metal`, as far as the program was built with them [default: auto, the fastest]
    #[arg(long, value_name = "DEVICE", global = true)]
    pub(super) device: Option<String>,
    /// Memory that units running at once may take: `8GB`, or a share of the machine's: `50%` [default: 75%]
    #[arg(long, value_name = "SIZE", value_parser = limits::memory, global = true)]
    pub(super) memory: Option<Memory>,
    /// Never ask the network
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Refuse a pipeline that has more variants than this; 0 takes any number [default: 10000]
    #[arg(long, value_name = "N", global = true)]
    pub(super) max_variants: Option<usize>,
    /// How progress is shown
    #[arg(long, value_name = "HOW", global = true)]
    pub(super) progress: Option<Progress>,
    /// How messages are written: for people (standard error), or one JSON object a line (standard output)
    #[arg(long, value_name = "FORMAT", default_value = "human", global = true)]
    pub(super) message_format: MessageFormat,
    /// Say less: errors alone
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Say more: what was reused as well
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
}

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MessageFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// A pipeline, with values set from outside.
#[derive(Debug, Default, Args)]
pub(super) struct PipelineArgs {
    /// The pipeline file
    pub(super) file: PathBuf,
    /// Set a value: `model.estimator.linear_svc.c=3`, `seed=7` (may be given several times)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(super) sets: Vec<String>,
    /// Only this variant: its label, its id or the first digits of it, or all with some value of an axis: `features=both`
    /// (may be given several times)
    #[arg(long = "variant", value_name = "LABEL|ID|AXIS=VALUE")]
    pub(super) variants: Vec<String>,
    /// Only one shard of the variants: `hash:1/4` to `hash:4/4`
    #[arg(long, value_name = "hash:I/N")]
    pub(super) partition: Option<String>,
    /// Go on only if everything is what the lock beside the pipeline says (data, models, kinds, seed)
    #[arg(long)]
    pub(super) locked: bool,
}

/// How a run deals with what goes wrong.
#[derive(Debug, Args)]
pub(super) struct HowArgs {
    /// Go on past a failure: run everything that does not depend on it
    #[arg(short, long)]
    pub(super) keep_going: bool,
    /// How long a unit may run, of all stages or of one: `10m`, `vectors=2h` (may be given several times)
    #[arg(long, value_name = "[STAGE=]TIME")]
    pub(super) timeout: Vec<String>,
    /// How often a unit that failed is tried again, of all stages or of one: `2`, `vectors=3`
    #[arg(long, value_name = "[STAGE=]N")]
    pub(super) retries: Vec<String>,
}

/// Where a run goes, and who is told of it.
#[derive(Debug, Args)]
pub(super) struct ToArgs {
    /// Where the run's files go [default: runs/<name>]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Tell a machine what came out: `junit=FILE`, `gitlab=FILE`, `markdown=FILE`, `json=FILE` (`-` is standard output), or `github`
    /// (annotations on standard output, and the step's summary); may be given several times
    #[arg(long, value_name = "FORM=FILE")]
    pub(super) emit: Vec<Emit>,
}

/// What a run is held against.
#[derive(Debug, Args)]
pub(super) struct GateArgs {
    /// What to hold the run against: a baseline's file, a run folder, a `summary.json`, or a git revision whose baseline is meant
    /// [default: NAME.baseline.json beside NAME.yaml]
    #[arg(long, value_name = "FILE|RUN|REV")]
    pub(super) baseline: Option<String>,
    /// Hold this metric's change; stands above what `gates` says of changes (may be given several times)
    /// [default: accuracy, else r2, else the first]
    #[arg(long, value_name = "METRIC")]
    pub(super) metric: Vec<String>,
    /// The smallest change for the better: -0.005 lets through what is worse by half a point [default: 0]
    #[arg(long, value_name = "DELTA", allow_negative_numbers = true)]
    pub(super) min_delta: Option<f64>,
    /// How sure to be, between 0 and 1 [default: 0.95]
    #[arg(long, value_name = "SHARE")]
    pub(super) confidence: Option<f64>,
    /// How the command ends where the rows are too few to tell
    #[arg(long, value_name = "HOW", default_value = "exit")]
    pub(super) inconclusive: Inconclusive,
    /// Write the baseline anew from this run, whatever became of changes; not if the run fails, or its data is not as `expect` has it
    #[arg(long)]
    pub(super) update: bool,
}

/// How `gate` ends where the rows are too few to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Inconclusive {
    /// With exit code 10.
    Exit,
    /// As if the gate held.
    Pass,
    /// As if it did not.
    Fail,
}

/// How new rows are written.
#[derive(Debug, Args)]
pub(super) struct RowsArgs {
    /// How the rows are written [default: as a file's name tells; else lines, one text each]
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<RowsFormat>,
    /// The column with the text (several are joined by a newline) [default: as in the pipeline's own data]
    #[arg(long = "text", id = "text-column", value_name = "COLUMN")]
    pub(super) text: Vec<String>,
    /// The column with the rows' ids [default: a row's number, from 0]
    #[arg(long, value_name = "COLUMN")]
    pub(super) id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a pipeline, write its run folder and print its scores
    Run {
        #[command(flatten)]
        pipeline: PipelineArgs,
        #[command(flatten)]
        to: ToArgs,
        /// Run units although the cache has them: all, or those of one stage (may be given several times)
        #[arg(long, value_name = "STAGE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
        force: Vec<String>,
        #[command(flatten)]
        how: HowArgs,
        /// Show what would run, and run nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Run a pipeline, from the cache where it can, and hold it against a baseline: exit code 1 if a gate fails, 10 if the rows
    /// are too few to tell
    Gate {
        #[command(flatten)]
        pipeline: PipelineArgs,
        #[command(flatten)]
        gate: GateArgs,
        #[command(flatten)]
        to: ToArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Show what a pipeline comes to: variants, units, what is cached
    Plan {
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// Say why each unit must run; `--why=STAGE`: those of one stage
        #[arg(long, value_name = "STAGE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
        why: Option<String>,
        /// How to print the plan
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: PlanFormat,
    },
    /// Check pipeline files, and with `--data` the rows that they read; nothing is trained
    Check {
        /// Pipeline files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Set a value in each file
        #[arg(long = "set", value_name = "PATH=VALUE")]
        sets: Vec<String>,
        /// Hold each file to the lock beside it
        #[arg(long)]
        locked: bool,
        /// Read the data and print what the rows are like; end with 1 if they are not as `expect` says
        #[arg(long)]
        data: bool,
    },
    /// Explain a kind of stage, a word of the pipeline file, or the code of a message; without a name, list them
    Explain {
        /// `tfidf`, `ablate`, `unknown-param`, …
        name: Option<String>,
    },
    /// Print a JSON schema, or write all of them to a folder
    Schema {
        /// Which schema
        #[arg(default_value = "pipeline")]
        which: SchemaKind,
        /// Write all schemas to this folder
        #[arg(long, value_name = "DIR", conflicts_with = "which")]
        write: Option<PathBuf>,
    },
    /// Print what a stage made, running what is needed for it
    Show {
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// The stage's id
        stage: String,
        /// The fold, counted from 1 [default: the first]
        #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
        fold: Option<u32>,
        /// Which table of the artifact [default: the first]
        #[arg(long, value_name = "NAME")]
        part: Option<String>,
        /// How to print it
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: ShowFormat,
        /// How many rows (table: 20 unless told; other formats: all unless told)
        #[arg(long, value_name = "N")]
        rows: Option<usize>,
        /// Write to a file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Fetch the data and models that a pipeline names, so that it runs offline
    Fetch {
        #[command(flatten)]
        pipeline: PipelineArgs,
    },
    /// Compare two runs: configuration, identities, files, metrics, predictions
    Diff {
        /// The run folder (or `summary.json`) to compare with
        #[arg(value_name = "RUN")]
        before: PathBuf,
        /// The run folder (or `summary.json`) that is compared
        #[arg(value_name = "RUN")]
        after: PathBuf,
        /// End with 1 if anything differs
        #[arg(long)]
        exit_code: bool,
    },
    /// Compute a run again, in a fresh cache, and compare every table with the first
    Verify {
        /// A run folder, or an archive that `pack` wrote
        run: PathBuf,
        /// Where relative paths of the pipeline start [default: where they did in the run]
        #[arg(long, value_name = "DIR")]
        base: Option<PathBuf>,
    },
    /// Put a run into one archive, which `verify` repeats elsewhere
    Pack {
        /// A run folder
        run: PathBuf,
        /// The archive: `.tar.zst` or `.tar.gz`
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Put in the data and models that the run read as well
        #[arg(long)]
        with_data: bool,
    },
    /// Write a fitted pipeline as a folder that `predict` asks: learned on all rows, and all that it reads beside it
    Export {
        #[command(flatten)]
        pipeline: PipelineArgs,
        /// The stage that predicts [default: the only one that does]
        #[arg(long, value_name = "ID")]
        stage: Option<String>,
        /// Of several variants, the one that this metric says is best; what it takes to know is run (at equal scores the first)
        #[arg(long, value_name = "METRIC")]
        best: Option<String>,
        /// The folder
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Replace an exported pipeline that is there already
        #[arg(long)]
        force: bool,
    },
    /// Ask an exported pipeline about new texts: one a line from standard input, or the rows of files
    Predict {
        /// The folder that `export` wrote
        folder: PathBuf,
        /// Files with rows [default: standard input]
        files: Vec<PathBuf>,
        #[command(flatten)]
        rows: RowsArgs,
        /// How to write the answers
        #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
        output: AnswerFormat,
        /// Write to a file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Give the scores of all classes
        #[arg(long)]
        scores: bool,
    },
    /// Say what moved an exported pipeline's answer: the terms and blocks of features, and how much each counted
    ExplainPrediction {
        /// The folder that `export` wrote
        folder: PathBuf,
        /// The text [default: the rows of standard input]
        text: Option<String>,
        #[command(flatten)]
        rows: RowsArgs,
        /// The class to explain [default: the predicted one, against the next best]
        #[arg(long, value_name = "CLASS")]
        class: Option<String>,
        /// How many terms to show; 0 shows all
        #[arg(long, value_name = "N", default_value_t = 20)]
        terms: usize,
        /// Print one JSON object a text
        #[arg(long)]
        json: bool,
    },
    /// Look at the runs that are here, or remove some
    Runs {
        #[command(subcommand)]
        command: RunsCommand,
    },
    /// Look at the cache, or empty it
    Cache {
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RowsFormat {
    /// One text a line.
    Lines,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated, with a header.
    Csv,
    /// Parquet (files alone).
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum AnswerFormat {
    /// One JSON object a row.
    Jsonl,
    /// Comma-separated, with a header.
    Csv,
    /// Parquet.
    Parquet,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    /// For people.
    Text,
    /// Graphviz.
    Dot,
    /// Mermaid.
    Mermaid,
    /// One object.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaKind {
    /// Pipeline files.
    Pipeline,
    /// `summary.json`.
    Summary,
    /// Settings files.
    Settings,
    /// Lines of `events.jsonl`.
    Events,
    /// `bundle.json` of an exported pipeline.
    Bundle,
    /// `NAME.baseline.json`.
    Baseline,
    /// What `--emit json=FILE` writes.
    Gate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ShowFormat {
    /// Aligned columns.
    Table,
    /// One JSON object a row.
    Jsonl,
    /// Comma-separated.
    Csv,
    /// The stored table.
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(super) enum RunsCommand {
    /// List run folders, the latest first, with the trend of each pipeline's leading metric
    Ls {
        /// Where to look, three folders deep [default: `runs`, and wherever the cache knows of runs]
        folder: Option<PathBuf>,
        /// The metric to show [default: the one that the report ranks by, else accuracy, else r2, else the first]
        #[arg(long, value_name = "METRIC")]
        metric: Option<String>,
        /// Draw it over the runs as well, a line for each variant: one HTML page without anything to load
        #[arg(long, value_name = "FILE")]
        plot: Option<PathBuf>,
    },
    /// Show what a run came to
    Show {
        /// The run folder (or `summary.json`)
        run: PathBuf,
    },
    /// Remove run folders; the cache keeps what they were made of
    Rm {
        /// The run folders
        #[arg(required = true)]
        runs: Vec<PathBuf>,
        /// Show what would go, and remove nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// How much is in it
    Stats,
    /// What is in it
    Ls,
    /// Read everything in it and set aside what is damaged; exit code 7 if anything was
    Verify {
        /// Run this share of a pipeline's cached units again, as 2%, and compare; exit code 7 if other bytes come out
        #[arg(long, value_name = "SHARE", value_parser = share, requires = "file")]
        recompute: Option<Share>,
        /// The pipeline whose units run again
        #[arg(requires = "recompute")]
        file: Option<PathBuf>,
        /// Set a value of the pipeline
        #[arg(long = "set", value_name = "PATH=VALUE", requires = "file")]
        sets: Vec<String>,
        /// Which units run again [default: others every day]
        #[arg(long, value_name = "N", requires = "recompute")]
        sample: Option<u64>,
    },
    /// Remove what is no longer needed: what the last runs came to stays, and as much of the rest as there is room for
    Gc {
        /// Keep what was used last, until the cache has this size: 500MB, 2GB, 10GiB
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// Keep all that the last N runs of each pipeline came to, whatever its size
        #[arg(long, value_name = "N", default_value_t = 3)]
        keep_runs: usize,
        /// Remove what older versions of Fuseline keep in the same folder as well
        #[arg(long)]
        old_formats: bool,
        /// Show what would go, and remove nothing
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Remove all artifacts; fetched data and models stay
    Clear,
}

/// A number of bytes: `500MB`, `1.5 GiB`, `0`.
fn size(text: &str) -> Result<u64, String> {
    let units = [("b", 0, 0), ("kb", 3, 0), ("mb", 6, 0), ("gb", 9, 0), ("tb", 12, 0)];
    let binary = [("kib", 0, 10), ("mib", 0, 20), ("gib", 0, 30), ("tib", 0, 40)];
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let (number, unit) = (number.trim(), unit.trim().to_ascii_lowercase());
    let wrong =
        || format!("`{text}` is no size: write a number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, as in 2GB");
    let plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value: f64 = number.parse().ok().filter(|_| plain).ok_or_else(wrong)?;
    let scale = units.iter().chain(&binary).find(|(name, ..)| *name == unit);
    match scale {
        Some((_, tens, twos)) => Ok((value * 10f64.powi(*tens) * 2f64.powi(*twos)).round() as u64),
        // A bare number that is not 0 was meant in some unit.
        None if unit.is_empty() && value == 0.0 => Ok(0),
        None => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_say_their_unit() {
        let read = |text| size(text).ok();
        assert_eq!(read("500MB"), Some(500_000_000));
        assert_eq!(read("1.5 GiB"), Some(1_610_612_736));
        assert_eq!(
            (read("10gb"), read("7B"), read("0"), read("2kB")),
            (Some(10_000_000_000), Some(7), Some(0), Some(2000))
        );
        for wrong in ["", "GB", "500", "-1GB", "5 parsecs", "1e3MB", "inf", "nanGB", "1..5GB", "٣GB"] {
            assert!(size(wrong).unwrap_err().contains("as in 2GB"), "{wrong}");
        }
    }
}
