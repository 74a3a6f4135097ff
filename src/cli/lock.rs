//! How is a pipeline held to the lock beside it, and when is the lock written?

use super::args::PipelineArgs;
use super::context::Context;
use super::exit::Exit;
use super::limits;
use crate::lock::{Coverage, Drift, Lock, LockError};
use crate::pipeline::Pipeline;
use crate::problem::{Origin, Problem, Problems};
use crate::run::{Listeners, Missing, RunError, Session, Standing};

/// Goes on only if the pipeline is what its lock says; tells all that is not so.
pub(super) fn hold(context: &Context, pipeline: &Pipeline, missing: Missing) -> Result<(), Exit> {
    let path = Lock::path_of(&pipeline.file);
    let lock = Lock::read(&path).map_err(|error| no_lock(context, pipeline, &error))?;
    let now = standing(context, pipeline, missing)?.map_err(|error| context.run_failed(&error))?;
    let whole = now.unknown.is_empty() && pipeline.selection.is_none();
    let coverage = if whole { Coverage::Whole } else { Coverage::Part };
    let mut problems = Problems::default();
    for drift in lock.drift(&now.lock, coverage) {
        let problem = Problem::error("lock-drift", drift.said()).at(origin(pipeline, &now, &drift, &path));
        problems.push(problem);
    }
    if let Some(last) = problems.0.last_mut() {
        last.help.push("if that is meant, run once without `--locked`, which writes the lock anew".to_owned());
        context.tell(&problems);
        return Err(Exit::Locked);
    }
    let mut words = Problems::default();
    for (name, class) in &now.lock.numeric {
        if let Some(locked) = lock.numeric.get(name).filter(|locked| *locked != class) {
            let said = format!("the lock was written on another machine: numeric class `{locked}`, here `{class}`");
            words.push(Problem::warning("lock-drift", said).note("the last bits of results may differ"));
        }
    }
    if !now.unknown.is_empty() {
        let said = format!("{} sources are not here and were not held to the lock", now.unknown.len());
        words.push(Problem::warning("lock-drift", said).help("`fuseline fetch FILE --locked` fetches and holds them"));
    }
    if !words.0.is_empty() {
        context.tell(&words);
    }
    Ok(())
}

/// Writes the lock of a pipeline that ran as its file has it, if anything in it changed. A run does not fail for it.
pub(super) fn keep(context: &Context, pipeline: &Pipeline, args: &PipelineArgs, standing: &Standing) {
    // A lock is about the whole file as it stands, and what is locked is not written.
    let part = !args.sets.is_empty() || pipeline.selection.is_some() || !standing.unknown.is_empty();
    if args.locked || part {
        return;
    }
    let path = Lock::path_of(&pipeline.file);
    let same =
        |lock: Lock| lock.pipeline == standing.lock.pipeline && lock.drift(&standing.lock, Coverage::Whole).is_empty();
    if Lock::read(&path).is_ok_and(same) {
        return;
    }
    if let Err(error) = standing.lock.write(&path) {
        let problem = Problem::warning("io", format!("the lock `{}` cannot be written", path.display()));
        context.tell(&problem.because(error.to_string()).into());
    }
}

/// What the lock would say now.
fn standing(context: &Context, pipeline: &Pipeline, missing: Missing) -> Result<Result<Standing, RunError>, Exit> {
    let display = context.display();
    let fetcher = context.fetcher();
    let session = Session {
        pipeline,
        store: context.store()?,
        fetcher: &fetcher,
        options: limits::plain(context),
        listener: &Listeners(display.listeners()),
        cancelled: &context.cancelled,
    };
    let standing = session.standing(missing);
    display.clear();
    Ok(standing)
}

fn no_lock(context: &Context, pipeline: &Pipeline, error: &LockError) -> Exit {
    let problem = Problem::error("lock-missing", error.to_string());
    let help = format!("run once without `--locked`, which writes it: `fuseline run {}`", pipeline.file.display());
    context.tell(&problem.help(help).into());
    Exit::Locked
}

/// The line of the pipeline that names what changed; the lock, where the pipeline no longer does.
fn origin(pipeline: &Pipeline, now: &Standing, drift: &Drift, lock: &std::path::Path) -> Option<Origin> {
    let in_lock = || Some(Origin::WholeFile { file: lock.display().to_string().into() });
    match drift {
        Drift::Seed { .. } => pipeline.seed_origin(),
        Drift::Kind { kind, .. } => {
            let mut nodes = pipeline.variants.iter().flat_map(|variant| &variant.stages);
            let node = nodes.find(|node| node.kind.name == kind);
            node.map_or_else(in_lock, |node| pipeline.origin(&node.id, &[]))
        }
        Drift::File { source, .. } => match now.named.get(source) {
            Some((stage, param)) => {
                let way: Vec<&str> = param.iter().map(String::as_str).collect();
                pipeline.origin(stage, &way)
            }
            None => in_lock(),
        },
    }
}
