//! Who else is told what a run came to? `--emit`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::console::out;
use super::context::Context;
use super::exit::Exit;
use crate::emit::{Emit, FailedUnit, Form, Place, Report};
use crate::pipeline::Pipeline;
use crate::problem::{Origin, Problem};
use crate::run::{Done, State};

/// The report on a run, its gates left out.
pub(super) fn report(context: &Context, pipeline: &Pipeline, done: &Done) -> Report {
    let mut failed = Vec::new();
    for (&id, state) in done.plan.order.iter().zip(&done.states) {
        let State::Failed(problem) = state else { continue };
        let unit = done.plan.unit(id);
        failed.push(FailedUnit {
            stage: unit.stage.clone(),
            phase: unit.phase.as_str().to_owned(),
            fold: unit.fold.as_ref().and_then(|fold| fold.number),
            problem: (**problem).clone(),
        });
    }
    let place = |stage: &str| stage_place(context, pipeline, stage);
    let file = pipeline.file.display().to_string();
    let mut report = Report::of(&done.summary, &file, &failed, &place, &|file| named(context, file));
    for (case, expected) in report.expectations.iter_mut().zip(&pipeline.expect) {
        case.place = expected.at.as_ref().and_then(|at| place_of(context, at));
    }
    report
}

/// Where a stage is written.
pub(super) fn stage_place(context: &Context, pipeline: &Pipeline, stage: &str) -> Option<Place> {
    place_of(context, &pipeline.origin(stage, &[])?)
}

/// The place that an origin names, as those who show it beside the line call the file.
pub(super) fn place_of(context: &Context, origin: &Origin) -> Option<Place> {
    Place::of(origin, &|file| named(context, file))
}

/// A file's path from the root of the checkout, or of the working directory; else as typed.
fn named(context: &Context, file: &str) -> String {
    let typed = Path::new(file);
    let inside = |root: PathBuf| {
        let whole = typed.canonicalize().ok()?;
        whole.strip_prefix(root.canonicalize().ok()?).ok().map(Path::to_path_buf)
    };
    let here = || std::env::current_dir().ok().and_then(inside);
    let path = context.checkout().and_then(inside).or_else(here).unwrap_or_else(|| typed.to_owned());
    path.display().to_string()
}

/// Writes the report in each form that was asked for. One that cannot be written keeps none of the others back.
pub(super) fn emit(context: &Context, all: &[Emit], report: &Report) -> Result<(), Exit> {
    let mut ended = Ok(());
    for Emit { form, path } in all {
        let text = form.text(report);
        let written = match path {
            None => match out(text.as_bytes()) {
                Exit::Success => Ok(()),
                failed => Err(failed),
            },
            Some(path) => replace(path, text.as_bytes())
                .map_err(|error| failed(context, path, &error, "name another file with `--emit`")),
        };
        ended = ended.and(written);
        if *form == Form::Github
            && let Some(path) = context.step_summary()
        {
            let text = Form::Markdown.text(report);
            let help = "`GITHUB_STEP_SUMMARY` names that file: unset it, or let it name one that can be written";
            ended = ended.and(append(&path, text.as_bytes()).map_err(|error| failed(context, &path, &error, help)));
        }
    }
    ended
}

/// Writes a file, whole or not at all. What is no file of its own (a pipe, a device) is written to.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return std::fs::write(path, bytes);
    }
    crate::whole::write_with_folder(path, bytes)
}

/// Other tools of the same step write there too.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
}

fn failed(context: &Context, path: &Path, error: &io::Error, help: &str) -> Exit {
    let problem = Problem::error("io", format!("cannot write `{}`", path.display())).because(error.to_string());
    context.tell(&problem.help(format!("the run itself is done and cached: {help}")).into());
    Exit::StageFailed
}
