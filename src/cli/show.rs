//! `fuseline show`: prints what a stage made, running what is needed for it.

use std::path::PathBuf;

use arrow::array::{Array, FixedSizeListArray, ListArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthChar;

use super::args::{PipelineArgs, ShowFormat};
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use super::{limits, load_args, lock, usage};
use crate::pipeline::Pipeline;
use crate::problem::{Problem, Problems, suggest};
use crate::run::{Done, Listeners, Missing, Session, State, Wanted};
use crate::stage::{Parts, Work};
use crate::table::to_parquet;
use crate::ui::table::align;

/// How many rows a table shows unless told.
const ROWS: usize = 20;
/// How wide a cell of a table may be.
const CELL: usize = 60;

/// What is to be shown.
pub(super) struct Shown {
    pub(super) stage: String,
    pub(super) fold: Option<u32>,
    pub(super) part: Option<String>,
    pub(super) format: ShowFormat,
    pub(super) rows: Option<usize>,
    pub(super) out: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn show(context: &Context, args: &PipelineArgs, shown: &Shown) -> Exit {
    match try_show(context, args, shown) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_show(context: &Context, args: &PipelineArgs, shown: &Shown) -> Result<Exit, Exit> {
    let pipeline = load_args(context, args)?;
    if args.locked {
        lock::hold(context, &pipeline, Missing::Fetched)?;
    }
    let variant = variant(context, &pipeline, shown)?;
    let fold = shown.fold.map(|fold| fold - 1);
    let wanted = Wanted::Stage { stage: shown.stage.clone(), variant, fold };
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
    let done = session.run(&wanted);
    display.clear();
    let done = done.map_err(|error| context.run_failed(&error))?;
    let units = done.units_of(&shown.stage, variant, fold);
    let failed = || done.states.iter().any(|state| matches!(state, State::Failed(_)));
    let Some(&last) = units.first() else {
        if failed() || done.interrupted {
            return Err(if done.interrupted { Exit::Partial } else { Exit::StageFailed });
        }
        let folds = folds(&done, &shown.stage, variant);
        let problem = Problem::error("usage", format!("`{}` has no such fold; it is in {folds} folds", shown.stage));
        return Err(usage(context, problem, &format!("--fold {}", shown.fold.unwrap_or(1))));
    };
    let mut parts = Parts::default();
    let mut made_by = std::collections::BTreeMap::new();
    for &unit in &units {
        let Some(manifest) = done.states[unit.index()].manifest() else {
            return Err(if done.interrupted { Exit::Partial } else { Exit::StageFailed });
        };
        for (name, part) in session.parts(manifest).iter() {
            if parts.part(name).is_none() {
                parts.insert(name, part.clone());
                made_by.insert(name.to_owned(), unit);
            }
        }
    }
    let name = part(context, &parts, shown)?;
    let table = parts.table(&name).map_err(|error| {
        context.tell(
            &Problem::error("damaged", format!("`{}` cannot be read", shown.stage)).because(error.to_string()).into(),
        );
        Exit::Integrity
    })?;
    let others: Vec<&str> = parts.iter().map(|(other, _)| other).filter(|other| *other != name).collect();
    let shape = format!("{} rows, {} columns", table.num_rows(), table.num_columns());
    let title = done.plan.unit(made_by.get(&name).copied().unwrap_or(last)).title();
    say(&match others.is_empty() {
        true => format!("{title}: `{name}`, {shape}"),
        false => {
            let few = others.iter().take(8).copied().collect::<Vec<_>>().join(", ");
            let more = if others.len() > 8 { format!(", and {} more", others.len() - 8) } else { String::new() };
            format!("{title}: `{name}`, {shape} (other parts: {few}{more}; `--part NAME` shows one)")
        }
    });
    write(shown, &table)
}

/// How many folds a stage is in.
fn folds(done: &Done, stage: &str, variant: usize) -> usize {
    let mut folds: Vec<u32> = done.plan.of_stage(stage, variant).filter_map(|unit| unit.fold).collect();
    folds.sort_unstable();
    folds.dedup();
    folds.len()
}

/// The first of the variants asked for that has the stage.
fn variant(context: &Context, pipeline: &Pipeline, shown: &Shown) -> Result<usize, Exit> {
    let has = |index: &usize| pipeline.variants[*index].stages.iter().any(|node| node.id == shown.stage);
    if !pipeline.stage_order.contains(&shown.stage) {
        let mut problem = Problem::error("unknown-stage", format!("there is no stage `{}`", shown.stage));
        if let Some(near) = suggest(&shown.stage, pipeline.stage_order.iter().map(String::as_str)) {
            problem = problem.help(format!("did you mean `{near}`?"));
        }
        let problem = problem.note(format!("the stages are {}", pipeline.stage_order.join(", ")));
        return Err(usage(context, problem, &format!("show {}", shown.stage)));
    }
    let sink = |node: &crate::pipeline::Node| node.id == shown.stage && matches!(*node.work, Work::Sink(_));
    if pipeline.variants.iter().flat_map(|variant| &variant.stages).any(|node| sink(node)) {
        let problem = Problem::error("usage", format!("`{}` writes files for people and keeps no table", shown.stage));
        return Err(usage(context, problem.help("`fuseline run` writes them"), &format!("show {}", shown.stage)));
    }
    (0..pipeline.variants.len()).find(has).ok_or_else(|| {
        let those = if pipeline.selection.is_some() { "none of the selected variants" } else { "no variant" };
        let problem = Problem::error("unknown-stage", format!("{those} uses `{}`", shown.stage));
        usage(context, problem, &format!("show {}", shown.stage))
    })
}

fn part(context: &Context, parts: &Parts, shown: &Shown) -> Result<String, Exit> {
    let names: Vec<&str> = parts.iter().map(|(name, _)| name).collect();
    match &shown.part {
        Some(name) if names.contains(&name.as_str()) => Ok(name.clone()),
        Some(name) => {
            let problem = Problem::error("usage", format!("`{}` has no part `{name}`", shown.stage));
            Err(usage(context, problem.note(format!("its parts are {}", names.join(", "))), &format!("--part {name}")))
        }
        None => {
            let first = ["text", "metrics", "predictions"]
                .into_iter()
                .find(|name| names.contains(name))
                .or(names.first().copied());
            first.map(str::to_owned).ok_or_else(|| {
                context.tell(&Problems::from(Problem::error("usage", format!("`{}` made no table", shown.stage))));
                Exit::Usage
            })
        }
    }
}

fn write(shown: &Shown, table: &RecordBatch) -> Result<Exit, Exit> {
    let most = shown.rows.unwrap_or(if shown.format == ShowFormat::Table { ROWS } else { usize::MAX });
    let cut = table.slice(0, table.num_rows().min(most));
    let bytes = match shown.format {
        ShowFormat::Table => text(&cut, table.num_rows() - cut.num_rows()),
        ShowFormat::Jsonl => jsonl(&cut),
        ShowFormat::Csv => csv(&cut),
        ShowFormat::Parquet => to_parquet(&cut).map_err(|error| error.to_string()),
    };
    let bytes = bytes.map_err(|error| {
        say(&format!("error: the table cannot be printed: {error}"));
        Exit::StageFailed
    })?;
    match &shown.out {
        None => Ok(out(&bytes)),
        Some(file) => std::fs::write(file, bytes).map(|()| Exit::Success).map_err(|error| {
            say(&format!("error: cannot write `{}`: {error}", file.display()));
            Exit::Usage
        }),
    }
}

fn text(table: &RecordBatch, more: usize) -> Result<Vec<u8>, String> {
    let mut rows = vec![table.schema_ref().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()];
    for row in 0..table.num_rows() {
        rows.push(table.columns().iter().map(|column| clipped(&cell(column, row))).collect());
    }
    let mut text = align(&rows);
    if more > 0 {
        text.push_str(&format!("… and {more} more rows (`--rows N` shows more)\n"));
    }
    Ok(text.into_bytes())
}

/// A cell as text on one line, control characters made visible.
fn clipped(cell: &Value) -> String {
    let whole = match cell {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    };
    let mut text = String::new();
    let mut width = 0;
    for letter in whole.chars() {
        let shown = if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() };
        width += shown.chars().filter_map(UnicodeWidthChar::width).sum::<usize>();
        if width > CELL {
            return text + "…";
        }
        text.push_str(&shown);
    }
    text
}

fn jsonl(table: &RecordBatch) -> Result<Vec<u8>, String> {
    let mut lines = Vec::new();
    for row in 0..table.num_rows() {
        let fields = table.schema_ref().fields().iter().zip(table.columns());
        let object: Map<String, Value> =
            fields.map(|(field, column)| (field.name().clone(), cell(column, row))).collect();
        lines.extend(Value::Object(object).to_string().into_bytes());
        lines.push(b'\n');
    }
    Ok(lines)
}

fn csv(table: &RecordBatch) -> Result<Vec<u8>, String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let said = |error: ::csv::Error| error.to_string();
    writer.write_record(table.schema_ref().fields().iter().map(|field| field.name())).map_err(said)?;
    for row in 0..table.num_rows() {
        let cells = table.columns().iter().map(|column| match cell(column, row) {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        });
        writer.write_record(cells).map_err(said)?;
    }
    writer.into_inner().map_err(|error| error.to_string())
}

/// A cell as JSON.
fn cell(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    let list = |values: &dyn Array| Value::Array((0..values.len()).map(|at| cell(values, at)).collect());
    if let Some(lists) = column.as_any().downcast_ref::<ListArray>() {
        return list(&*lists.value(row));
    }
    if let Some(lists) = column.as_any().downcast_ref::<FixedSizeListArray>() {
        return list(&*lists.value(row));
    }
    let options = FormatOptions::default();
    let shown = ArrayFormatter::try_new(column, &options).ok().and_then(|f| f.value(row).try_to_string().ok());
    let shown = shown.unwrap_or_default();
    match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => Value::String(shown),
        _ => serde_json::from_str(&shown).unwrap_or(Value::String(shown)),
    }
}
