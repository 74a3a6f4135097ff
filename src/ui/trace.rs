//! What did each lane do when? Remembers a run's units, for `trace.json` (Chrome's trace format, as ui.perfetto.dev opens it)
//! and for the [`super::timeline`].

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use super::timeline;
use crate::record::Outcome;
use crate::run::{End, Event, Listener, Tag};

/// How many reused units are named; all of them are counted.
const HITS: usize = 1_000;

/// Remembers what units did.
pub struct Recorder {
    began: Instant,
    state: Mutex<Run>,
}

/// A run's units, in the order in which they ended.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) lanes: usize,
    pub(super) spans: Vec<Span>,
    /// How many units were reused.
    pub(super) hits: usize,
    /// When the first of them were, and their titles.
    pub(super) reused: Vec<(f64, String)>,
    pub(super) skipped: usize,
    open: BTreeMap<usize, (f64, usize)>,
}

/// A unit's time on a lane.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) unit: usize,
    pub(super) title: String,
    pub(super) stage: String,
    pub(super) kind: &'static str,
    pub(super) phase: &'static str,
    pub(super) lane: usize,
    /// Seconds since the run began.
    pub(super) begin: f64,
    pub(super) end: f64,
    pub(super) came_to: CameTo,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Numbers of the units that it read.
    pub(super) reads: Vec<usize>,
}

impl Span {
    pub(super) fn seconds(&self) -> f64 {
        self.end - self.begin
    }
}

/// What a span came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CameTo {
    Ran,
    Failed,
    Retried,
    Stopped,
}

impl CameTo {
    pub(super) const ALL: [CameTo; 4] = [CameTo::Ran, CameTo::Failed, CameTo::Retried, CameTo::Stopped];

    pub(super) fn word(self) -> &'static str {
        match self {
            CameTo::Ran => "ran",
            CameTo::Failed => "failed",
            CameTo::Retried => "tried again",
            CameTo::Stopped => "stopped",
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder { began: Instant::now(), state: Mutex::default() }
    }
}

impl Recorder {
    /// The run folder's files about the run of the pipeline called `name`.
    pub fn files(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let Ok(run) = self.state.lock() else { return Vec::new() };
        let trace = trace(&run, name).to_string().into_bytes();
        let page = timeline::page(&run, name).into_bytes();
        vec![("trace.json".to_owned(), trace), ("timeline.html".to_owned(), page)]
    }

    fn since(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.began).as_secs_f64()
    }
}

impl Listener for Recorder {
    fn event(&self, event: &Event<'_>) {
        let Ok(mut run) = self.state.lock() else { return };
        match event {
            Event::Planned { lanes, .. } => run.lanes = *lanes,
            Event::Started { unit, lane, at, .. } => drop(run.open.insert(unit.id, (self.since(*at), *lane))),
            Event::Retrying { unit, seconds, .. } => run.close(unit, *seconds, CameTo::Retried, None),
            Event::Finished { unit, end } => match end.outcome {
                Outcome::Reused => {
                    run.open.remove(&unit.id);
                    run.hits += 1;
                    if run.reused.len() < HITS {
                        run.reused.push((self.since(Instant::now()), unit.title()));
                    }
                }
                Outcome::Ran => run.close(unit, end.seconds, CameTo::Ran, Some(end)),
                Outcome::Failed => run.close(unit, end.seconds, CameTo::Failed, Some(end)),
                Outcome::Skipped if end.lane.is_some() => run.close(unit, end.seconds, CameTo::Stopped, Some(end)),
                Outcome::Skipped => run.skipped += 1,
            },
            _ => {}
        }
    }
}

impl Run {
    fn close(&mut self, tag: &Tag<'_>, seconds: f64, came_to: CameTo, end: Option<&End<'_>>) {
        let Some((begin, lane)) = self.open.remove(&tag.id) else { return };
        self.spans.push(Span {
            unit: tag.id,
            title: tag.title(),
            stage: tag.stage().to_owned(),
            kind: tag.kind(),
            phase: tag.phase(),
            lane,
            begin,
            end: begin + seconds,
            came_to,
            rows: end.map_or(0, |end| end.rows),
            bytes: end.map_or(0, |end| end.bytes),
            reads: end.map(|end| end.reads.to_vec()).unwrap_or_default(),
        });
    }

    /// Indices of the spans on the critical path, first to last: from the one that ended last back through whatever ended
    /// last of what each had to wait for.
    pub(super) fn critical(&self) -> Vec<usize> {
        let mut by_unit: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, span) in self.spans.iter().enumerate() {
            by_unit.insert(span.unit, at);
        }
        let later = |&a: &usize, &b: &usize| self.spans[a].end.total_cmp(&self.spans[b].end);
        let mut path = Vec::new();
        let mut next = (0..self.spans.len()).max_by(later);
        while let Some(at) = next {
            path.push(at);
            let before = self.spans[at].reads.iter().filter_map(|unit| by_unit.get(unit).copied());
            next = before.filter(|before| !path.contains(before)).max_by(later);
        }
        path.reverse();
        path
    }
}

/// Chrome's trace format: one thread for each lane, and one on which what was reused is marked.
fn trace(run: &Run, name: &str) -> Value {
    let micros = |seconds: f64| (seconds * 1e6) as u64;
    let meta = |what: &str, tid: usize, name: &str| json!({ "name": what, "ph": "M", "pid": 1, "tid": tid, "args": { "name": name } });
    let mut events = vec![meta("process_name", 0, &format!("fuseline: {name}")), meta("thread_name", 0, "reused")];
    events.extend((0..run.lanes).map(|lane| meta("thread_name", lane + 1, &format!("lane {lane}"))));
    for span in &run.spans {
        let (begin, end) = (micros(span.begin), micros(span.end));
        events.push(json!({
            "name": span.title, "cat": span.kind, "ph": "X", "ts": begin, "dur": end - begin, "pid": 1, "tid": span.lane + 1,
            "args": {
                "unit": span.unit, "stage": span.stage, "phase": span.phase, "outcome": span.came_to.word(),
                "rows": span.rows, "bytes": span.bytes,
            },
        }));
    }
    for (at, title) in &run.reused {
        events.push(
            json!({ "name": title, "cat": "reused", "ph": "i", "s": "t", "ts": micros(*at), "pid": 1, "tid": 0 }),
        );
    }
    if run.hits > run.reused.len() {
        let at = run.reused.last().map_or(0.0, |(at, _)| *at);
        let more = format!("and {} more", run.hits - run.reused.len());
        events
            .push(json!({ "name": more, "cat": "reused", "ph": "i", "s": "t", "ts": micros(at), "pid": 1, "tid": 0 }));
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(unit: usize, lane: usize, begin: f64, end: f64, reads: &[usize]) -> Span {
        Span {
            unit,
            title: format!("unit {unit} </script>"),
            stage: "stage".to_owned(),
            kind: "kind",
            phase: "fit",
            lane,
            begin,
            end,
            came_to: CameTo::Ran,
            rows: 1,
            bytes: 1,
            reads: reads.to_vec(),
        }
    }

    fn run() -> Run {
        let spans = vec![
            span(0, 0, 0.0, 1.0, &[]),
            span(1, 0, 1.0, 2.0, &[0]),
            span(2, 1, 1.0, 4.0, &[0]),
            span(3, 0, 4.1, 5.0, &[1, 2]),
        ];
        Run { lanes: 2, spans, hits: 1, reused: vec![(0.5, "x".to_owned())], ..Run::default() }
    }

    #[test]
    fn the_critical_path_goes_through_what_was_waited_for() {
        assert_eq!(run().critical(), [0, 2, 3]);
    }

    #[test]
    fn a_trace_has_a_thread_for_each_lane() {
        let trace = trace(&run(), "p");
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
        assert_eq!((of("M"), of("X"), of("i")), (4, 4, 1));
        assert_eq!(
            (&events[6]["ts"], &events[6]["dur"], &events[6]["tid"]),
            (&json!(1_000_000), &json!(3_000_000), &json!(2))
        );
    }

    #[test]
    fn the_page_holds_its_data_and_nothing_breaks_out_of_it() {
        let page = timeline::page(&run(), "a <b>");
        assert!(
            page.contains("a &lt;b&gt;") && !page.contains("{{") && !page.contains("</script>\","),
            "names are escaped"
        );
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing is loaded");
    }
}
