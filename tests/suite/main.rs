//! Everything that is tested from outside, in one binary (candle and Parquet are linked once).

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "figures are worth a look with --nocapture")]

mod baselines;
mod broken;
mod browser;
mod cases;
mod cli;
mod contribution;
mod diff;
mod exec;
mod formats;
mod gate;
mod importance;
mod leak;
mod ledger;
mod lock;
mod matrix;
mod model;
mod nested;
mod numbers;
mod predict;
mod reuse;
mod rows;
mod spare;
mod store;
mod support;
mod text;
mod tidy;
mod torture;
mod traps;
mod verify;
mod why;
