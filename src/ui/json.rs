//! How do machines follow a run? One JSON object a line: `events.jsonl` in the run folder, or standard output.

use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

use serde_json::{Value, json};

use crate::problem::{Problems, to_json};
use crate::run::{Event, Listener};

/// Writes every event as a line. A line that cannot be written is dropped: a run does not end for its log.
pub struct JsonLines<W: Write + Send> {
    to: Mutex<W>,
    started: Instant,
}

impl<W: Write + Send> JsonLines<W> {
    /// Lines go to `to`; times count from now.
    pub fn new(to: W) -> Self {
        JsonLines { to: Mutex::new(to), started: Instant::now() }
    }
}

impl<W: Write + Send> Listener for JsonLines<W> {
    fn event(&self, event: &Event<'_>) {
        let Some(mut line) = object(event) else { return };
        line["t"] = json!((self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
        if let Ok(mut to) = self.to.lock() {
            drop(writeln!(to, "{line}").and_then(|()| to.flush()));
        }
    }
}

/// An event as an object; `None` for those too fine for a log.
fn object(event: &Event<'_>) -> Option<Value> {
    Some(match event {
        Event::Fetching { what, bytes } => json!({ "event": "fetching", "what": what, "bytes": bytes }),
        Event::Fetched { .. } => return None,
        Event::FetchDone { what } => json!({ "event": "fetched", "what": what }),
        Event::FetchElsewhere { place, why } => json!({ "event": "fetch_elsewhere", "place": place, "why": why }),
        Event::Planned { units } => json!({ "event": "planned", "units": units }),
        Event::Started { id, title } => json!({ "event": "started", "unit": id, "title": title }),
        Event::Progress { id, done, total, noun } => {
            json!({ "event": "progress", "unit": id, "done": done, "total": total, "of": noun })
        }
        Event::Finished { id, title, outcome, seconds, rows, key } => json!({
            "event": "finished", "unit": id, "title": title, "outcome": outcome, "seconds": seconds, "rows": rows,
            "key": key.map(ToString::to_string),
        }),
        Event::Trouble { problem } => {
            json!({ "event": "trouble", "problem": to_json(&Problems::from((*problem).clone())).get(0) })
        }
        Event::Stopping => json!({ "event": "stopping" }),
    })
}
