//! How fast is a unit, and how long will the rest take? The same numbers for bars, lines and machines.

use std::time::{Duration, Instant};

use super::{count, duration};

/// Less than this says nothing about a speed.
const ENOUGH: Duration = Duration::from_millis(500);

/// What a unit has worked through since its first report. What the first report tells took an unknown time, a model's loading
/// too, and so does not count.
#[derive(Debug, Default)]
pub(super) struct Speed {
    spans: Option<(Instant, Instant)>,
    worked: Vec<(u64, &'static str)>,
}

impl Speed {
    /// Takes a report in.
    pub(super) fn hear(&mut self, more: &[(u64, &'static str)]) {
        self.hear_at(more, Instant::now());
    }

    fn hear_at(&mut self, more: &[(u64, &'static str)], now: Instant) {
        let Some((_, last)) = &mut self.spans else {
            self.spans = Some((now, now));
            self.worked = more.iter().map(|(_, noun)| (0, *noun)).collect();
            return;
        };
        *last = now.max(*last);
        for ((sum, _), (more, _)) in self.worked.iter_mut().zip(more) {
            *sum += more;
        }
    }

    /// How much a second, of each noun; empty while too little is known.
    pub(super) fn rates(&self) -> Vec<(f64, &'static str)> {
        let Some((first, last)) = self.spans else { return Vec::new() };
        let span = last - first;
        let rate = |(sum, noun): &(u64, &'static str)| (*sum as f64 / span.as_secs_f64(), *noun);
        if span < ENOUGH { Vec::new() } else { self.worked.iter().map(rate).collect() }
    }

    /// Seconds that the rest takes at this speed, if all of it must be worked through.
    pub(super) fn left(&self, done: u64, total: u64) -> Option<f64> {
        let (rate, _) = self.rates().into_iter().next()?;
        (rate > 0.0).then(|| total.saturating_sub(done) as f64 / rate)
    }

    /// `, 8.1 s left, 310 texts/s, 9,800 tokens/s`; nothing while too little is known.
    pub(super) fn words(&self, done: u64, total: u64) -> String {
        let left = self.left(done, total).filter(|_| total > 0).map(|left| format!(", {} left", duration(left)));
        let rates = self.rates().into_iter().map(|(rate, noun)| match rate {
            rate if rate < 9.95 => format!(", {rate:.1} {noun}/s"),
            rate => format!(", {} {noun}/s", count(rate.round() as u64)),
        });
        left.into_iter().chain(rates).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_that_of_what_came_after_the_first_report() {
        let (mut speed, began) = (Speed::default(), Instant::now());
        let after = |millis: u64| began + Duration::from_millis(millis);
        speed.hear_at(&[(1000, "texts"), (9000, "tokens")], after(0));
        speed.hear_at(&[(10, "texts"), (100, "tokens")], after(400));
        assert_eq!((speed.words(1010, 3000), speed.rates()), (String::new(), Vec::new()));
        // reports of several threads may come out of order
        speed.hear_at(&[(30, "texts"), (15_000, "tokens")], after(2000));
        speed.hear_at(&[(20, "texts"), (900, "tokens")], after(1900));
        assert_eq!(speed.rates(), [(30.0, "texts"), (8000.0, "tokens")]);
        assert_eq!(speed.words(1060, 1360), ", 10.0 s left, 30 texts/s, 8,000 tokens/s");
        assert_eq!(speed.words(1060, 0), ", 30 texts/s, 8,000 tokens/s");
        let mut slow = Speed::default();
        slow.hear_at(&[(1, "texts")], after(0));
        slow.hear_at(&[(1, "texts")], after(4000));
        assert_eq!(slow.words(2, 3), ", 4.0 s left, 0.2 texts/s");
    }
}
