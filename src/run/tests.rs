//! Which stages do the tests of this room run? Kinds that sleep, fail, panic or overstay as they are told.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::fetch::{FetchOptions, Fetcher};
use crate::pipeline::Pipeline;
use crate::problem::Problems;
use crate::stage::{
    Account, Arity, Ctx, Emit, Files, Kind, Output, Parts, Port, Refusal, Scope, Source, Stage, StageError, StageKind,
    WholeTable, Work,
};
use crate::store::Store;

static KINDS: &[Kind] = &[Kind::of::<Start>(), Kind::of::<Step>()];

/// What a stage does.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Does {
    /// Sleeps so long, whatever it is told.
    millis: u64,
    /// Fails, panics, or gives something else each time.
    ends: String,
    /// Makes the stage another one.
    name: String,
}

struct Fake {
    does: Does,
    arity: Arity,
}

impl Stage for Fake {
    fn arity(&self) -> Arity {
        self.arity
    }

    fn port(&self, _: &[Port]) -> Result<Port, Refusal> {
        Ok(Port::Rows)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text"]
    }
}

impl Fake {
    fn act(&self) -> Result<RecordBatch, StageError> {
        static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        std::thread::sleep(Duration::from_millis(self.does.millis));
        let call = CALLS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let text = match self.does.ends.as_str() {
            "fails" => return Err(StageError::failed("it was told to fail")),
            "panics" => panic!("it was told to panic"),
            "differs" => format!("{call}"),
            _ => self.does.name.clone(),
        };
        let column: ArrayRef = Arc::new(StringArray::from(vec![text]));
        Ok(RecordBatch::try_from_iter([("row_id", column.clone()), ("text", column)]).unwrap())
    }
}

impl Source for Fake {
    fn read(&self, _: &Files, rows: &mut dyn Emit, _: &Ctx<'_>) -> Result<Account, StageError> {
        rows.emit("text", self.act()?)?;
        let read = if self.does.ends == "loses" { 2 } else { 1 };
        Ok(Account { read, ..Account::default() })
    }
}

impl WholeTable for Fake {
    fn run(&self, _: &[Parts], _: &Ctx<'_>) -> Result<Output, StageError> {
        Ok(Output::new().table("text", self.act()?))
    }
}

struct Start;
impl StageKind for Start {
    const KIND: &'static str = "start";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "starts";
    const EXAMPLE: &'static str = "{ use: start }";
    type Params = Does;

    fn build(does: Does, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::Source(Box::new(Fake { does, arity: Arity::None })))
    }
}

struct Step;
impl StageKind for Step {
    const KIND: &'static str = "step";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "goes on";
    const EXAMPLE: &'static str = "{ use: step, from: start }";
    type Params = Does;

    fn build(does: Does, _: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::WholeTable(Box::new(Fake { does, arity: Arity::Many })))
    }
}

/// Hears which units began, and what was said.
#[derive(Default)]
struct Ears {
    began: Mutex<Vec<String>>,
    codes: Mutex<Vec<String>>,
}

impl Listener for Ears {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { unit, .. } => self.began.lock().unwrap().push(unit.title()),
            Event::Trouble { problem } => self.codes.lock().unwrap().push(format!("{}: {problem:?}", problem.code)),
            _ => {}
        }
    }
}

/// What a run came to.
struct Ran {
    began: Vec<String>,
    said: Vec<String>,
    done: Done,
}

impl Ran {
    fn count(&self, outcome: Outcome) -> usize {
        self.done.states.iter().filter(|state| state.outcome() == outcome).count()
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn run(&self, stages: &str, options: Options) -> Ran {
        let file = self.folder.path().join("p.yaml");
        std::fs::write(&file, format!("name: p\nstages:\n{stages}")).unwrap();
        let pipeline = Pipeline::load(&file, &[], KINDS).unwrap_or_else(|problems| panic!("{problems}"));
        let ears = Ears::default();
        let session = Session {
            pipeline: &pipeline,
            store: Arc::new(Store::open(&self.folder.path().join("cache")).unwrap()),
            fetcher: &Fetcher::new(self.folder.path().join("files"), FetchOptions::default()),
            options,
            listener: &ears,
            cancelled: &AtomicBool::new(false),
        };
        let done = session.run(&Wanted::Everything).unwrap();
        Ran { began: ears.began.into_inner().unwrap(), said: ears.codes.into_inner().unwrap(), done }
    }
}

const TREE: &str = "  start: { use: start }
  short: { use: step, from: start, with: { name: short } }
  other: { use: step, from: start, with: { name: other } }
  one: { use: step, from: start, with: { name: one } }
  two: { use: step, from: one, with: { name: two } }
  three: { use: step, from: two, with: { name: three } }
";

#[test]
fn the_unit_with_the_longest_way_ahead_goes_first_and_equal_ones_in_the_plans_order() {
    let ran = Place::new().run(TREE, Options::default());
    assert_eq!(ran.began, ["start", "one", "two", "short", "other", "three"]);
}

#[test]
fn what_earlier_runs_took_decides_what_is_long() {
    let place = Place::new();
    let slow = TREE.replace("name: other", "name: other, millis: 120");
    place.run(&slow, Options::default());
    let ran = place.run(&slow, Options { force: Force::Everything, ..Options::default() });
    assert_eq!(ran.began[..2], ["start", "other"]);
}

#[test]
fn a_source_that_loses_rows_is_told_and_keeps_nothing() {
    let ran = Place::new().run("  start: { use: start, with: { ends: loses } }\n", Options::default());
    assert_eq!(ran.count(Outcome::Failed), 1);
    assert!(ran.said[0].contains("2 rows were read, but 1 came out: rows were lost"), "{:?}", ran.said);
}

#[test]
fn a_long_chain_behind_a_failure_is_skipped_without_a_word_for_each() {
    let mut stages = "  s0: { use: start, with: { ends: fails } }\n".to_owned();
    (1..600).for_each(|at| stages.push_str(&format!("  s{at}: {{ use: step, from: s{} }}\n", at - 1)));
    let ran = Place::new().run(&stages, Options { keep_going: KeepGoing::Yes, ..Options::default() });
    assert_eq!((ran.count(Outcome::Failed), ran.count(Outcome::Skipped), ran.said.len()), (1, 599, 1));
}

#[test]
fn a_failure_stops_new_units_unless_the_run_keeps_going() {
    let stages = TREE.replace("name: one", "name: one, ends: fails");
    let stopped = Place::new().run(&stages, Options::default());
    assert_eq!(stopped.began, ["start", "one"]);
    assert_eq!((stopped.count(Outcome::Failed), stopped.count(Outcome::Skipped)), (1, 4));
    let kept = Place::new().run(&stages, Options { keep_going: KeepGoing::Yes, ..Options::default() });
    assert_eq!(kept.began, ["start", "one", "short", "other"]);
    assert_eq!((kept.count(Outcome::Failed), kept.count(Outcome::Skipped)), (1, 2));
}

fn limits(timeout: Option<u64>, retries: u32) -> Limits {
    let timeout = timeout.map(|millis| Timeout { after: Duration::from_millis(millis), set_by: None });
    Limits { all: Limit { timeout, retries: Some(retries) }, ..Limits::default() }
}

#[test]
fn a_panic_is_not_tried_again_and_a_failure_is() {
    let options = || Options { limits: limits(None, 1), ..Options::default() };
    let panicked = Place::new().run("  start: { use: start, with: { ends: panics } }\n", options());
    assert_eq!((panicked.began.len(), panicked.count(Outcome::Failed)), (1, 1));
    assert!(panicked.said[0].contains("told to panic") && panicked.said[0].contains("bug"), "{:?}", panicked.said);
    let failed = Place::new().run("  start: { use: start, with: { ends: fails } }\n", options());
    assert_eq!((failed.began.len(), failed.count(Outcome::Failed), failed.said.len()), (2, 1, 1));
}

#[test]
fn a_stage_that_notices_its_limit_too_late_fails_and_nothing_of_it_is_kept() {
    let place = Place::new();
    let stages = "  start: { use: start, with: { millis: 150 } }\n";
    let ran = place.run(stages, Options { limits: limits(Some(20), 0), ..Options::default() });
    assert_eq!(ran.count(Outcome::Failed), 1);
    assert!(ran.said[0].contains("longer than its limit of 0.02 s"), "{:?}", ran.said);
    let ran = place.run(stages, Options::default());
    assert_eq!((ran.began.len(), ran.count(Outcome::Ran)), (1, 1));
}

#[test]
fn bytes_that_differ_are_told_and_what_was_first_is_used() {
    let place = Place::new();
    let stages = "  start: { use: start, with: { ends: differs } }\n";
    let first = place.run(stages, Options::default());
    let again = place.run(stages, Options { force: Force::Everything, ..Options::default() });
    assert_eq!(again.done.differing, ["start"]);
    assert!(again.said[0].starts_with("nondeterministic") && again.said[0].contains("`text`"), "{:?}", again.said);
    let parts = |ran: &Ran| ran.done.states[0].manifest().unwrap().parts.clone();
    assert_eq!(parts(&first), parts(&again));
}

#[test]
fn many_units_run_on_many_lanes_and_then_none_does() {
    let mut stages = "  start: { use: start }\n".to_owned();
    (0..120)
        .for_each(|at| stages.push_str(&format!("  s{at}: {{ use: step, from: start, with: {{ name: s{at} }} }}\n")));
    let all: Vec<String> = (0..120).map(|at| format!("s{at}")).collect();
    stages.push_str(&format!("  end: {{ use: step, from: [{}], with: {{ name: end }} }}\n", all.join(", ")));
    let place = Place::new();
    let options = || Options { threads: 4, ..Options::default() };
    let ran = place.run(&stages, options());
    assert_eq!((ran.began.len(), ran.count(Outcome::Ran)), (122, 122));
    assert_eq!((ran.began[0].as_str(), ran.began[121].as_str()), ("start", "end"));
    let again = place.run(&stages, options());
    assert_eq!((again.began.len(), again.count(Outcome::Reused)), (0, 122));
}
