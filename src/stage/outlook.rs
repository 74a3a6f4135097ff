//! What can be learned from rows, and what does a model say of them, as far as a pipeline tells before it runs?

use crate::ml::Task;

/// What the rows of a source have to learn from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Targets {
    /// One label a row.
    pub label: bool,
    /// A set of labels a row.
    pub label_set: bool,
    /// A number a row.
    pub value: bool,
    /// How much each row counts.
    pub weight: bool,
}

/// What a model says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Says {
    /// One class, a set of classes, or a number.
    pub task: Task,
    /// Whether its scores are probabilities; `None` where that is not known yet.
    pub probabilities: Option<bool>,
}

/// What is known of that which a stage reads; `None` where the pipeline does not tell.
#[derive(Debug, Clone, Copy)]
pub struct Outlook<'a> {
    /// Of its rows.
    pub targets: Option<Targets>,
    /// Of each input, where that is a model.
    pub models: &'a [Option<Says>],
}

impl Outlook<'_> {
    /// The only model; `None` too where nothing is known of it.
    pub fn model(&self) -> Option<Says> {
        self.models.first().copied().flatten()
    }

    /// The first model of which `wrong` holds.
    pub fn first(&self, wrong: impl Fn(Says) -> bool) -> Option<(usize, Says)> {
        let known = |(input, says): (usize, &Option<Says>)| Some((input, (*says)?));
        self.models.iter().enumerate().filter_map(known).find(|(_, says)| wrong(*says))
    }
}

/// Why a stage cannot learn from what it reads, or cannot score it.
#[derive(Debug, Clone)]
pub struct Unfit {
    /// What is at fault.
    pub at: Fault,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// What is at fault where a stage is [`Unfit`].
#[derive(Debug, Clone)]
pub enum Fault {
    /// A parameter, by the way into `with`; the whole stage if that is empty.
    Param(Vec<String>),
    /// An input, from 0. The message then says what is wanted, as in `a model with probabilities`.
    Input(usize, &'static str),
}

impl Unfit {
    /// The parameter at `path` does not fit; the message is a sentence about it.
    pub fn param(path: &[&str], message: impl Into<String>) -> Self {
        let path = path.iter().map(|step| (*step).to_owned()).collect();
        Unfit { at: Fault::Param(path), message: message.into(), help: None }
    }

    /// The model that is input `input` does not fit: `wants` is what it should be, `gives` what it does.
    pub fn model(input: usize, wants: impl Into<String>, gives: &'static str) -> Self {
        Unfit { at: Fault::Input(input, gives), message: wants.into(), help: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
