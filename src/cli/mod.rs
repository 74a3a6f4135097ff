//! What does each command do? One file per command; the only place with standard output, exit codes and the environment.

mod args;
mod cache;
mod check;
mod console;
mod context;
mod exit;
mod explain;
mod fetch;
mod interrupt;
mod limits;
mod plan;
mod recompute;
mod run;
mod schema;
mod show;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, PipelineArgs};
use context::Context;
use exit::Exit;

use crate::pipeline::Pipeline;
use crate::problem::{Origin, Problem, Problems};
use crate::stages::STAGES;

pub use schema::{schemas, stages_page};

/// Parses the command line, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let help = !error.use_stderr();
            // A terminal that takes no text cannot be told so.
            drop(error.print());
            return if help { Exit::Success } else { Exit::Usage }.into();
        }
    };
    if let Command::Completions { shell } = &cli.command {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "fuseline", &mut script);
        return console::out(&script).into();
    }
    match Context::new(&cli.common) {
        Ok(context) => dispatch(&context, cli.command).into(),
        Err(exit) => exit.into(),
    }
}

fn dispatch(context: &Context, command: Command) -> Exit {
    match command {
        Command::Run { pipeline, out, force, how, dry_run: false } => {
            run::run(context, &pipeline, out.as_deref(), &force, &how)
        }
        Command::Run { pipeline, force, .. } => plan::dry_run(context, &pipeline, &force),
        Command::Plan { pipeline, why, format } => plan::plan(context, &pipeline, why, format),
        Command::Check { files, sets } => check::check(context, &files, &sets),
        Command::Explain { name } => explain::explain(context, name.as_deref()),
        Command::Schema { which, write } => schema::schema(context, which, write.as_deref()),
        Command::Show { pipeline, stage, variant, fold, part, format, rows, out } => {
            let wanted = show::Shown { stage, variant, fold, part, format, rows, out };
            show::show(context, &pipeline, &wanted)
        }
        Command::Fetch { pipeline } => fetch::fetch(context, &pipeline),
        Command::Cache { command } => cache::cache(context, &command),
        Command::Completions { .. } => Exit::Success,
    }
}

/// Reads a pipeline, telling whatever is wrong or worth a word.
fn load(context: &Context, file: &Path, sets: &[String]) -> Result<Pipeline, Exit> {
    let pipeline = Pipeline::load(file, sets, STAGES).map_err(|problems| {
        context.tell(&problems);
        Exit::Usage
    })?;
    let mut warnings = pipeline.warnings.clone();
    warnings.extend(advice(&pipeline));
    if !warnings.0.is_empty() {
        context.tell(&warnings);
    }
    Ok(pipeline)
}

fn load_args(context: &Context, args: &PipelineArgs) -> Result<Pipeline, Exit> {
    load(context, &args.file, &args.sets)
}

/// What the stages have to say before anything runs, each thing once.
fn advice(pipeline: &Pipeline) -> Problems {
    let mut all = Problems::default();
    for node in pipeline.variants.iter().flat_map(|variant| &variant.stages) {
        for advice in node.work.stage().advice() {
            let problem =
                Problem::warning("advice", format!("`{}`: {advice}", node.id)).at(pipeline.origin(&node.id, &[]));
            if !all.0.contains(&problem) {
                all.push(problem);
            }
        }
    }
    all
}

/// A complaint about the command line itself.
fn usage(context: &Context, problem: Problem, flag: &str) -> Exit {
    let problem = problem.at(Origin::Flag { text: flag.into(), overrides: None });
    context.tell(&problem.into());
    Exit::Usage
}
