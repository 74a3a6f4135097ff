//! How long may the rest of a run take? Asked again now and then, with what the run itself has measured.

use std::time::{Duration, Instant};

use super::Event;
use super::books::{Books, Place};
use super::executor::Executor;
use crate::plan::UnitId;
use crate::plan::cost::{self, Basis, Cost, Known};
use crate::store::Timings;

/// How long an answer stands.
const STANDS: Duration = Duration::from_secs(1);

/// More units than this are counted less often.
const MANY: usize = 20_000;

/// If more than this share of the work to come is a guess, nothing is said.
const MOST_GUESSED: f64 = 0.3;

/// Tells listeners how long the rest may take.
pub(super) struct Outlook {
    next: Instant,
}

impl Outlook {
    pub(super) fn new() -> Self {
        Outlook { next: Instant::now() }
    }

    /// Tells it, if the last answer is old. `spent` gives the seconds that a unit on a lane has taken so far.
    pub(super) fn tell(
        &mut self,
        executor: &Executor<'_>,
        books: &Books<'_>,
        costs: &[Cost],
        measured: &Timings,
        spent: &dyn Fn(UnitId) -> f64,
    ) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + if costs.len() > MANY { 5 * STANDS } else { STANDS };
        // What this run measured says more than what earlier ones did.
        let mut history = executor.history.clone();
        history.extend(measured.iter().map(|(class, timing)| (class.clone(), *timing)));
        let known = |id: UnitId| {
            let Cost { seconds, bytes, rows, basis } = costs[id.index()];
            (books.place(id) == Place::Out && basis == Basis::Measured).then_some(Known { seconds, bytes, rows })
        };
        let mut costs = cost::costs(executor.plan, &history, &known);
        let (mut work, mut guessed) = (0.0, 0.0);
        let pending = |id: UnitId| books.place(id) != Place::Out;
        for &id in executor.plan.order.iter().filter(|id| pending(**id)) {
            let cost = &mut costs[id.index()];
            cost.seconds = (cost.seconds - spent(id)).max(0.0);
            work += cost.seconds;
            guessed += if cost.basis == Basis::Guess { cost.seconds } else { 0.0 };
        }
        let longest = cost::lengths(executor.plan, &costs, &pending).into_iter().fold(0.0, f64::max);
        let seconds = f64::max(work / executor.pool.lanes() as f64, longest);
        let seconds = (guessed <= work * MOST_GUESSED).then_some(seconds);
        executor.listener.event(&Event::Outlook { seconds });
    }
}
