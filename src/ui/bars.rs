//! How does a run look on a terminal? One bar for the whole, a line for each running unit (indicatif).

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::board::{Board, Waits};
use super::{Look, Verbosity, duration};
use crate::problem::{Problems, render};
use crate::run::{Event, Listener};

/// How many lines units have at most.
const LINES: usize = 8;

/// How often what is shown changes at most: thousands of units that are reused in a moment are counted, not drawn.
const REFRESH: Duration = Duration::from_millis(100);

/// Draws bars on standard error.
pub struct Bars {
    all: MultiProgress,
    state: Mutex<State>,
    look: Look,
}

#[derive(Default)]
struct State {
    board: Board,
    waits: Waits,
    whole: Option<ProgressBar>,
    lines: Vec<ProgressBar>,
    fetch: Option<ProgressBar>,
    shown: Option<Instant>,
    /// True once bars are gone: late events draw nothing.
    cleared: bool,
}

impl Bars {
    /// Nothing is drawn before the first event.
    pub fn new(look: Look) -> Self {
        Bars { all: MultiProgress::new(), state: Mutex::default(), look }
    }

    /// Takes the bars away, so that what is printed next stands alone.
    pub fn clear(&self) {
        if let Ok(mut state) = self.state.lock() {
            let State { whole, lines, fetch, .. } = std::mem::take(&mut *state);
            lines.into_iter().chain(fetch).chain(whole).for_each(|bar| bar.finish_and_clear());
            state.cleared = true;
        }
        drop(self.all.clear());
    }

    fn add(&self, bar: ProgressBar, template: &str) -> ProgressBar {
        let bar = self.all.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar
    }

    fn say(&self, line: &str) {
        // A terminal that takes no more lines is no reason to end a run.
        drop(self.all.println(line.trim_end()));
    }

    fn fetching(&self, state: &mut State, what: &str, bytes: Option<u64>) {
        let bar = match bytes {
            Some(size) => self.add(
                ProgressBar::new(size),
                "{msg} [{bar:24}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}",
            ),
            None => self.add(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
        };
        bar.enable_steady_tick(Duration::from_millis(120));
        bar.set_message(format!("fetching {what}"));
        if let Some(old) = state.fetch.replace(bar) {
            old.finish_and_clear();
        }
    }

    /// Shows the board, unless it was shown a moment ago.
    fn show(&self, state: &mut State) {
        if state.board.planned == 0 || state.shown.is_some_and(|shown| shown.elapsed() < REFRESH) {
            return;
        }
        state.shown = Some(Instant::now());
        let lines = state.board.units(LINES);
        let whole = state.whole.get_or_insert_with(|| {
            let bar = self.add(ProgressBar::new(0), "{spinner} [{bar:24}] {wide_msg}");
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        whole.set_length(state.board.planned as u64);
        whole.set_position(state.board.ended.min(state.board.planned) as u64);
        whole.set_message(state.board.whole());
        while state.lines.len() < lines.len() {
            state.lines.push(self.add(ProgressBar::new(0), "{wide_msg}"));
        }
        for (at, bar) in state.lines.iter().enumerate() {
            bar.set_message(lines.get(at).cloned().unwrap_or_default());
        }
    }
}

impl Listener for Bars {
    fn event(&self, event: &Event<'_>) {
        let Ok(mut state) = self.state.lock() else { return };
        let state = &mut *state;
        if state.cleared {
            return;
        }
        let quiet = self.look.verbosity == Verbosity::Quiet;
        state.board.hear(event);
        match event {
            Event::Fetching { what, bytes } => self.fetching(state, what, *bytes),
            Event::Fetched { more, .. } => state.fetch.iter().for_each(|bar| bar.inc(*more)),
            Event::FetchDone { what } => {
                if let Some(bar) = state.fetch.take() {
                    bar.finish_and_clear();
                }
                self.say(&format!("fetched {what}"));
            }
            Event::FetchElsewhere { place, why } => self.say(&format!("{place}: {why}; trying the next place")),
            Event::Waiting { unit, holder } => state.waits.line(unit, holder).iter().for_each(|line| self.say(line)),
            Event::Retrying { unit, attempt, pause, why, .. } => {
                let why = why.causes.first().unwrap_or(&why.message);
                let pause = duration(pause.as_secs_f64());
                self.say(&format!("{} failed ({why}); try {attempt} begins in {pause}", unit.title()));
            }
            Event::Trouble { problem } => self.say(&render(&Problems::from((*problem).clone()), self.look.style)),
            Event::Stopping if !quiet => self.say("stopping: what is finished stays in the cache"),
            _ => {}
        }
        self.show(state);
    }
}
