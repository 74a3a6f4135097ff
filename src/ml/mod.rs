//! What is the arithmetic? Pure numerics: matrices, text analysis, linear solvers, metrics, statistics.
//!
//! Nothing here knows serde, paths, clocks, globals or threads' number: equal input gives equal bits.

mod columns;
mod encode;
mod folds;
mod matrix;
mod metrics;
mod panels;
mod rng;
mod rows;
mod scale;
mod text;
mod tfidf;

pub mod alike;
pub mod bayes;
pub mod calibrate;
pub mod kernel;
pub mod linear;
pub mod mlp;
pub mod near;
pub mod neighbors;
mod nested;
pub mod reduce;
pub mod select;
pub mod stats;
pub mod trees;

pub use encode::{Filling, LeastRows, Scale, Scaling, rare};
pub use folds::*;
pub use matrix::{Block, Csr, Dense, Features};
pub use metrics::*;
pub use nested::nested;
pub use rng::Rng;
pub use scale::{RowNorm, Scaler, normalise, rescale};
pub use text::*;
pub use tfidf::*;
