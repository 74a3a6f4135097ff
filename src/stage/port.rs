//! What flows along a wire, and what does a kind take there?

use std::fmt;

/// How features are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Sparse blocks only.
    Sparse,
    /// Dense blocks only.
    Dense,
    /// Both.
    Mixed,
}

/// What flows along a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// Texts with their targets.
    Rows,
    /// Lists of tokens.
    Tokens,
    /// For each token of a list, a vector.
    Sequence,
    /// Numeric rows.
    Features(Form),
    /// A fitted learner's predictions, once there are folds.
    Model,
    /// Metrics and out-of-fold predictions.
    Scores,
    /// Files for people.
    Report,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Port::Rows => "text",
            Port::Tokens => "tokens",
            Port::Sequence => "token vectors",
            Port::Features(Form::Sparse) => "sparse features",
            Port::Features(Form::Dense) => "dense features",
            Port::Features(Form::Mixed) => "sparse and dense features",
            Port::Model => "a model",
            Port::Scores => "scores",
            Port::Report => "a report",
        })
    }
}

/// How many inputs a kind takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// None: a source.
    None,
    /// Exactly one.
    One,
    /// One or more.
    Many,
}

/// Why a kind refuses an input.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Which input, from 0.
    pub input: usize,
    /// What the kind takes there, for the message: `features`, `text or tokens`.
    pub wants: &'static str,
    /// Ports that would fit, to list the stages that give them.
    pub fits: fn(Port) -> bool,
    /// A way out, if there is one.
    pub help: Option<String>,
}
