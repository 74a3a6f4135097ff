//! `fuseline plan`: shows what a pipeline comes to. Runs and fetches nothing.

use super::args::{MessageFormat, PipelineArgs, PlanFormat};
use super::console::out;
use super::context::Context;
use super::exit::Exit;
use super::run::{forced, known_stage};
use super::{limits, load_args, lock};
use crate::plan::cost::Estimate;
use crate::plan::view::{Standing, View, Why};
use crate::run::{Listeners, Missing, Options, Session, Status};
use crate::ui::{bytes as size, counted, duration};

/// Runs the command.
pub(super) fn plan(context: &Context, args: &PipelineArgs, why: Option<&str>, format: PlanFormat) -> Exit {
    let why = match why {
        None => Why::Untold,
        Some("") => Why::All,
        Some(stage) => Why::Of(stage),
    };
    match look(context, args, why, format, &[]) {
        Ok(exit) | Err(exit) => exit,
    }
}

/// `fuseline run -n`.
pub(super) fn dry_run(context: &Context, args: &PipelineArgs, force: &[String]) -> Exit {
    match look(context, args, Why::All, PlanFormat::Text, force) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn look(
    context: &Context,
    args: &PipelineArgs,
    why: Why<'_>,
    format: PlanFormat,
    force: &[String],
) -> Result<Exit, Exit> {
    let pipeline = load_args(context, args)?;
    let force = forced(context, &pipeline, force)?;
    if let Why::Of(stage) = why {
        known_stage(context, &pipeline, stage, &format!("--why={stage}"))?;
    }
    if args.locked {
        lock::hold(context, &pipeline, Missing::LeftOut)?;
    }
    let fetcher = context.fetcher();
    let session = Session {
        pipeline: &pipeline,
        store: context.store()?,
        fetcher: &fetcher,
        options: Options { force, ..limits::plain(context) },
        listener: &Listeners(Vec::new()),
        cancelled: &context.cancelled,
    };
    let look = session.look().map_err(|error| context.run_failed(&error))?;
    let standing: Vec<Standing> = look
        .status
        .into_iter()
        .map(|status| match status {
            Status::Hit(_) => Standing::Cached,
            Status::Miss(misses) => Standing::MustRun(misses),
        })
        .collect();
    let estimate = spoken(&look.estimate, context.settings.threads());
    let view = View { pipeline: &pipeline, plan: &look.plan, standing: &standing, estimate };
    let format = if context.format == MessageFormat::Json { PlanFormat::Json } else { format };
    let text = match format {
        PlanFormat::Text => view.text(why),
        PlanFormat::Dot => view.dot(),
        PlanFormat::Mermaid => view.mermaid(),
        PlanFormat::Json => {
            let mut json = view.json();
            json["estimate"] = serde_json::json!(look.estimate);
            format!("{json}\n")
        }
    };
    Ok(out(text.as_bytes()))
}

/// What is to run may come to, on a line of its own; nothing if nothing is to run.
fn spoken(estimate: &Estimate, threads: usize) -> String {
    let Estimate { units, unknown, work, wall, bytes } = *estimate;
    if units == 0 {
        return String::new();
    }
    if unknown == units {
        return "how long that takes is unknown: nothing like it has run yet\n".to_owned();
    }
    let threads = counted(threads as u64, "thread");
    let but = match unknown {
        0 => String::new(),
        some => format!(", and {} of which nothing is known yet", counted(some as u64, "unit")),
    };
    format!("about {} of work, {} on {threads}; {}{but}\n", duration(work), duration(wall), size(bytes))
}
