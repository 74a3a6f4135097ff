//! What does each command do? One file per command; the only place with standard output, exit codes and the environment.

mod args;
mod baseline;
mod cache;
mod check;
mod console;
mod context;
mod diff;
mod emit;
mod exit;
mod expect;
mod explain;
mod explain_prediction;
mod export;
mod fetch;
mod gate;
mod interrupt;
mod limits;
mod lock;
mod pack;
mod plan;
mod predict;
mod recompute;
mod run;
mod runs;
mod schema;
mod show;
mod theirs;
mod verify;
mod words;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use rustc_hash::FxHashSet;

use args::{Cli, Command, MessageFormat, PipelineArgs};
use console::say;
use context::Context;
use exit::Exit;

use crate::bundle::Occupied;
use crate::bundle::answers::Scores;
use crate::pipeline::{Choosing, Pipeline};
use crate::problem::{Origin, Problem, Problems, Severity};
use crate::stages::STAGES;
use crate::ui::Verbosity;

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
        Command::Run { pipeline, to, force, how, dry_run: false } => run::run(context, &pipeline, &to, &force, &how),
        Command::Run { pipeline, force, .. } => plan::dry_run(context, &pipeline, &force),
        Command::Gate { pipeline, gate, to, how } => gate::gate(context, &pipeline, &gate, &to, &how),
        Command::Plan { pipeline, why, format } => plan::plan(context, &pipeline, why.as_deref(), format),
        Command::Check { files, sets, locked, data } => {
            let held = if locked { check::Held::ToTheLock } else { check::Held::ToNothing };
            if data { check::data(context, &files, &sets, held) } else { check::check(context, &files, &sets, held) }
        }
        Command::Explain { name } => explain::explain(context, name.as_deref()),
        Command::Schema { which, write } => schema::schema(context, which, write.as_deref()),
        Command::Show { pipeline, stage, fold, part, format, rows, out } => {
            let wanted = show::Shown { stage, fold, part, format, rows, out };
            show::show(context, &pipeline, &wanted)
        }
        Command::Fetch { pipeline } => fetch::fetch(context, &pipeline),
        Command::Diff { before, after, exit_code } => {
            let if_different = if exit_code { diff::IfDifferent::Fails } else { diff::IfDifferent::Fine };
            diff::compare(context, &before, &after, if_different)
        }
        Command::Verify { run, base } => verify::verify(context, &run, base.as_deref()),
        Command::Pack { run, out, with_data } => {
            pack::pack(context, &run, &out, if with_data { pack::Data::With } else { pack::Data::Without })
        }
        Command::Export { pipeline, stage, best, out, force } => {
            let wanted = export::Wanted { stage, best };
            let occupied = if force { Occupied::Replaced } else { Occupied::Refused };
            export::export(context, &pipeline, &wanted, &out, occupied)
        }
        Command::Predict { folder, files, rows, output, out, scores } => {
            let scores = if scores { Scores::All } else { Scores::OfPredicted };
            let to = predict::To { format: output, out, scores };
            predict::predict(context, &folder, &files, &rows, &to)
        }
        Command::ExplainPrediction { folder, text, rows, class, terms, json } => {
            let shown = explain_prediction::Shown { class, terms, json };
            explain_prediction::explain(context, &folder, text, &rows, &shown)
        }
        Command::Runs { command } => runs::runs(context, &command),
        Command::Cache { command } => cache::cache(context, &command),
        Command::Completions { .. } => Exit::Success,
    }
}

/// Reads a pipeline, telling whatever is wrong or worth a word.
fn load(context: &Context, file: &Path, sets: &[String], choosing: &Choosing<'_>) -> Result<Pipeline, Exit> {
    let most = match context.settings.max_variants {
        0 => usize::MAX,
        most => most,
    };
    let pipeline = Pipeline::load_some(file, sets, STAGES, &Choosing { most, ..*choosing }).map_err(|problems| {
        context.tell(&problems);
        let refused = |problem: &Problem| problem.severity != Severity::Error || problem.code == "too-many-variants";
        if problems.0.iter().all(refused) { Exit::Budget } else { Exit::Usage }
    })?;
    let wrong = gate::wrong_gates(&pipeline, &pipeline.gates);
    if !wrong.0.is_empty() {
        context.tell(&wrong);
        return Err(Exit::Usage);
    }
    let mut warnings = pipeline.warnings.clone();
    warnings.extend(advice(&pipeline));
    if !warnings.0.is_empty() {
        context.tell(&warnings);
    }
    Ok(pipeline)
}

fn load_args(context: &Context, args: &PipelineArgs) -> Result<Pipeline, Exit> {
    let choosing = Choosing { variants: &args.variants, partition: args.partition.as_deref(), ..Choosing::default() };
    let pipeline = load(context, &args.file, &args.sets, &choosing)?;
    if let Some(selection) = &pipeline.selection
        && context.format == MessageFormat::Human
        && context.look.verbosity > Verbosity::Quiet
    {
        say(&match (selection.selected, &selection.partition) {
            (0, Some(shard)) => format!("none of the {} variants is in the shard {shard}: nothing to do", selection.of),
            (some, _) => format!("{some} of {} variants are selected", selection.of),
        });
    }
    Ok(pipeline)
}

/// What the stages have to say before anything runs, each thing once.
fn advice(pipeline: &Pipeline) -> Problems {
    let mut all = Problems::default();
    let mut seen = FxHashSet::default();
    for node in pipeline.variants.iter().flat_map(|variant| &variant.stages) {
        if !seen.insert(Arc::as_ptr(&node.work).cast::<()>()) {
            continue;
        }
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
