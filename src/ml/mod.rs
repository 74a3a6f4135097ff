//! What is the arithmetic? Pure numerics: matrices, text analysis, linear solvers, metrics, statistics.
//!
//! Nothing here knows serde, paths, clocks, globals or threads' number: equal input gives equal bits.

mod encode;
mod folds;
mod matrix;
mod metrics;
mod rng;
mod rows;
mod text;
mod tfidf;

pub mod calibrate;
pub mod kernel;
pub mod linear;
pub mod near;
pub mod stats;
pub mod trees;

pub use encode::{Filling, LeastRows, Scale, Scaling, rare};
pub use folds::*;
pub use matrix::{Block, Csr, Dense, Features};
pub use metrics::*;
pub use rng::Rng;
pub use text::*;
pub use tfidf::*;
