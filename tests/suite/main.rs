//! Everything that is tested from outside, in one binary (candle and Parquet are linked once).

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod cases;
mod cli;
mod leak;
mod model;
mod numbers;
mod reuse;
mod support;
mod tidy;
