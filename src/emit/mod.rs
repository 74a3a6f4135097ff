//! How does a machine that builds, or a person who reviews, hear what a run came to? JUnit, annotations, code quality,
//! Markdown and JSON, all from one [`Report`].
//!
//! Names, labels and messages may hold anything. Each form has its own way to write them so that they stay text: see [`escape`].

pub mod escape;
mod github;
mod gitlab;
mod junit;
mod markdown;
mod report;

use std::path::PathBuf;
use std::str::FromStr;

pub use github::annotations;
pub use report::{ExpectCase, FailedUnit, GateCase, MetricCase, Place, REPORT_FORMAT, Report, UnitCase, VariantCase};

/// A form that a report is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JUnit's XML.
    Junit,
    /// Annotations as GitHub's workflow commands; the Markdown goes into the step's summary.
    Github,
    /// GitLab's code quality report.
    Gitlab,
    /// Markdown, for a pull request.
    Markdown,
    /// The report as it is: `schemas/gate.schema.json`.
    Json,
}

/// All forms, by name.
pub const FORMS: [(&str, Form); 5] = [
    ("junit", Form::Junit),
    ("github", Form::Github),
    ("gitlab", Form::Gitlab),
    ("markdown", Form::Markdown),
    ("json", Form::Json),
];

/// A form and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emit {
    /// The form.
    pub form: Form,
    /// The file; `None` is standard output.
    pub path: Option<PathBuf>,
}

impl FromStr for Emit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').map_or((text, None), |(name, path)| (name, Some(path)));
        let names = || FORMS.map(|(name, _)| name).join(", ");
        let form = FORMS.iter().find(|(known, _)| *known == name).map(|(_, form)| *form);
        let form = form.ok_or_else(|| format!("`{name}` is no form: the forms are {}", names()))?;
        match path {
            Some("") => Err(format!("`{text}` names no file: write `{name}=FILE`, or `{name}=-` for standard output")),
            Some("-") => Ok(Emit { form, path: None }),
            Some(path) => Ok(Emit { form, path: Some(PathBuf::from(path)) }),
            None if form == Form::Github => Ok(Emit { form, path: None }),
            None => Err(format!("`{name}` names no file: write `{name}=FILE`, or `{name}=-` for standard output")),
        }
    }
}

impl Form {
    /// The report in this form.
    pub fn text(self, report: &Report) -> String {
        match self {
            Form::Junit => junit::text(report),
            Form::Github => annotations(report),
            Form::Gitlab => gitlab::text(report),
            Form::Markdown => markdown::text(report),
            Form::Json => {
                serde_json::to_string_pretty(report).map(|text| escape::json(&text) + "\n").unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests;
