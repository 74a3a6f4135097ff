//! How long may units take, how often are they tried, how much memory is there? Settings and flags, brought together.

use std::str::FromStr;

use super::args::HowArgs;
use super::context::Context;
use super::exit::Exit;
use super::usage;
use crate::pipeline::Pipeline;
use crate::problem::{Origin, Problem, suggest};
use crate::run::{KeepGoing, Limit, Limits, Options, Timeout};
use crate::settings::{Memory, Time};

/// How to run, as settings and flags say.
pub(super) fn options(context: &Context, pipeline: &Pipeline, flags: &HowArgs) -> Result<Options, Exit> {
    let keep_going = if flags.keep_going { KeepGoing::Yes } else { KeepGoing::No };
    Ok(Options { keep_going, limits: limits(context, pipeline, flags)?, ..plain(context) })
}

/// How to run where the command has no flags for it.
pub(super) fn plain(context: &Context) -> Options {
    let settings = &context.settings;
    Options {
        threads: settings.threads(),
        device: settings.device.clone(),
        memory: settings.memory.bytes(machine_memory()),
        ..Options::default()
    }
}

fn limits(context: &Context, pipeline: &Pipeline, flags: &HowArgs) -> Result<Limits, Exit> {
    let settings = &context.settings;
    let timeout = |time: Option<Time>, set_by: Option<&Origin>| {
        time.map(|time| Timeout { after: time.0, set_by: set_by.cloned() })
    };
    let mut limits = Limits::default();
    limits.all.timeout = timeout(settings.timeout, context.set_by.timeout.as_ref());
    limits.all.retries = Some(settings.retries);
    for (stage, limit) in &settings.limits {
        let timeout = timeout(limit.timeout, context.set_by.limits.get(stage));
        limits.stages.insert(stage.clone(), Limit { timeout, retries: limit.retries });
    }
    for text in &flags.timeout {
        let (flag, stage, time) = parsed::<Time>(context, pipeline, "--timeout", text)?;
        let set_by = Origin::Flag { text: flag.as_str().into(), overrides: None };
        limit(&mut limits, stage).timeout = timeout(Some(time), Some(&set_by));
    }
    for text in &flags.retries {
        let (_, stage, retries) = parsed::<Count>(context, pipeline, "--retries", text)?;
        limit(&mut limits, stage).retries = Some(retries.0);
    }
    Ok(limits)
}

fn limit(limits: &mut Limits, stage: Option<String>) -> &mut Limit {
    match stage {
        Some(stage) => limits.stages.entry(stage).or_default(),
        None => &mut limits.all,
    }
}

/// How often.
struct Count(u32);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Count).map_err(|_| format!("must be a whole number, but is `{text}`"))
    }
}

/// `[STAGE=]VALUE`: the flag as typed, the stage, the value.
fn parsed<T: FromStr<Err = String>>(
    context: &Context,
    pipeline: &Pipeline,
    flag: &str,
    text: &str,
) -> Result<(String, Option<String>, T), Exit> {
    let typed = format!("{flag} {text}");
    let (stage, value) = text.split_once('=').map_or((None, text), |(stage, value)| (Some(stage), value));
    if let Some(stage) = stage.filter(|stage| !pipeline.stage_order.iter().any(|known| known == stage)) {
        let mut problem = Problem::error("unknown-stage", format!("there is no stage `{stage}`"));
        if let Some(near) = suggest(stage, pipeline.stage_order.iter().map(String::as_str)) {
            problem = problem.help(format!("did you mean `{near}`?"));
        }
        return Err(usage(context, problem, &typed));
    }
    match value.parse() {
        Ok(value) => Ok((typed, stage.map(str::to_owned), value)),
        Err(why) => Err(usage(context, Problem::error("usage", format!("`{flag}` {why}")), &typed)),
    }
}

/// Reads `--memory`.
pub(super) fn memory(text: &str) -> Result<Memory, String> {
    text.parse()
}

/// Bytes of memory that this process had at most so far; `None` where the system does not say.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Bytes of memory that this process may take: the machine's, or its control group's if that is less. `None` where the
/// system does not say.
fn machine_memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let limit = |file: &str| std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let group = limit("/sys/fs/cgroup/memory.max").or_else(|| limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    machine.into_iter().chain(group).min()
}

/// `MemTotal` of `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24576 kB\nBuffers: 3 kB\n"), Some(24576 * 1024));
        assert_eq!(total("nothing"), None);
    }
}
