//! `fuseline gate`: runs a pipeline, from the cache where it can, and holds it against a baseline.
//!
//! It takes a pipeline and no finished run: what is judged is then always what the file says now, and where nothing changed, the
//! cache makes the run cost next to nothing. Two finished runs are compared by `diff`.

use std::path::Path;
use std::sync::Arc;

use super::args::{GateArgs, HowArgs, Inconclusive, MessageFormat, PipelineArgs, ToArgs};
use super::baseline::{Held, Use, held, target};
use super::console::{out, say};
use super::context::Context;
use super::diff::said_p;
use super::exit::Exit;
use super::run::{ended, folder_of, perform, tell};
use super::{emit, limits, load_args, theirs, usage};
use crate::emit::{GateCase, Report};
use crate::gate::{Baseline, Costs, Judged, Rows, Ruling, Side, judge, worst};
use crate::lock::Coverage;
use crate::ml::{METRICS, Metric};
use crate::pipeline::{CONFIDENCE, Gate, Node, Pipeline, Rule, Variant};
use crate::problem::{Origin, Problem, Problems, suggest, visible};
use crate::record::{Status, Summary};
use crate::run::{Done, groups_of};
use crate::stage::Work;
use crate::ui::Verbosity;
use crate::ui::table::align;

/// Runs the command.
pub(super) fn gate(context: &Context, args: &PipelineArgs, gate: &GateArgs, to: &ToArgs, how: &HowArgs) -> Exit {
    match try_gate(context, args, gate, to, how) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn try_gate(
    context: &Context,
    args: &PipelineArgs,
    flags: &GateArgs,
    to: &ToArgs,
    how: &HowArgs,
) -> Result<Exit, Exit> {
    check(context, flags)?;
    let pipeline = load_args(context, args)?;
    let named = flags.baseline.as_deref();
    let path = target(&pipeline, named);
    if flags.update {
        updatable(context, &pipeline, &path)?;
    }
    let file = named.map(Path::new).filter(|named| named.is_file());
    theirs::spare_reports(context, &pipeline, to, &folder_of(&pipeline, to), Some(file.unwrap_or(&path)))?;
    let baseline = held(context, &pipeline, named, if flags.update { Use::Replaced } else { Use::Judged })?;
    if baseline.is_none() && !flags.update && (named.is_some() || wants_baseline(&pipeline, flags)) {
        let problem = Problem::error("no-baseline", format!("there is no baseline `{}`", path.display()));
        context.tell(&problem.help("`fuseline gate FILE --update` writes it; commit it beside the pipeline").into());
        return Err(Exit::Usage);
    }
    let asked: Vec<Gate> = flags.metric.iter().map(|metric| asked_for(metric, flags)).collect();
    let wrong = wrong_gates(&pipeline, &asked);
    if !wrong.0.is_empty() {
        context.tell(&wrong);
        return Err(Exit::Usage);
    }
    let ran = perform(context, &pipeline, args, to, &[], how)?;
    tell(context, &ran, how);
    if ran.done.summary.status != Status::Complete {
        // Half a run says nothing of a whole one.
        emit::emit(context, &to.emit, &emit::report(context, &pipeline, &ran.done))?;
        return Ok(ended(context, &pipeline, &ran, args, how).err().unwrap_or(Exit::Partial));
    }
    let now = side(&ran.done);
    let (gates, left) = selected(&pipeline, gates(&pipeline, flags, &now));
    if !left.0.is_empty() {
        context.tell(&left);
    }
    let coverage = if pipeline.selection.is_none() { Coverage::Whole } else { Coverage::Part };
    let before = baseline.as_ref().map(|held| &held.side);
    let costs = costs(&ran.done.summary);
    let mut judged = on_threads(context, || judge(&gates, &now, before, &costs, coverage));
    if flags.update {
        // What is to become the baseline is not held against the one before it.
        judged.retain(|(gate, judged)| !gate.rule.looks_back() || judged.change.or(judged.ratio).is_some());
    }
    let report = report(context, &pipeline, &ran.done, &judged, baseline.as_ref(), flags);
    let problems = problems(&judged, &report, flags);
    say_gates(context, &report, &problems);
    emit::emit(context, &to.emit, &report)?;
    if let Err(exit) = ended(context, &pipeline, &ran, args, how) {
        if flags.update && context.look.verbosity > Verbosity::Quiet {
            say(&format!("the baseline is not written, since the run is not as it must be: {}", path.display()));
        }
        return Err(exit);
    }
    if flags.update {
        update(context, &path, &Baseline { costs: costs.kept(&gates), ..now.baseline })?;
    }
    let counted = report.gates.iter().filter(|case| case.blocks).map(|case| case.judged.verdict);
    Ok(match (worst(counted), flags.inconclusive) {
        (Ruling::Pass, _) => Exit::Success,
        (Ruling::Inconclusive, Inconclusive::Exit) => Exit::Inconclusive,
        _ => Exit::Differs,
    })
}

/// Does something on as many threads as the settings give; on one, if there are no more to be had.
pub(super) fn on_threads<T: Send>(context: &Context, work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(context.settings.threads()).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

/// Whether anything is about a change.
fn wants_baseline(pipeline: &Pipeline, flags: &GateArgs) -> bool {
    let by_flag = !flags.metric.is_empty() || flags.min_delta.is_some() || flags.confidence.is_some();
    by_flag || pipeline.gates.is_empty() || pipeline.gates.iter().any(|gate| gate.rule.looks_back())
}

fn check(context: &Context, flags: &GateArgs) -> Result<(), Exit> {
    if let Some(sure) = flags.confidence.filter(|sure| !(*sure > 0.0 && *sure < 1.0)) {
        let problem = Problem::error("out-of-range", format!("`--confidence` must lie between 0 and 1, but is {sure}"));
        return Err(usage(context, problem, &format!("--confidence {sure}")));
    }
    if let Some(delta) = flags.min_delta.filter(|delta| !delta.is_finite()) {
        let problem = Problem::error("out-of-range", format!("`--min-delta` must be a number, but is {delta}"));
        return Err(usage(context, problem, &format!("--min-delta {delta}")));
    }
    match flags.metric.iter().find(|name| Metric::named(name).is_none()) {
        Some(name) => Err(usage(context, unknown_metric(name), &format!("--metric {name}"))),
        None => Ok(()),
    }
}

/// What is wrong with the metrics, variants and evaluations that gates name, as far as the pipeline tells.
pub(super) fn wrong_gates(pipeline: &Pipeline, gates: &[Gate]) -> Problems {
    let mut problems = Problems::default();
    for gate in gates {
        let metric = match &gate.rule {
            Rule::Change { metric, .. } | Rule::Value { metric, .. } => metric,
            Rule::Cost { .. } | Rule::CostRatio { .. } => continue,
        };
        let wrong = match Metric::named(metric) {
            Some(known) => nowhere(pipeline, gate, known),
            None => Some(unknown_metric(metric)),
        };
        problems.0.extend(wrong.map(|wrong| wrong.at(gate.at.clone())));
    }
    problems
}

/// What is wrong with a gate that holds nothing; `None` if something that is evaluated may have its metric.
fn nowhere(pipeline: &Pipeline, gate: &Gate, metric: Metric) -> Option<Problem> {
    let variants = || {
        let named =
            |variant: &&Variant| gate.variant.as_ref().is_none_or(|name| *name == variant.label || *name == variant.id);
        pipeline.variants.iter().filter(named)
    };
    if let Some(name) = &gate.variant
        && variants().next().is_none()
    {
        // Of some variants it is not known what the others are called.
        if pipeline.selection.is_some() {
            return None;
        }
        let problem = Problem::error(
            "bad-gate",
            format!("the gate `{}` is about a variant `{name}`, and there is none", gate.name),
        );
        let alias = pipeline.variants.iter().find(|variant| variant.aliases.contains(name));
        let near = alias
            .map(|variant| variant.label.as_str())
            .or_else(|| suggest(name, pipeline.variants.iter().map(|variant| variant.label.as_str())));
        return Some(match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`fuseline plan FILE` lists the variants"),
        });
    }
    let evaluations: Vec<(&Variant, &Arc<Node>)> = variants()
        .flat_map(|variant| variant.stages.iter().map(move |node| (variant, node)))
        .filter(|(_, node)| matches!(*node.work, Work::Evaluate(_)))
        .collect();
    let about = || evaluations.iter().filter(|(_, node)| gate.evaluation.as_ref().is_none_or(|name| *name == node.id));
    if let Some(name) = &gate.evaluation
        && about().next().is_none()
        && !evaluations.is_empty()
    {
        let message = format!("the gate `{}` is about an evaluation `{name}`, and there is none", gate.name);
        let problem = Problem::error("bad-gate", message);
        let mut known: Vec<&str> = evaluations.iter().map(|(_, node)| node.id.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        return Some(problem.note(format!("the evaluations are {}", known.join(", "))));
    }
    let model = |(variant, node): &(&Variant, &Arc<Node>)| {
        node.inputs.first().and_then(|&input| variant.stages.get(input)?.says)
    };
    let idle = |of: &(&Variant, &Arc<Node>)| model(of).filter(|says| !metric.measures(says.task));
    if about().next().is_none() || about().any(|of| idle(of).is_none() && computes(of.1, metric)) {
        return None;
    }
    let name = metric.name();
    let problem = |why: &str| Problem::error("bad-gate", format!("the gate `{}` is about `{name}`, {why}", gate.name));
    Some(match about().find(|of| idle(of).is_none()) {
        Some((_, node)) => problem("which is not computed").help(format!("add it to the `metrics` of `{}`", node.id)),
        None => problem("which does not measure what is predicted").help("name a metric that the evaluation computes"),
    })
}

/// Whether an evaluation may compute a metric: one that names none computes the usual ones.
fn computes(evaluation: &Node, metric: Metric) -> bool {
    let listed = evaluation.params.get("metrics").and_then(serde_json::Value::as_array);
    listed.is_none_or(|listed| listed.iter().any(|name| name.as_str().and_then(Metric::named) == Some(metric)))
}

fn unknown_metric(name: &str) -> Problem {
    let problem = Problem::error("unknown-metric", format!("there is no metric `{name}`"));
    match Metric::meant_by(name).or_else(|| suggest(name, METRICS.iter().map(|(known, ..)| *known))) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// A run that has ended, as it is compared.
fn side(done: &Done) -> Side {
    let results = done.results(&done.summary, "", "");
    let mut rows: Vec<Option<Rows>> = done.summary.variants.iter().map(|_| None).collect();
    for evaluation in &results.evaluations {
        let table = evaluation.scores.table("predictions").ok();
        if let Some(place) = rows.get_mut(evaluation.variant) {
            // rows whose groups cannot be read would be taken for single ones
            let groups = groups_of(evaluation).ok();
            *place = table.and_then(|table| Rows::of(&table, None)).zip(groups).map(|(rows, of)| rows.in_groups(&of));
        }
    }
    Side::of(&done.summary, rows)
}

/// The pipeline's gates, with those that the flags ask for above its gates on changes.
fn gates(pipeline: &Pipeline, flags: &GateArgs, now: &Side) -> Vec<Gate> {
    let min_delta = flags.min_delta.unwrap_or(0.0);
    let confidence = flags.confidence.unwrap_or(CONFIDENCE);
    let of = |name: String, metric: &str, evaluation: Option<&str>, at: Option<Origin>| Gate {
        name,
        rule: Rule::Change { metric: metric.to_owned(), min_delta, confidence },
        variant: None,
        evaluation: evaluation.map(str::to_owned),
        at,
    };
    let by_flag = !flags.metric.is_empty() || flags.min_delta.is_some() || flags.confidence.is_some();
    if !by_flag && !pipeline.gates.is_empty() {
        return pipeline.gates.clone();
    }
    let others = pipeline.gates.iter().filter(|gate| !matches!(gate.rule, Rule::Change { .. })).cloned();
    if !flags.metric.is_empty() {
        let asked = flags.metric.iter().map(|metric| asked_for(metric, flags));
        return asked.chain(others).collect();
    }
    let mut evaluations: Vec<&str> = now.baseline.variants.iter().map(|scored| scored.evaluation.as_str()).collect();
    evaluations.sort_unstable();
    evaluations.dedup();
    let leading = evaluations.into_iter().filter_map(|evaluation| {
        let scored = now.baseline.variants.iter().filter(|scored| scored.evaluation == evaluation);
        let mut names: Vec<&String> = scored.flat_map(|scored| scored.metrics.keys()).collect();
        names.sort_by_key(|name| (*name != "accuracy", *name != "r2", *name));
        let metric = names.first()?;
        Some(of((*metric).clone(), metric, Some(evaluation), pipeline.origin(evaluation, &[])))
    });
    leading.chain(others).collect()
}

/// The gate that `--metric` asks for.
fn asked_for(metric: &str, flags: &GateArgs) -> Gate {
    let (min_delta, confidence) = (flags.min_delta.unwrap_or(0.0), flags.confidence.unwrap_or(CONFIDENCE));
    Gate {
        name: metric.to_owned(),
        rule: Rule::Change { metric: metric.to_owned(), min_delta, confidence },
        variant: None,
        evaluation: None,
        at: Some(Origin::Flag { text: format!("--metric {metric}").into(), overrides: None }),
    }
}

/// The gates on what ran, and a word on those that name a variant which was not selected.
fn selected(pipeline: &Pipeline, gates: Vec<Gate>) -> (Vec<Gate>, Problems) {
    let ran = |gate: &Gate| {
        let named =
            |name: &String| pipeline.variants.iter().any(|variant| *name == variant.label || *name == variant.id);
        pipeline.selection.is_none() || gate.variant.as_ref().is_none_or(named)
    };
    let (kept, left): (Vec<Gate>, Vec<Gate>) = gates.into_iter().partition(ran);
    let mut words = Problems::default();
    for gate in left {
        let name = gate.variant.unwrap_or_default();
        let message = format!("the gate `{}` is left out: its variant `{name}` is not selected", gate.name);
        words.push(Problem::warning("gate-left-out", message).at(gate.at));
    }
    (kept, words)
}

fn costs(summary: &Summary) -> Costs {
    Costs { peak_memory: limits::peak_memory(), ..Costs::of(summary) }
}

fn report(
    context: &Context,
    pipeline: &Pipeline,
    done: &Done,
    judged: &[(&Gate, Judged)],
    baseline: Option<&Held>,
    flags: &GateArgs,
) -> Report {
    let case = |(gate, judged): &(&Gate, Judged)| {
        let blocks = match judged.verdict {
            _ if flags.update && gate.rule.looks_back() => false,
            Ruling::Pass => false,
            Ruling::Fail | Ruling::Incomparable => true,
            Ruling::Inconclusive => flags.inconclusive != Inconclusive::Pass,
        };
        let written = gate.at.as_ref().and_then(|at| emit::place_of(context, at));
        // A gate of the command line has no line: the stage that scored is the next best.
        let place = written.or_else(|| emit::stage_place(context, pipeline, &judged.evaluation));
        GateCase { judged: judged.clone(), blocks, place }
    };
    let gates: Vec<GateCase> = judged.iter().map(case).collect();
    let verdict = worst(gates.iter().map(|case| case.judged.verdict));
    let baseline = baseline.map(|held| held.name.clone());
    Report { gates, verdict: Some(verdict), baseline, ..emit::report(context, pipeline, done) }
}

/// What does not hold, each at its line.
fn problems(judged: &[(&Gate, Judged)], report: &Report, flags: &GateArgs) -> Problems {
    let mut all = Problems::default();
    let mut accepted = None;
    for ((gate, judged), case) in judged.iter().zip(&report.gates) {
        let (name, of) = (&judged.gate, format!("{}, {}", judged.of(), judged.expected));
        let (failed, open) =
            (format!("`{name}` does not hold: {of}"), format!("it cannot be told whether `{name}` holds: {of}"));
        let alone = format!("`{name}` has nothing to be held against: {of}");
        let problem = match (judged.verdict, case.blocks) {
            (Ruling::Pass, _) => continue,
            (Ruling::Fail, true) => Problem::error("gate-failed", failed),
            (Ruling::Fail, false) => Problem::warning("gate-failed", failed),
            (Ruling::Inconclusive, true) => Problem::error("gate-inconclusive", open),
            (Ruling::Inconclusive, false) => Problem::warning("gate-inconclusive", open),
            (Ruling::Incomparable, true) => Problem::error("gate-incomparable", alone),
            (Ruling::Incomparable, false) => Problem::warning("gate-incomparable", alone),
        };
        let mut problem = problem.at(gate.at.clone()).because(judged.reason.clone());
        if judged.verdict != Ruling::Incomparable {
            let method = judged.method.as_ref().map(|method| format!(" ({method})")).unwrap_or_default();
            problem = problem.note(format!("it is {}{method}", judged.actual));
        }
        if gate.rule.looks_back() && (judged.verdict == Ruling::Fail || judged.old_baseline) {
            accepted = Some(all.0.len());
        }
        all.push(problem);
    }
    // Once is enough, at the last of them.
    if let Some(last) = accepted.filter(|_| !flags.update).and_then(|at| all.0.get_mut(at)) {
        last.help.push("if that is meant, write the baseline anew with `--update` and commit it".to_owned());
    }
    all
}

fn say_gates(context: &Context, report: &Report, problems: &Problems) {
    if context.format == MessageFormat::Json {
        let line = serde_json::json!({ "event": "gates", "report": report });
        out(format!("{line}\n").as_bytes());
    } else if context.look.verbosity > Verbosity::Quiet && !report.gates.is_empty() {
        // The verdict comes first: no name begins a line, where a build's log could take it for a command.
        let first = |verdict: &str, gate: &str| format!("{verdict:<13} {gate}");
        let head = vec![first("verdict", "gate"), "wanted".to_owned(), "found".to_owned(), "p".to_owned()];
        let row = |case: &GateCase| {
            let judged = &case.judged;
            let p = judged.p.map(said_p).unwrap_or_default();
            let title = first(judged.verdict.word(), &visible(&judged.title()));
            vec![title, judged.expected.clone(), judged.actual.clone(), p]
        };
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(report.gates.iter().map(row)).collect();
        let against = report.baseline.as_ref().map(|name| format!("held against {}\n", visible(name)));
        say(&format!("\n{}{}", against.unwrap_or_default(), align(&rows)));
    }
    if !problems.0.is_empty() {
        context.tell(problems);
    }
}

/// Refuses, before anything runs, to write a baseline of some variants, or in the place of something else.
fn updatable(context: &Context, pipeline: &Pipeline, path: &Path) -> Result<(), Exit> {
    if pipeline.selection.is_some() {
        let problem = Problem::error("usage", "a baseline is about all variants of a pipeline");
        return Err(usage(context, problem.help("leave `--variant` and `--partition` out"), "--update"));
    }
    theirs::spare_at_update(context, pipeline, path)
}

/// Writes the baseline, if anything in it changed.
fn update(context: &Context, path: &Path, baseline: &Baseline) -> Result<(), Exit> {
    let same = Baseline::read(path).is_ok_and(|before| before == *baseline);
    if !same {
        baseline.write(path).map_err(|error| {
            let problem = Problem::error("io", format!("cannot write the baseline `{}`", path.display()));
            context.tell(&problem.because(error.to_string()).into());
            Exit::StageFailed
        })?;
    }
    if context.format == MessageFormat::Human && context.look.verbosity > Verbosity::Quiet {
        let what = if same { "the baseline is as it was" } else { "the baseline is written" };
        say(&format!("{what}: {}", path.display()));
    }
    Ok(())
}
