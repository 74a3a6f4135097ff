//! Who else is told what a run came to? `--emit`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use super::console::out;
use super::context::Context;
use super::exit::Exit;
use crate::emit::{Emit, FailedUnit, Form, Place, Report};
use crate::pipeline::Pipeline;
use crate::problem::Problem;
use crate::run::{Done, State};

/// The report on a run, its gates left out.
pub(super) fn report(pipeline: &Pipeline, done: &Done) -> Report {
    let here = std::env::current_dir().ok();
    let here = here.as_deref();
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
    let place = |stage: &str| stage_place(pipeline, stage, here);
    let file = pipeline.file.display().to_string();
    let mut report = Report::of(&done.summary, &file, &failed, &place, here);
    for (case, expected) in report.expectations.iter_mut().zip(&pipeline.expect) {
        case.place = expected.at.as_ref().and_then(|at| Place::of(at, here));
    }
    report
}

/// Where a stage is written.
pub(super) fn stage_place(pipeline: &Pipeline, stage: &str, here: Option<&Path>) -> Option<Place> {
    Place::of(&pipeline.origin(stage, &[])?, here)
}

/// Writes the report in each form that was asked for.
pub(super) fn emit(context: &Context, all: &[Emit], report: &Report) -> Result<(), Exit> {
    for Emit { form, path } in all {
        let text = form.text(report);
        match path {
            None => match out(text.as_bytes()) {
                Exit::Success => {}
                failed => return Err(failed),
            },
            Some(path) => replace(path, text.as_bytes()).map_err(|error| failed(context, path, &error))?,
        }
        if *form == Form::Github
            && let Some(path) = context.step_summary()
        {
            let text = Form::Markdown.text(report);
            append(&path, text.as_bytes()).map_err(|error| failed(context, &path, &error))?;
        }
    }
    Ok(())
}

/// Writes a file, whole or not at all. What is no file of its own (a pipe, a device) is written to.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return std::fs::write(path, bytes);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".fuseline-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path)?;
    Ok(())
}

/// Other tools of the same step write there too.
fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
}

fn failed(context: &Context, path: &Path, error: &io::Error) -> Exit {
    let problem = Problem::error("io", format!("cannot write `{}`", path.display())).because(error.to_string());
    context.tell(&problem.help("the run itself is done and cached: name another file with `--emit`").into());
    Exit::StageFailed
}
