//! `fuseline check`: reads pipeline files and says what is wrong with them; with `--data`, also what their rows are like.

use std::path::{Path, PathBuf};

use super::args::MessageFormat;
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use super::{expect, limits, load, lock};
use crate::pipeline::{Choosing, Pipeline};
use crate::record::Status;
use crate::run::{Listeners, Missing, Session, Wanted};
use crate::ui::{Verbosity, count, ledger};

/// What files are held to, beyond being sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing more.
    ToNothing,
    /// The lock beside each.
    ToTheLock,
}

/// Runs the command.
pub(super) fn check(context: &Context, files: &[PathBuf], sets: &[String], held: Held) -> Exit {
    let mut exit = Exit::Success;
    let sound = |file: &PathBuf| {
        let pipeline = load(context, file, sets, &Choosing::default())?;
        if held == Held::ToTheLock {
            lock::hold(context, &pipeline, Missing::LeftOut)?;
        }
        Ok(pipeline)
    };
    for file in files {
        match sound(file) {
            Err(failed) => exit = failed,
            Ok(pipeline) if context.format == MessageFormat::Json => {
                let line = serde_json::json!({ "event": "checked", "file": file, "variants": pipeline.variants.len() });
                out(format!("{line}\n").as_bytes());
            }
            Ok(pipeline) if context.look.verbosity > Verbosity::Quiet => {
                let (stages, variants) = (pipeline.stage_order.len(), pipeline.variants.len());
                let plural = if variants == 1 { "" } else { "s" };
                say(&format!("{}: ok ({stages} stages, {} variant{plural})", file.display(), count(variants as u64)));
            }
            Ok(_) => {}
        }
    }
    exit
}

/// `fuseline check --data`: runs what the data ledgers need, and prints them.
pub(super) fn data(context: &Context, files: &[PathBuf], sets: &[String], held: Held) -> Exit {
    let mut exit = Exit::Success;
    for file in files {
        if let Err(failed) = data_of(context, file, sets, held) {
            exit = failed;
        }
    }
    exit
}

fn data_of(context: &Context, file: &Path, sets: &[String], held: Held) -> Result<(), Exit> {
    let pipeline: Pipeline = load(context, file, sets, &Choosing::default())?;
    if held == Held::ToTheLock {
        lock::hold(context, &pipeline, Missing::Fetched)?;
    }
    let display = context.display();
    let fetcher = context.fetcher();
    let session = Session {
        pipeline: &pipeline,
        store: context.store()?,
        fetcher: &fetcher,
        options: limits::plain(context),
        listener: &Listeners(display.listeners()),
        cancelled: &context.cancelled,
    };
    let done = session.run(&Wanted::Data);
    display.clear();
    let done = done.map_err(|error| context.run_failed(&error))?;
    let summary = &done.summary;
    if context.format == MessageFormat::Json {
        let line = serde_json::json!({
            "event": "data", "file": file, "data": summary.data, "expectations": summary.expectations, "warnings": summary.warnings
        });
        out(format!("{line}\n").as_bytes());
    } else {
        let tables: Vec<String> = summary.data.iter().map(ledger::ledger).collect();
        out(tables.join("\n\n").as_bytes());
    }
    match summary.status {
        Status::Complete => expect::hold(context, &pipeline, summary),
        Status::Failed => Err(Exit::StageFailed),
        Status::Interrupted => Err(Exit::Partial),
    }
}
