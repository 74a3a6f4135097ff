//! How does a run read in a log? A line when something begins to take long, ends, or goes wrong.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::board::Waits;
use super::speed::Speed;
use super::{Look, Verbosity, bytes, count, counted, duration};
use crate::problem::{Problems, render};
use crate::record::Outcome;
use crate::run::{Event, Listener};

/// Time between two lines about what is running.
const EVERY: Duration = Duration::from_secs(10);

/// Of more units than this, those that take less than [`SLOW`] seconds have no line.
const MANY: usize = 100;
const SLOW: f64 = 0.5;

/// Writes lines.
pub struct Plain<W: Write + Send> {
    to: Mutex<State<W>>,
    look: Look,
}

struct State<W> {
    to: W,
    last: Instant,
    planned: usize,
    ended: usize,
    reused: usize,
    any: bool,
    left: Option<f64>,
    running: BTreeMap<usize, Running>,
    waits: Waits,
}

struct Running {
    title: String,
    since: Instant,
    far: String,
    /// How much is done and of how much, and how fast.
    done: (u64, u64),
    speed: Speed,
}

impl<W: Write + Send> Plain<W> {
    /// Lines go to `to`.
    pub fn new(to: W, look: Look) -> Self {
        let state = State {
            to,
            last: Instant::now(),
            planned: 0,
            ended: 0,
            reused: 0,
            any: false,
            left: None,
            running: BTreeMap::new(),
            waits: Waits::default(),
        };
        Plain { to: Mutex::new(state), look }
    }
}

impl<W: Write + Send> Listener for Plain<W> {
    fn event(&self, event: &Event<'_>) {
        let Ok(mut state) = self.to.lock() else { return };
        for line in state.lines(event, self.look) {
            drop(writeln!(state.to, "{}", line.trim_end()).and_then(|()| state.to.flush()));
        }
    }
}

impl<W> State<W> {
    fn lines(&mut self, event: &Event<'_>, look: Look) -> Vec<String> {
        if let Event::Trouble { problem } = event {
            return vec![render(&Problems::from((*problem).clone()), look.style)];
        }
        if look.verbosity == Verbosity::Quiet {
            return Vec::new();
        }
        let mut lines: Vec<String> = self.line(event, look).into_iter().collect();
        if self.last.elapsed() >= EVERY {
            lines.extend(self.running.values().filter(|unit| unit.since.elapsed() >= EVERY).map(Running::line));
            if let Some(left) = self.left.filter(|_| !self.running.is_empty()) {
                lines.push(format!("  {} of {} units, about {} left", self.ended, self.planned, duration(left)));
            }
            self.last = Instant::now();
        }
        lines
    }

    fn line(&mut self, event: &Event<'_>, look: Look) -> Option<String> {
        match event {
            Event::Fetching { what, bytes: Some(size) } => Some(format!("fetching {what} ({})", bytes(*size))),
            Event::Fetching { what, bytes: None } => Some(format!("fetching {what}")),
            Event::FetchElsewhere { place, why } => Some(format!("{place}: {why}; trying the next place")),
            Event::Planned { units, .. } => {
                self.planned = *units;
                self.ended = 0;
                None
            }
            Event::Outlook { seconds } => {
                self.left = *seconds;
                None
            }
            Event::Started { unit, .. } => {
                let running = Running {
                    title: unit.title(),
                    since: Instant::now(),
                    far: String::new(),
                    done: (0, 0),
                    speed: Speed::default(),
                };
                self.running.insert(unit.id, running);
                if std::mem::replace(&mut self.any, true) {
                    return None;
                }
                self.last = Instant::now();
                let reused = if self.reused > 0 {
                    format!(", {} reused so far", count(self.reused as u64))
                } else {
                    String::new()
                };
                Some(format!("{} planned{reused}", counted(self.planned as u64, "unit")))
            }
            Event::Progress { id, done, total, noun } => {
                if let Some(unit) = self.running.get_mut(id) {
                    unit.far = match total {
                        0 => format!("{} {noun}", count(*done)),
                        _ => format!("{} of {} {noun}", count(*done), count(*total)),
                    };
                    unit.done = (*done, *total);
                }
                None
            }
            Event::Worked { id, more } => {
                self.running.get_mut(id).into_iter().for_each(|unit| unit.speed.hear(more));
                None
            }
            Event::Waiting { unit, holder } => self.waits.line(unit, holder),
            Event::Retrying { unit, attempt, pause, why, .. } => {
                self.running.remove(&unit.id);
                let why = why.causes.first().unwrap_or(&why.message);
                let pause = duration(pause.as_secs_f64());
                Some(format!("{} failed ({why}); try {attempt} begins in {pause}", unit.title()))
            }
            Event::Finished { unit, end } => {
                self.running.remove(&unit.id);
                self.ended += 1;
                self.reused += usize::from(end.outcome == Outcome::Reused);
                let at = || format!("[{}/{}] {}", self.ended.min(self.planned), self.planned, unit.title());
                match end.outcome {
                    // Hundreds of lines about moments say nothing; the lines in between tell how far the run is.
                    Outcome::Ran
                        if self.planned > MANY && end.seconds < SLOW && look.verbosity < Verbosity::Verbose =>
                    {
                        None
                    }
                    Outcome::Ran => {
                        Some(format!("{}: {} in {}", at(), counted(end.rows, "row"), duration(end.seconds)))
                    }
                    Outcome::Failed => Some(format!("{}: failed", at())),
                    Outcome::Reused if look.verbosity == Verbosity::Verbose => Some(format!("{}: reused", at())),
                    _ => None,
                }
            }
            Event::Stopping => Some("stopping: what is finished stays in the cache".to_owned()),
            _ => None,
        }
    }
}

impl Running {
    fn line(&self) -> String {
        let far = if self.far.is_empty() { String::new() } else { format!(": {}", self.far) };
        let speed = self.speed.words(self.done.0, self.done.1);
        format!("  {}{far}{speed}, running for {}", self.title, duration(self.since.elapsed().as_secs_f64()))
    }
}
