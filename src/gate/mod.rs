//! Does a run hold up against what was before? Baselines, and verdicts on gates.
//!
//! [`baseline`] is what a run is held against, with [`outcomes`] of its rows; [`rows`] is what was predicted of each; [`paired`]
//! says how sure a difference is; [`costs`] is what a run cost; [`rule`] makes a verdict of an interval and a bound; [`judge`] goes through all gates. Pure, but
//! for the baseline's file.

mod baseline;
mod costs;
mod judge;
mod outcomes;
mod paired;
mod rows;
mod rule;

pub use baseline::{BASELINE_FORMAT, Baseline, BaselineError, MetricStanding, RowDigests, Scored, Side};
pub use costs::Costs;
pub use judge::{Judged, judge, other_data};
pub use outcomes::Outcomes;
pub use paired::{Difference, difference};
pub use rows::Rows;
pub use rule::{Ruling, worst};
