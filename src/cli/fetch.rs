//! `fuseline fetch`: fetches whatever a pipeline names, so that it runs offline.

use super::args::PipelineArgs;
use super::console::say;
use super::context::Context;
use super::exit::Exit;
use super::{load_args, lock};
use crate::run::{Listeners, Missing, Options, Session};
use crate::ui::{Verbosity, bytes};

/// Runs the command.
pub(super) fn fetch(context: &Context, args: &PipelineArgs) -> Exit {
    match try_fetch(context, args) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_fetch(context: &Context, args: &PipelineArgs) -> Result<Exit, Exit> {
    let pipeline = load_args(context, args)?;
    if args.locked {
        lock::hold(context, &pipeline, Missing::Fetched)?;
    }
    let display = context.display();
    let fetcher = context.fetcher();
    let session = Session {
        pipeline: &pipeline,
        store: context.store()?,
        fetcher: &fetcher,
        options: Options::default(),
        listener: &Listeners(display.listeners()),
        cancelled: &context.cancelled,
    };
    let files = session.fetch().and_then(|files| Ok((files, session.standing(Missing::Fetched)?)));
    display.clear();
    let (files, standing) = files.map_err(|error| context.run_failed(&error))?;
    lock::keep(context, &pipeline, args, &standing);
    if context.look.verbosity > Verbosity::Quiet {
        for file in &files {
            say(&format!("{} ({}, sha256 {})", file.source, bytes(file.bytes), file.sha256));
        }
        say(&format!("{} files are here; the pipeline runs with `--offline`", files.len()));
    }
    Ok(Exit::Success)
}
