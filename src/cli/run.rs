//! `fuseline run`: runs a pipeline, writes its run folder, prints its scores.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::args::{HowArgs, MessageFormat, PipelineArgs, ToArgs};
use super::console::{out, say, width};
use super::context::Context;
use super::exit::Exit;
use super::{emit, expect, limits, load_args, lock, theirs, usage};
use crate::pipeline::Pipeline;
use crate::problem::{Problem, suggest, visible};
use crate::record::Status;
use crate::run::{Done, Force, Listener, Listeners, Missing, Options, Session, Wanted, write_folder};
use crate::ui::json::JsonLines;
use crate::ui::trace::Recorder;
use crate::ui::{Verbosity, table};

/// A pipeline that ran, and what it left behind.
pub(super) struct Ran {
    pub(super) done: Done,
    folder: PathBuf,
    reports: Vec<String>,
}

/// Runs the command.
pub(super) fn run(context: &Context, args: &PipelineArgs, to: &ToArgs, force: &[String], how: &HowArgs) -> Exit {
    match try_run(context, args, to, force, how) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_run(context: &Context, args: &PipelineArgs, to: &ToArgs, force: &[String], how: &HowArgs) -> Result<Exit, Exit> {
    let pipeline = load_args(context, args)?;
    theirs::spare_reports(context, &pipeline, to, &folder_of(&pipeline, to), None)?;
    let ran = perform(context, &pipeline, args, to, force, how)?;
    tell(context, &ran, how);
    emit::emit(context, &to.emit, &emit::report(context, &pipeline, &ran.done))?;
    Ok(ended(context, &pipeline, &ran, args, how).err().unwrap_or(Exit::Success))
}

/// Where a run goes.
pub(super) fn folder_of(pipeline: &Pipeline, to: &ToArgs) -> PathBuf {
    to.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(&pipeline.name))
}

/// Runs a pipeline and writes its run folder.
pub(super) fn perform(
    context: &Context,
    pipeline: &Pipeline,
    args: &PipelineArgs,
    to: &ToArgs,
    force: &[String],
    how: &HowArgs,
) -> Result<Ran, Exit> {
    let force = forced(context, pipeline, force)?;
    if args.locked {
        lock::hold(context, pipeline, Missing::Fetched)?;
    }
    let options = Options { force, ..limits::options(context, pipeline, how)? };
    let folder = folder_of(pipeline, to);
    theirs::spare_folder(context, pipeline, &folder)?;
    let existed = folder.exists();
    let log = log(context, &folder)?;
    let display = context.display();
    let mut hearers = display.listeners();
    let recorder = Recorder::default();
    hearers.extend([&log as &dyn Listener, &recorder]);
    let listeners = Listeners(hearers);
    let fetcher = context.fetcher();
    let session = Session {
        pipeline,
        store: context.store()?,
        fetcher: &fetcher,
        options,
        listener: &listeners,
        cancelled: &context.cancelled,
    };
    let done = session.run(&Wanted::Everything);
    display.clear();
    let done = done.map_err(|error| {
        if !existed {
            // Nothing ran: a folder made for this run alone goes again. Neither call removes anything else.
            drop(fs::remove_file(folder.join("events.jsonl")).and_then(|()| fs::remove_dir(&folder)));
        }
        context.run_failed(&error)
    })?;
    session.record(&done, &folder);
    let reports = write_folder(pipeline, &done, &folder, recorder.files(&pipeline.name))
        .map_err(|error| context.run_failed(&error))?;
    if done.summary.status == Status::Complete {
        lock::keep(context, pipeline, args, &done.standing);
    }
    Ok(Ran { done, folder, reports })
}

/// Whether a run did all that was asked, and its data is as the pipeline expects; how the command ends if not.
pub(super) fn ended(
    context: &Context,
    pipeline: &Pipeline,
    ran: &Ran,
    args: &PipelineArgs,
    how: &HowArgs,
) -> Result<(), Exit> {
    let done = &ran.done;
    if args.locked && !done.differing.is_empty() {
        return Err(Exit::Integrity);
    }
    let held = expect::hold(context, pipeline, &done.summary);
    match done.summary.status {
        Status::Complete => held,
        Status::Failed if how.keep_going => Err(Exit::Partial),
        Status::Failed => Err(Exit::StageFailed),
        Status::Interrupted => Err(Exit::Partial),
    }
}

/// The run folder's `events.jsonl`.
fn log(context: &Context, folder: &Path) -> Result<JsonLines<File>, Exit> {
    let file = fs::create_dir_all(folder).and_then(|()| File::create(folder.join("events.jsonl")));
    file.map(JsonLines::new).map_err(|error| {
        let problem = Problem::error("io", format!("cannot write to the run folder `{}`", folder.display()));
        let problem = problem.because(error.to_string()).help("name another folder with `--out DIR`");
        context.tell(&problem.into());
        Exit::Usage
    })
}

/// What `--force` asks for.
pub(super) fn forced(context: &Context, pipeline: &Pipeline, force: &[String]) -> Result<Force, Exit> {
    if force.is_empty() {
        return Ok(Force::Nothing);
    }
    if force.iter().any(String::is_empty) {
        return Ok(Force::Everything);
    }
    for stage in force {
        known_stage(context, pipeline, stage, &format!("--force={stage}"))?;
    }
    Ok(Force::Stages(force.to_vec()))
}

/// A complaint about a flag that names a stage which the file does not have.
pub(super) fn known_stage(context: &Context, pipeline: &Pipeline, stage: &str, flag: &str) -> Result<(), Exit> {
    if pipeline.stage_order.iter().any(|known| known == stage) {
        return Ok(());
    }
    let mut problem = Problem::error("unknown-stage", format!("there is no stage `{stage}`"));
    if let Some(near) = suggest(stage, pipeline.stage_order.iter().map(String::as_str)) {
        problem = problem.help(format!("did you mean `{near}`?"));
    }
    Err(usage(context, problem, flag))
}

/// Tells what a run came to.
pub(super) fn tell(context: &Context, ran: &Ran, how: &HowArgs) {
    let Ran { done, folder, reports } = ran;
    let summary = &done.summary;
    if context.format == MessageFormat::Json {
        let line = serde_json::json!({ "event": "summary", "folder": folder, "summary": summary });
        out(format!("{line}\n").as_bytes());
        return;
    }
    if context.look.verbosity == Verbosity::Quiet {
        return;
    }
    match summary.status {
        Status::Complete => say(""),
        Status::Failed if how.keep_going => {
            say("\nsome units failed; what does not depend on them is done and cached\n");
        }
        Status::Failed => say(
            "\nafter the failure nothing new was started; what is finished is cached (`-k` runs what does not depend on it)\n",
        ),
        Status::Interrupted => {
            say("\ninterrupted: what is finished is cached, and the same command goes on from there\n")
        }
    }
    say(&table::summary(summary, width()));
    for warning in &summary.warnings {
        say(&format!("warning: {}", visible(warning)));
    }
    let report = reports.first().map_or_else(|| folder.to_path_buf(), |name| folder.join(name));
    say(&format!("see {}", report.display()));
}
