//! Fuseline runs text-ML experiments from a YAML file.
//!
//! In reading order: [`stage`] is the contract that everything hangs on; [`pipeline`] turns a file into checked, resolved
//! variants; [`plan`] turns those into units with identities; [`store`] keeps artifacts; [`run`] brings them together and
//! sends events that [`ui`] renders; [`stages`] has one file for each kind of stage, on top of [`ml`] (pure numerics),
//! [`model`] (transformers), [`fetch`] (data and weights) and [`table`] (Parquet); [`problem`] is how anything is said to be
//! wrong; [`settings`] is how to run; [`machine`] is which bits this machine decides; [`record`] is what a run leaves behind; [`gate`] holds one against another and [`emit`] tells it to machines; [`cli`] is the only room that prints or exits.

pub mod bundle;
pub mod cli;
pub mod compare;
pub mod emit;
pub mod fetch;
pub mod gate;
pub mod lock;
pub mod machine;
pub mod ml;
pub mod model;
pub mod pack;
pub mod pipeline;
pub mod plan;
pub mod problem;
pub mod record;
pub mod run;
pub mod settings;
pub mod stage;
pub mod stages;
pub mod store;
pub mod table;
pub mod ui;
mod whole;
