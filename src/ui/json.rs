//! How do machines follow a run? One JSON object a line: `events.jsonl` in the run folder, or standard output.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::sync::Mutex;
use std::time::Instant;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::speed::Speed;
use crate::problem::{Problems, to_json};
use crate::record::Outcome;
use crate::run::{Event, Listener, Tag};

/// A line of `events.jsonl`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Line<'a> {
    /// Seconds since the run began.
    t: f64,
    #[serde(flatten)]
    what: What<'a>,
}

/// What happened.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
enum What<'a> {
    /// A file is being fetched.
    Fetching {
        /// The file.
        what: &'a str,
        /// Its size, if known.
        bytes: Option<u64>,
    },
    /// A file has been fetched.
    Fetched {
        /// The file.
        what: &'a str,
    },
    /// A place could not give a file; the next is tried.
    FetchElsewhere {
        /// The place.
        place: &'a str,
        /// Why not.
        why: &'a str,
    },
    /// What is about to run. Comes again if the number of folds was in the data.
    Planned {
        /// Units in the plan, whether they must run or not.
        units: usize,
        /// Units that may run at once.
        lanes: usize,
    },
    /// How long the rest may take.
    Outlook {
        /// Seconds; `null` while too little is known.
        seconds: Option<f64>,
    },
    /// A unit begins.
    Started {
        #[serde(flatten)]
        unit: UnitLine<'a>,
        /// The lane that it runs on, from 0.
        lane: usize,
        /// Which try this is, from 1.
        attempt: u32,
        /// Its identity.
        key: String,
    },
    /// A unit has come some way.
    Progress {
        /// Its number.
        unit: usize,
        /// How much is done.
        done: u64,
        /// Of how much (0: not known).
        total: u64,
        /// Of what: `texts`, `rows` …
        of: &'a str,
        /// What is worked through in a second, by name (`texts`, `tokens`): what was remembered does not count. Left out while
        /// not known.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        per_second: BTreeMap<&'a str, f64>,
        /// Seconds that the rest will take at this speed. Left out while not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds_left: Option<f64>,
    },
    /// Another process is making a unit; its artifact is waited for.
    Waiting {
        #[serde(flatten)]
        unit: UnitLine<'a>,
        /// Host and process.
        holder: &'a str,
    },
    /// A unit failed and is tried again.
    Retrying {
        #[serde(flatten)]
        unit: UnitLine<'a>,
        /// Seconds it had taken.
        seconds: f64,
        /// Which try comes next.
        attempt: u32,
        /// Seconds until then.
        pause: f64,
        /// What went wrong.
        problem: Value,
    },
    /// A unit ended.
    Finished {
        #[serde(flatten)]
        unit: UnitLine<'a>,
        /// What became of it.
        outcome: Outcome,
        /// Seconds it took on its lane; for a reused unit: when it was made.
        seconds: f64,
        /// Rows made.
        rows: u64,
        /// Bytes of its tables on disk.
        bytes: u64,
        /// Its identity; `null` if it never got as far.
        key: Option<String>,
        /// The lane that it ran on; `null` if it did not run.
        lane: Option<usize>,
        /// Numbers of the units that it reads.
        reads: &'a [usize],
    },
    /// A unit failed, or something else went wrong that does not end the run.
    Trouble {
        /// What: code, message, place, notes, help.
        problem: Value,
    },
    /// The run is being stopped.
    Stopping,
}

/// Which unit.
#[derive(Debug, Serialize, JsonSchema)]
struct UnitLine<'a> {
    /// Its number, the same through the whole run.
    unit: usize,
    /// For people.
    title: String,
    /// The stage's id (of the first variant that needs the unit).
    stage: &'a str,
    /// The stage's kind.
    kind: &'a str,
    /// `run`, `split`, `fit`, `apply` or `score`.
    phase: &'a str,
    /// The fold, counted from 0 over all repeats; `null` outside folds.
    fold: Option<u32>,
    /// Ids of the variants that share it.
    variants: Vec<&'a str>,
}

/// Writes every event as a line. A line that cannot be written is dropped: a run does not end for its log.
///
/// Lines about what is reused, of which thousands come in a moment, are written with the next line about anything else.
pub struct JsonLines<W: Write + Send> {
    to: Mutex<State<W>>,
    started: Instant,
}

struct State<W: Write + Send> {
    to: BufWriter<W>,
    speeds: BTreeMap<usize, Speed>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Lines go to `to`; times count from now.
    pub fn new(to: W) -> Self {
        let state = State { to: BufWriter::new(to), speeds: BTreeMap::new() };
        JsonLines { to: Mutex::new(state), started: Instant::now() }
    }

    /// Writes what has not been written yet.
    pub fn flush(&self) {
        if let Ok(mut state) = self.to.lock() {
            drop(state.to.flush());
        }
    }
}

impl<W: Write + Send> Listener for JsonLines<W> {
    fn event(&self, event: &Event<'_>) {
        let Ok(mut state) = self.to.lock() else { return };
        let State { to, speeds } = &mut *state;
        match event {
            Event::Worked { id, more } => speeds.entry(*id).or_default().hear(more),
            Event::Started { unit, .. } | Event::Finished { unit, .. } => drop(speeds.remove(&unit.id)),
            _ => {}
        }
        let Some(what) = what(event, speeds) else { return };
        let line = Line { t: thousandths(self.started.elapsed().as_secs_f64()), what };
        let Ok(mut line) = serde_json::to_vec(&line) else { return };
        line.push(b'\n');
        let passing = matches!(event, Event::Finished { end, .. } if end.outcome == Outcome::Reused);
        drop(to.write_all(&line).and_then(|()| if passing { Ok(()) } else { to.flush() }));
    }
}

/// An event as a line; `None` for those too fine for a log.
fn what<'a>(event: &'a Event<'_>, speeds: &BTreeMap<usize, Speed>) -> Option<What<'a>> {
    Some(match event {
        Event::Fetching { what, bytes } => What::Fetching { what, bytes: *bytes },
        Event::Fetched { .. } => return None,
        Event::FetchDone { what } => What::Fetched { what },
        Event::FetchElsewhere { place, why } => What::FetchElsewhere { place, why },
        Event::Planned { units, lanes } => What::Planned { units: *units, lanes: *lanes },
        Event::Outlook { seconds } => What::Outlook { seconds: seconds.map(thousandths) },
        Event::Started { unit, lane, attempt, key, .. } => {
            What::Started { unit: named(unit), lane: *lane, attempt: *attempt, key: key.to_string() }
        }
        Event::Progress { id, done, total, noun } => {
            let speed = speeds.get(id);
            let rates = speed.into_iter().flat_map(Speed::rates);
            What::Progress {
                unit: *id,
                done: *done,
                total: *total,
                of: noun,
                per_second: rates.map(|(rate, noun)| (noun, thousandths(rate))).collect(),
                seconds_left: speed.and_then(|speed| speed.left(*done, *total)).map(thousandths),
            }
        }
        Event::Worked { .. } => return None,
        Event::Waiting { unit, holder } => What::Waiting { unit: named(unit), holder },
        Event::Retrying { unit, seconds, attempt, pause, why } => What::Retrying {
            unit: named(unit),
            seconds: *seconds,
            attempt: *attempt,
            pause: pause.as_secs_f64(),
            problem: problem(&Problems::from((*why).clone())),
        },
        Event::Finished { unit, end } => What::Finished {
            unit: named(unit),
            outcome: end.outcome,
            seconds: end.seconds,
            rows: end.rows,
            bytes: end.bytes,
            key: end.key.map(ToString::to_string),
            lane: end.lane,
            reads: end.reads,
        },
        Event::Trouble { problem: what } => What::Trouble { problem: problem(&Problems::from((*what).clone())) },
        Event::Stopping => What::Stopping,
    })
}

fn named<'a>(tag: &Tag<'a>) -> UnitLine<'a> {
    UnitLine {
        unit: tag.id,
        title: tag.title(),
        stage: tag.stage(),
        kind: tag.kind(),
        phase: tag.phase(),
        fold: tag.fold(),
        variants: tag.variants().collect(),
    }
}

fn problem(problems: &Problems) -> Value {
    to_json(problems).get(0).cloned().unwrap_or_default()
}

fn thousandths(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
