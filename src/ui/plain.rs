//! How does a run read in a log? A line when something begins to take long, ends, or goes wrong.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

use super::{Look, Verbosity, bytes, count, counted, duration};
use crate::problem::{Problems, render};
use crate::record::Outcome;
use crate::run::{Event, Listener};

/// Seconds between two lines about the same unit's progress.
const EVERY: f64 = 10.0;

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
    titles: BTreeMap<usize, String>,
}

impl<W: Write + Send> Plain<W> {
    /// Lines go to `to`.
    pub fn new(to: W, look: Look) -> Self {
        Plain {
            to: Mutex::new(State { to, last: Instant::now(), planned: 0, ended: 0, titles: BTreeMap::new() }),
            look,
        }
    }
}

impl<W: Write + Send> Listener for Plain<W> {
    fn event(&self, event: &Event<'_>) {
        let Ok(mut state) = self.to.lock() else { return };
        if let Some(line) = state.line(event, self.look) {
            drop(writeln!(state.to, "{}", line.trim_end()).and_then(|()| state.to.flush()));
        }
    }
}

impl<W> State<W> {
    fn line(&mut self, event: &Event<'_>, look: Look) -> Option<String> {
        if let Event::Trouble { problem } = event {
            return Some(render(&Problems::from((*problem).clone()), look.style));
        }
        if look.verbosity == Verbosity::Quiet {
            return None;
        }
        match event {
            Event::Fetching { what, bytes: Some(size) } => Some(format!("fetching {what} ({})", bytes(*size))),
            Event::Fetching { what, bytes: None } => Some(format!("fetching {what}")),
            Event::FetchElsewhere { place, why } => Some(format!("{place}: {why}; trying the next place")),
            Event::Planned { units } => {
                self.planned = *units;
                self.ended = 0;
                None
            }
            Event::Started { id, title } => {
                let first = self.titles.is_empty();
                self.titles.insert(*id, (*title).to_owned());
                first.then(|| format!("{} planned", counted(self.planned as u64, "unit")))
            }
            Event::Progress { id, done, total, noun } if self.last.elapsed().as_secs_f64() >= EVERY => {
                self.last = Instant::now();
                let title = self.titles.get(id).map_or("", String::as_str);
                Some(match total {
                    0 => format!("  {title}: {} {noun}", count(*done)),
                    _ => format!("  {title}: {} of {} {noun}", count(*done), count(*total)),
                })
            }
            Event::Finished { title, outcome, seconds, rows, .. } => {
                self.ended += 1;
                let at = format!("[{}/{}]", self.ended.min(self.planned), self.planned);
                match outcome {
                    Outcome::Ran => Some(format!("{at} {title}: {} in {}", counted(*rows, "row"), duration(*seconds))),
                    Outcome::Failed => Some(format!("{at} {title}: failed")),
                    Outcome::Reused if look.verbosity == Verbosity::Verbose => Some(format!("{at} {title}: reused")),
                    _ => None,
                }
            }
            Event::Stopping => Some("stopping: what is finished stays in the cache".to_owned()),
            _ => None,
        }
    }
}
