//! Where does a run stand? What the bars show, as text: kept apart from the drawing, so that thousands of events cost nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::speed::Speed;
use super::{count, duration};
use crate::record::Outcome;
use crate::run::{Event, Tag};

/// How many letters wide a unit's own bar is.
const BAR: usize = 12;

/// A run while it goes on.
#[derive(Default)]
pub(super) struct Board {
    pub(super) planned: usize,
    pub(super) ended: usize,
    reused: usize,
    failed: usize,
    waiting: BTreeSet<usize>,
    left: Option<(f64, Option<Instant>)>,
    running: BTreeMap<usize, Unit>,
}

struct Unit {
    title: String,
    since: Instant,
    far: Option<(u64, u64, &'static str)>,
    speed: Speed,
}

impl Board {
    /// Takes an event in.
    pub(super) fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Planned { units, .. } => {
                self.planned = *units;
                self.ended = 0;
                self.left = None;
            }
            Event::Outlook { seconds } => self.left = seconds.map(|seconds| (seconds, Some(Instant::now()))),
            Event::Started { unit, .. } => {
                self.waiting.remove(&unit.id);
                let began = Unit { title: unit.title(), since: Instant::now(), far: None, speed: Speed::default() };
                self.running.insert(unit.id, began);
            }
            Event::Progress { id, done, total, noun } => {
                if let Some(unit) = self.running.get_mut(id) {
                    unit.far = Some((*done, *total, noun));
                }
            }
            Event::Worked { id, more } => {
                if let Some(unit) = self.running.get_mut(id) {
                    unit.speed.hear(more);
                }
            }
            Event::Waiting { unit, .. } => {
                self.waiting.insert(unit.id);
            }
            Event::Retrying { unit, .. } => {
                self.running.remove(&unit.id);
            }
            Event::Finished { unit, end } => {
                self.waiting.remove(&unit.id);
                self.running.remove(&unit.id);
                self.ended += 1;
                self.reused += usize::from(end.outcome == Outcome::Reused);
                self.failed += usize::from(end.outcome == Outcome::Failed);
            }
            _ => {}
        }
    }

    /// `45 of 312 units, 120 reused, about 1 min 20 s left`.
    pub(super) fn whole(&self) -> String {
        let mut text =
            format!("{} of {} units", count(self.ended.min(self.planned) as u64), count(self.planned as u64));
        for (number, what) in [(self.reused, "reused"), (self.failed, "failed"), (self.waiting.len(), "made elsewhere")]
        {
            if number > 0 {
                text.push_str(&format!(", {} {what}", count(number as u64)));
            }
        }
        if let Some((seconds, at)) = self.left.filter(|_| !self.running.is_empty()) {
            let gone = at.map_or(0.0, |at| at.elapsed().as_secs_f64());
            text.push_str(&format!(", about {} left", duration((seconds - gone).max(1.0))));
        }
        text
    }

    /// One line for each running unit, the one that runs longest first; at most `most`, the last of which counts the others.
    pub(super) fn units(&self, most: usize) -> Vec<String> {
        let mut running: Vec<&Unit> = self.running.values().collect();
        running.sort_by_key(|unit| unit.since);
        let shown = if running.len() > most { most.saturating_sub(1) } else { running.len() };
        let mut lines: Vec<String> = running.iter().take(shown).map(|unit| unit.line()).collect();
        if running.len() > shown {
            lines.push(format!("and {} more", running.len() - shown));
        }
        lines
    }
}

impl Unit {
    /// `12.0 s  tfidf fit fold 3  ━━━━━━       1,200 of 2,400 rows, 8.1 s left`: what may be cut off at the end comes last.
    fn line(&self) -> String {
        let spent = self.since.elapsed().as_secs_f64();
        let far = match self.far {
            Some((done, total, noun)) if total > 0 => {
                let share = (done as f64 / total as f64).clamp(0.0, 1.0);
                let full = (share * BAR as f64) as usize;
                let bar = format!("{}{}", "━".repeat(full), "╌".repeat(BAR - full));
                let left = spent / share * (1.0 - share);
                let left = match self.speed.words(done, total) {
                    words if !words.is_empty() => words,
                    _ if share > 0.0 && left >= 1.0 => format!(", {} left", duration(left)),
                    _ => String::new(),
                };
                format!("  {bar} {} of {} {noun}{left}", count(done), count(total))
            }
            Some((done, _, noun)) => format!("  {} {noun}", count(done)),
            None => String::new(),
        };
        format!("{:>8}  {}{far}", duration(spent), self.title)
    }
}

/// Other processes that are waited for, each told once.
#[derive(Default)]
pub(super) struct Waits(BTreeSet<String>);

impl Waits {
    /// The line about a process, the first time.
    pub(super) fn line(&mut self, unit: &Tag<'_>, holder: &str) -> Option<String> {
        let new = self.0.insert(holder.to_owned());
        new.then(|| format!("waiting for {holder}, which is making {}", unit.title()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn unit(title: &str, seconds: u64, far: Option<(u64, u64, &'static str)>) -> Unit {
        Unit {
            title: title.to_owned(),
            since: Instant::now() - Duration::from_secs(seconds),
            far,
            speed: Speed::default(),
        }
    }

    #[test]
    fn a_board_reads_well_and_fits_into_a_terminal() {
        let mut board = Board { planned: 1312, ended: 45, reused: 20, ..Board::default() };
        board.left = Some((80.4, None));
        assert_eq!(board.whole(), "45 of 1,312 units, 20 reused");
        board.running.insert(7, unit("vectors", 30, Some((1200, 2400, "texts"))));
        board.running.insert(3, unit("tfidf fit fold 3 (min_df=2)", 2, None));
        assert_eq!(board.whole(), "45 of 1,312 units, 20 reused, about 80.4 s left");
        let lines = board.units(4);
        assert_eq!(lines[0], "  30.0 s  vectors  ━━━━━━╌╌╌╌╌╌ 1,200 of 2,400 texts, 30.0 s left");
        assert_eq!(lines[1], "   2.0 s  tfidf fit fold 3 (min_df=2)");
        assert!(lines.iter().all(|line| line.chars().count() < 78), "{lines:?}");
        (10..20).for_each(|id| drop(board.running.insert(id, unit("model", 1, None))));
        assert_eq!(board.units(4).len(), 4);
        assert_eq!(board.units(4)[3], "and 9 more");
    }
}
