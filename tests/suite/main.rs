//! Everything that is tested from outside, in one binary (candle and Parquet are linked once).

mod cases;
mod cli;
mod leak;
mod model;
mod numbers;
mod reuse;
mod support;
mod tidy;
