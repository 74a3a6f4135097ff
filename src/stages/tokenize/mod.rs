//! Which tokens has a text? Words, n-grams of characters, or the pieces of a pretrained tokenizer.

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use serde_json::Value;

use super::analysis::{Chosen, Params, analyzer};
use crate::fetch;
use crate::ml::Analyzer;
use crate::model::{ModelError, ModelFiles, PretrainedTokenizer};
use crate::problem::Problems;
use crate::stage::{
    Conclusion, Ctx, FileNeed, Files, Mapped, Mapper, Parts, Port, Refusal, RowWise, Scope, Stage, StageError,
    StageKind, Totals, Work,
};
use crate::table::{text, tokens};

/// The one file that a pretrained tokenizer needs.
const TOKENIZER: &str = "tokenizer.json";

/// Texts between two looks at whether the run is to end.
const CHUNK: usize = 1024;

/// The kind `tokenize`.
pub(super) struct Tokenize;

impl StageKind for Tokenize {
    const KIND: &'static str = "tokenize";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "the tokens of each text: words, n-grams of characters, or a pretrained tokenizer's pieces";
    const EXAMPLE: &'static str = "{ use: tokenize, from: clean, with: { tokenizer: words, stop_words: english } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = params.strangers(at);
        let cutter = match &params.tokenizer {
            Chosen::Pretrained(model) => pretrained(model, at).map(Cutter::Pretrained),
            _ => analyzer(&params, at).map(|analyzer| Cutter::Own(Box::new(analyzer))),
        };
        match cutter {
            Ok(cutter) if problems.0.is_empty() => Ok(Work::RowWise(Box::new(Cutting { cutter }))),
            Ok(_) => Err(problems),
            Err(more) => {
                problems.0.extend(more.0);
                Err(problems)
            }
        }
    }

    /// A pretrained tokenizer is known by the digest of its file, so its model's name, or folder, is left out. A language has one
    /// name.
    fn canonical(params: &Params) -> Value {
        let mut canonical = params.canonical();
        if let (Chosen::Pretrained(_), Some(fields)) = (&params.tokenizer, canonical.as_object_mut()) {
            fields.insert("tokenizer".to_owned(), Value::from("pretrained"));
        }
        canonical
    }
}

/// The specification of a model's tokenizer.
fn pretrained(model: &str, at: &Scope<'_>) -> Result<fetch::Spec, Problems> {
    let param = ["tokenizer", "pretrained"];
    match fetch::model(model, at.base) {
        Ok(found) => match found.files.into_iter().find(|(name, _)| name == TOKENIZER) {
            Some((_, spec)) => Ok(spec),
            None => Err(at.problem("invalid-param", &param, format!("`{model}` has no file `{TOKENIZER}`")).into()),
        },
        Err(error) => {
            let problem = at.problem("invalid-param", &param, error.message);
            Err(error.help.into_iter().fold(problem, |problem, help| problem.help(help)).into())
        }
    }
}

enum Cutter {
    Own(Box<Analyzer>),
    Pretrained(fetch::Spec),
}

struct Cutting {
    cutter: Cutter,
}

impl Stage for Cutting {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Rows] => Ok(Port::Tokens),
            _ => Err(Refusal { input: 0, wants: "text", fits: |port| port == Port::Rows, help: None }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text"]
    }

    fn files(&self) -> Vec<FileNeed> {
        match &self.cutter {
            Cutter::Own(_) => Vec::new(),
            Cutter::Pretrained(spec) => vec![FileNeed {
                role: TOKENIZER.to_owned(),
                spec: spec.clone(),
                param: vec!["tokenizer".to_owned(), "pretrained".to_owned()],
            }],
        }
    }
}

impl RowWise for Cutting {
    fn open(&self, files: &Files, _: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        Ok(match &self.cutter {
            Cutter::Own(analyzer) => Box::new(Open::Own(analyzer)),
            Cutter::Pretrained(_) => Box::new(Open::Pretrained(Box::new(load(files)?))),
        })
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        let tokens = totals.of("tokens");
        Conclusion::default().fact("tokens", tokens.sum).fact("rows_without_tokens", totals.rows - tokens.rows)
    }
}

/// A cutter that is ready.
enum Open<'s> {
    Own(&'s Analyzer),
    Pretrained(Box<PretrainedTokenizer>),
}

impl Mapper for Open<'_> {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        let table = rows.table("text")?;
        let ids = text::row_ids(&table).map_err(StageError::caused)?;
        let texts: Vec<&str> =
            text::texts(&table).map_err(StageError::caused)?.iter().map(Option::unwrap_or_default).collect();
        let lists = match self {
            Open::Own(analyzer) => cut(&texts, ctx, |_, text| Ok(analyzer.tokens(text)))?,
            Open::Pretrained(tokenizer) => cut(&texts, ctx, |row, text| {
                let named = |error| failed(error).because(format!("its `row_id` is `{}`", ids.value(row)));
                tokenizer.tokens(text, row).map_err(named)
            })?,
        };
        let counts = lists.iter().map(|list| list.len() as u64).collect();
        Ok(Mapped::table("tokens", tokens::table(ids, &lists).map_err(StageError::caused)?).count("tokens", counts))
    }
}

/// Applies `one` to every text (row, text), side by side.
fn cut(
    texts: &[&str],
    ctx: &Ctx<'_>,
    one: impl Fn(usize, &str) -> Result<Vec<String>, StageError> + Sync,
) -> Result<Vec<Vec<String>>, StageError> {
    let mut lists = Vec::with_capacity(texts.len());
    for (index, chunk) in texts.chunks(CHUNK).enumerate() {
        ctx.check()?;
        let cut: Result<Vec<_>, _> =
            chunk.par_iter().enumerate().map(|(row, text)| one(index * CHUNK + row, text)).collect();
        lists.extend(cut?);
        ctx.progress.progress(lists.len() as u64, texts.len() as u64, "texts");
    }
    Ok(lists)
}

fn load(files: &Files) -> Result<PretrainedTokenizer, StageError> {
    let mut model = ModelFiles::default();
    model.read(TOKENIZER, files.one(TOKENIZER)?.open().map_err(StageError::caused)?).map_err(failed)?;
    PretrainedTokenizer::load(&model).map_err(failed)
}

fn failed(error: ModelError) -> StageError {
    StageError::failed(error.to_string()).at_param(&["tokenizer", "pretrained"])
}
