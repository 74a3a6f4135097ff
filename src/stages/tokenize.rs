//! Which tokens has a text? Words by scikit-learn's rules, or the pieces of a pretrained tokenizer.

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fetch;
use crate::ml::{self, Analyzer, AnalyzerError, AnalyzerParams, DEFAULT_TOKEN_PATTERN, TextUnit};
use crate::model::{ModelError, ModelFiles, PretrainedTokenizer};
use crate::problem::Problems;
use crate::stage::{
    Conclusion, Ctx, FileNeed, Files, Mapped, Mapper, Parts, Port, Refusal, RowWise, Scope, Stage, StageError,
    StageKind, Totals, Work, elided,
};
use crate::table::{text, tokens};

/// The one file that a pretrained tokenizer needs.
const TOKENIZER: &str = "tokenizer.json";

/// Texts between two looks at whether the run is to end.
const CHUNK: usize = 1024;

/// The kind `tokenize`.
pub(super) struct Tokenize;

/// Cuts each text into tokens. With `tokenizer: words` (the default) these are scikit-learn's: lower case, then matches
/// of `token_pattern`, less stop words. With `tokenizer: { pretrained: MODEL }` they are the pieces of that model's
/// tokenizer, without special tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Params {
    /// Who cuts.
    tokenizer: Chosen,
    /// Words: turn texts to lower case first.
    lowercase: bool,
    /// Words: remove accents, after lower-casing.
    strip_accents: Option<StripAccents>,
    /// Words: what a token is, as a regular expression; if it has a group, the group is the token.
    token_pattern: String,
    /// Words: tokens to leave out, compared after lower-casing and accents.
    stop_words: Option<StopWords>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Chosen {
    /// Matches of `token_pattern`.
    Words,
    /// The tokenizer of a model, named as in `embed`: a known name, a folder, `hf:org/name@revision`.
    Pretrained(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StripAccents {
    /// Decompose, then drop whatever is not ASCII.
    Ascii,
    /// Decompose, then drop combining marks.
    Unicode,
}

/// `english` or a list of words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum StopWords {
    /// A list with a name.
    Named(NamedList),
    /// These words.
    List(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NamedList {
    /// scikit-learn's list of English stop words.
    English,
}

impl Default for Params {
    fn default() -> Self {
        Params {
            tokenizer: Chosen::Words,
            lowercase: true,
            strip_accents: None,
            token_pattern: DEFAULT_TOKEN_PATTERN.to_owned(),
            stop_words: None,
        }
    }
}

impl StageKind for Tokenize {
    const KIND: &'static str = "tokenize";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "the tokens of each text: words, or a pretrained tokenizer's pieces";
    const EXAMPLE: &'static str = "{ use: tokenize, from: clean, with: { tokenizer: words, stop_words: english } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let cutter = match &params.tokenizer {
            Chosen::Words => {
                Cutter::Words(Box::new(Analyzer::new(&analyzer(&params)).map_err(|error| unreadable(&error, at))?))
            }
            Chosen::Pretrained(model) => Cutter::Pretrained(pretrained(model, &params, at)?),
        };
        Ok(Work::RowWise(Box::new(Cutting { cutter })))
    }

    /// A pretrained tokenizer is known by the digest of its file, so its model's name, or folder, is left out.
    fn canonical(params: &Params) -> Value {
        let mut canonical = elided(params, &Params::default());
        if let (Chosen::Pretrained(_), Some(fields)) = (&params.tokenizer, canonical.as_object_mut()) {
            fields.insert("tokenizer".to_owned(), Value::from("pretrained"));
        }
        canonical
    }
}

fn analyzer(params: &Params) -> AnalyzerParams {
    AnalyzerParams {
        lowercase: params.lowercase,
        strip_accents: params.strip_accents.map(|how| match how {
            StripAccents::Ascii => ml::StripAccents::Ascii,
            StripAccents::Unicode => ml::StripAccents::Unicode,
        }),
        unit: TextUnit::Word {
            token_pattern: params.token_pattern.clone(),
            stop_words: match &params.stop_words {
                None => ml::StopWords::Keep,
                Some(StopWords::Named(NamedList::English)) => ml::StopWords::English,
                Some(StopWords::List(words)) => ml::StopWords::List(words.clone()),
            },
        },
    }
}

fn unreadable(error: &AnalyzerError, at: &Scope<'_>) -> Problems {
    let problem = at.problem("invalid-param", &["token_pattern"], error.to_string());
    let problem = match std::error::Error::source(error) {
        // the regex crate draws several lines; the last one says what is wrong
        Some(source) => match source.to_string().lines().last() {
            Some(line) => problem.because(line.trim().trim_start_matches("error: ")),
            None => problem,
        },
        None => problem,
    };
    problem.into()
}

/// The specification of a model's tokenizer; complains about parameters that only words have.
fn pretrained(model: &str, params: &Params, at: &Scope<'_>) -> Result<fetch::Spec, Problems> {
    let mut problems = Problems::default();
    let default = Params::default();
    let strangers = [
        ("lowercase", params.lowercase != default.lowercase),
        ("strip_accents", params.strip_accents != default.strip_accents),
        ("token_pattern", params.token_pattern != default.token_pattern),
        ("stop_words", params.stop_words != default.stop_words),
    ];
    for (name, _) in strangers.into_iter().filter(|(_, set)| *set) {
        let message = format!("`{name}` belongs to `tokenizer: words`, but the tokenizer is pretrained");
        problems.push(at.problem("invalid-param", &[name], message).help(format!("remove `{name}`")));
    }
    let param = ["tokenizer", "pretrained"];
    let file = match fetch::model(model, at.base) {
        Ok(found) => found.files.into_iter().find(|(name, _)| name == TOKENIZER).map(|(_, spec)| spec),
        Err(error) => {
            let problem = at.problem("invalid-param", &param, error.message);
            problems.push(error.help.into_iter().fold(problem, |problem, help| problem.help(help)));
            return Err(problems);
        }
    };
    match file {
        Some(spec) if problems.0.is_empty() => Ok(spec),
        Some(_) => Err(problems),
        None => {
            problems.push(at.problem("invalid-param", &param, format!("`{model}` has no file `{TOKENIZER}`")));
            Err(problems)
        }
    }
}

enum Cutter {
    Words(Box<Analyzer>),
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
            Cutter::Words(_) => Vec::new(),
            Cutter::Pretrained(spec) => vec![FileNeed {
                role: TOKENIZER.to_owned(),
                spec: spec.clone(),
                param: vec!["tokenizer".to_owned(), "pretrained".to_owned()],
            }],
        }
    }
}

impl RowWise for Cutting {
    fn open(&self, files: &Files) -> Result<Box<dyn Mapper + '_>, StageError> {
        Ok(match &self.cutter {
            Cutter::Words(analyzer) => Box::new(Open::Words(analyzer)),
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
    Words(&'s Analyzer),
    Pretrained(Box<PretrainedTokenizer>),
}

impl Mapper for Open<'_> {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        let table = rows.table("text")?;
        let ids = text::row_ids(&table).map_err(StageError::caused)?;
        let texts: Vec<&str> =
            text::texts(&table).map_err(StageError::caused)?.iter().map(Option::unwrap_or_default).collect();
        let lists = match self {
            Open::Words(analyzer) => cut(&texts, ctx, |_, text| Ok(analyzer.tokens(text)))?,
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use serde_json::{Value, json};

    use super::*;
    use crate::stage::{Output, Part, Progress};

    struct Quiet;

    impl Progress for Quiet {
        fn progress(&self, _: u64, _: u64, _: &'static str) {}
    }

    /// Code, message and causes of a problem.
    type Told = (&'static str, String, Vec<String>);

    fn built(params: Value) -> Result<Work, Vec<Told>> {
        let at = Scope { stage: "words", base: Path::new("."), locate: &|_| None };
        let params = serde_json::from_value(params).unwrap();
        let told = |problems: Problems| problems.0.into_iter().map(|p| (p.code, p.message, p.causes)).collect();
        Tokenize::build(params, &at).map_err(told)
    }

    fn run(params: Value, texts: &[&str]) -> Output {
        let Ok(Work::RowWise(stage)) = built(params) else { panic!("it is row-wise") };
        let ids: Vec<String> = (0..texts.len()).map(|row| row.to_string()).collect();
        let mut rows = Parts::default();
        rows.insert("text", Part::memory(text::table(&ids, texts).unwrap()));
        let ctx = Ctx { seed: 0, cancelled: &AtomicBool::new(false), progress: &Quiet };
        crate::stage::map_whole(&*stage, &rows, &ctx).unwrap()
    }

    #[test]
    fn words_are_scikit_learns() {
        let output = run(json!({}), &["The Films, a 2nd naïve one", "a", ""]);
        assert_eq!((output.facts["tokens"].as_u64(), output.facts["rows_without_tokens"].as_u64()), (Some(5), Some(2)));
        let output = run(json!({ "stop_words": ["films"], "strip_accents": "ascii" }), &["The Films, a 2nd naïve one"]);
        assert_eq!(output.facts["tokens"], 4);
        let output = run(json!({ "stop_words": "english" }), &["the films are over"]);
        assert_eq!(output.facts["tokens"], 1);
        assert_eq!(output.rows, 1);
    }

    #[test]
    fn a_pattern_that_cannot_be_read_says_why() {
        let problems = built(json!({ "token_pattern": "(a" })).err().unwrap();
        let [(code, message, causes)] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(*code, "invalid-param");
        assert!(message.starts_with("`token_pattern` `(a` cannot be read"), "{message}");
        assert_eq!(causes, &["unclosed group"]);
    }

    #[test]
    fn word_parameters_do_not_go_with_a_pretrained_tokenizer() {
        let problems =
            built(json!({ "tokenizer": { "pretrained": "all-minilm-l6-v2" }, "lowercase": false })).err().unwrap();
        let messages: Vec<&str> = problems.iter().map(|(_, message, _)| message.as_str()).collect();
        assert_eq!(messages, ["`lowercase` belongs to `tokenizer: words`, but the tokenizer is pretrained"]);
    }

    #[test]
    fn a_pretrained_tokenizer_needs_one_file() {
        let Ok(work) = built(json!({ "tokenizer": { "pretrained": "all-minilm-l6-v2" } })) else {
            panic!("it is known")
        };
        let roles: Vec<String> = work.stage().files().into_iter().map(|need| need.role).collect();
        assert_eq!(roles, ["tokenizer.json"]);
        assert_eq!(work.stage().port(&[Port::Rows]).ok(), Some(Port::Tokens));
    }

    #[test]
    fn defaults_are_left_out_of_the_key() {
        let params = |value| serde_json::from_value::<Params>(value).unwrap();
        let spelled =
            params(json!({ "tokenizer": "words", "lowercase": true, "token_pattern": DEFAULT_TOKEN_PATTERN }));
        assert_eq!(Tokenize::canonical(&spelled), json!({}));
        assert_eq!(
            Tokenize::canonical(&params(json!({ "stop_words": "english" }))),
            json!({ "stop_words": "english" })
        );
    }
}
