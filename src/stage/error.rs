//! Why did a unit fail, and what is to be told of it?

/// Why a unit failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StageError {
    /// The run was asked to end.
    #[error("interrupted")]
    Interrupted,
    /// The stage cannot do its work.
    #[error("{}", .0.message)]
    Failed(Box<Failure>),
}

/// The particulars of a failure.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// Deeper causes, outermost first.
    pub causes: Vec<String>,
    /// What to do.
    pub help: Vec<String>,
    /// The way into `with` to the parameter at fault, if one is.
    pub param: Option<Vec<String>>,
    /// True if stored bytes are damaged.
    pub damaged: bool,
    /// True if the store cannot be written, so that no other unit can keep anything either.
    pub storage: bool,
    /// The problem's code, where it is not that a stage failed.
    pub code: Option<&'static str>,
}

impl StageError {
    /// A failure with a message.
    pub fn failed(message: impl Into<String>) -> Self {
        StageError::Failed(Box::new(Failure { message: message.into(), ..Failure::default() }))
    }

    /// A failure that an error of a library brought about.
    pub fn caused(error: impl std::error::Error) -> Self {
        StageError::failed(error.to_string())
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        if let StageError::Failed(failure) = &mut self {
            failure.help.push(help.into());
        }
        self
    }

    /// Adds a deeper cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        if let StageError::Failed(failure) = &mut self {
            failure.causes.push(cause.into());
        }
        self
    }

    /// Names the parameter at fault by its way into `with`.
    #[must_use]
    pub fn at_param(mut self, path: &[&str]) -> Self {
        if let StageError::Failed(failure) = &mut self {
            failure.param = Some(path.iter().map(|s| (*s).to_owned()).collect());
        }
        self
    }
}
