//! How does a run look on a terminal? One bar for the whole, one for each unit that says how far it is (indicatif).

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Look, Verbosity};
use crate::problem::{Problems, render};
use crate::run::{Event, Listener};

/// Draws bars on standard error.
pub struct Bars {
    all: MultiProgress,
    state: Mutex<State>,
    look: Look,
}

#[derive(Default)]
struct State {
    whole: Option<ProgressBar>,
    fetch: Option<ProgressBar>,
    units: BTreeMap<usize, ProgressBar>,
}

impl Bars {
    /// Nothing is drawn before the first event.
    pub fn new(look: Look) -> Self {
        Bars { all: MultiProgress::new(), state: Mutex::default(), look }
    }

    /// Takes the bars away, so that what is printed next stands alone.
    pub fn clear(&self) {
        if let Ok(mut state) = self.state.lock() {
            let State { whole, fetch, units } = std::mem::take(&mut *state);
            units.into_values().chain(fetch).chain(whole).for_each(|bar| bar.finish_and_clear());
        }
        drop(self.all.clear());
    }

    fn add(&self, bar: ProgressBar, template: &str) -> ProgressBar {
        let bar = self.all.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn say(&self, line: &str) {
        // A terminal that takes no more lines is no reason to end a run.
        drop(self.all.println(line.trim_end()));
    }
}

impl Listener for Bars {
    fn event(&self, event: &Event<'_>) {
        let Ok(mut state) = self.state.lock() else { return };
        let state = &mut *state;
        match event {
            Event::Fetching { what, bytes } => {
                let bar = match bytes {
                    Some(size) => self.add(
                        ProgressBar::new(*size),
                        "{msg} [{bar:24}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}",
                    ),
                    None => self.add(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
                };
                bar.set_message(format!("fetching {what}"));
                if let Some(old) = state.fetch.replace(bar) {
                    old.finish_and_clear();
                }
            }
            Event::Fetched { more, .. } => {
                if let Some(bar) = &state.fetch {
                    bar.inc(*more);
                }
            }
            Event::FetchDone { what } => {
                if let Some(bar) = state.fetch.take() {
                    bar.finish_and_clear();
                }
                self.say(&format!("fetched {what}"));
            }
            Event::FetchElsewhere { place, why } => self.say(&format!("{place}: {why}; trying the next place")),
            Event::Planned { units } => {
                let bar = self.add(ProgressBar::new(*units as u64), "[{bar:24}] {pos} of {len} units, {elapsed}");
                if let Some(old) = state.whole.replace(bar) {
                    old.finish_and_clear();
                }
            }
            Event::Started { id, title } => {
                let bar = self.add(ProgressBar::new_spinner(), "  {spinner} {msg}");
                bar.set_message((*title).to_owned());
                state.units.insert(*id, bar);
            }
            Event::Progress { id, done, total, noun } => {
                if let Some(bar) = state.units.get(id) {
                    if *total > 0 && bar.length() != Some(*total) {
                        bar.set_length(*total);
                        let template = format!(
                            "  {{spinner}} {{msg}} [{{bar:24}}] {{human_pos}} of {{human_len}} {noun}, {{eta}} left"
                        );
                        if let Ok(style) = ProgressStyle::with_template(&template) {
                            bar.set_style(style.progress_chars("━╸ "));
                        }
                    }
                    bar.set_position(*done);
                }
            }
            Event::Finished { id, .. } => {
                if let Some(bar) = state.units.remove(id) {
                    bar.finish_and_clear();
                }
                if let Some(whole) = &state.whole {
                    whole.inc(1);
                }
            }
            Event::Trouble { problem } => self.say(&render(&Problems::from((*problem).clone()), self.look.style)),
            Event::Stopping if self.look.verbosity > Verbosity::Quiet => {
                self.say("stopping: what is finished stays in the cache");
            }
            Event::Stopping => {}
        }
    }
}
