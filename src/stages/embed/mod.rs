//! What vector does a pretrained sentence encoder give each text, or each token of it?

mod classify;
mod params;
mod survey;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, RecordBatch, StringArray};
use serde_json::Value;

use crate::fetch;
use crate::ml::Block;
use crate::model::{
    ClassScores, EncodeOptions, Encoded, ModelError, ModelFiles, Place, Precision, SentenceEncoder, Truncation,
};
use crate::problem::Problems;
use crate::stage::{
    Conclusion, Ctx, FileNeed, Files, Form, Mapped, Mapper, Numeric, Parts, Port, Refusal, RowWise, Scope, Stage,
    StageError, StageKind, Totals, Work,
};
use crate::table::tokens::Tokens;
use crate::table::{features, text, vectors};
pub(super) use classify::Classify;
use params::{Level, Params};

/// The kind `embed`.
pub(super) struct Embed;

impl StageKind for Embed {
    const KIND: &'static str = "embed";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str =
        "a dense vector for each text, or each token of it, from a pretrained sentence encoder";
    const EXAMPLE: &'static str = "{ use: embed, from: clean, with: { model: all-minilm-l6-v2 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let files = modelled::<Self>(&params.model, "all-minilm-l6-v2", params.problems(at), at)?;
        Ok(Work::RowWise(Box::new(Encoding {
            files,
            gives: Gives::Vectors(params.level),
            precision: params.precision,
            options: params.options(),
        })))
    }

    fn canonical(params: &Params) -> Value {
        params.canonical()
    }
}

/// The files of the model that a stage names, unless there are problems; `like` is one that could be named.
fn modelled<K: StageKind>(
    model: &str,
    like: &str,
    mut problems: Problems,
    at: &Scope<'_>,
) -> Result<Vec<(String, fetch::Spec)>, Problems> {
    if model.is_empty() {
        let problem = at.problem("missing-param", &["model"], format!("`{}` needs `model`", K::KIND));
        problems.push(problem.help(format!("write for instance `model: {like}`")));
        return Err(problems);
    }
    match fetch::model(model, at.base) {
        Ok(model) if problems.0.is_empty() => Ok(model.files),
        Ok(_) => Err(problems),
        Err(error) => {
            let problem = at.problem("invalid-param", &["model"], error.message);
            problems.push(error.help.into_iter().fold(problem, |problem, help| problem.help(help)));
            Err(problems)
        }
    }
}

struct Encoding {
    files: Vec<(String, fetch::Spec)>,
    gives: Gives,
    precision: Precision,
    options: EncodeOptions,
}

/// What a text becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gives {
    Vectors(Level),
    Classes(ClassScores),
}

impl Gives {
    fn level(self) -> Level {
        match self {
            Gives::Vectors(level) => level,
            Gives::Classes(_) => Level::Document,
        }
    }
}

/// Tokens of a chunk: at 1,024 numbers for each, 128 MiB of vectors.
const MOST_TOKENS: usize = 32 * 1024;

impl Stage for Encoding {
    fn numeric(&self) -> Numeric {
        match self.precision {
            Precision::F32 => Numeric::Model,
            Precision::Bf16 => Numeric::ModelBf16,
            Precision::F16 => Numeric::ModelF16,
        }
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        let refusal = |wants, fits, help: &str| {
            let help = (!help.is_empty()).then(|| help.to_owned());
            Err(Refusal { input: 0, wants, fits, help })
        };
        match (self.gives, inputs) {
            (Gives::Vectors(Level::Token), [Port::Tokens]) => Ok(Port::Sequence),
            (Gives::Vectors(Level::Token), [Port::Rows]) => {
                let help = "put a `tokenize` stage between the two, or take `level: token` out";
                refusal("tokens", |port| port == Port::Tokens, help)
            }
            (Gives::Vectors(Level::Token), _) => refusal("tokens", |port| port == Port::Tokens, ""),
            (_, [Port::Rows]) => Ok(Port::Features(Form::Dense)),
            (Gives::Vectors(Level::Document), [Port::Tokens]) => {
                let help = "`level: token` gives each token a vector";
                refusal("text", |port| port == Port::Rows, help)
            }
            _ => refusal("text", |port| port == Port::Rows, ""),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        Given::parts(self.gives.level())
    }

    fn advice(&self) -> Vec<String> {
        let mut all: Vec<String> = self.files.iter().filter_map(|(_, spec)| spec.advice()).collect();
        all.truncate(1);
        all
    }

    fn files(&self) -> Vec<FileNeed> {
        needs(&self.files)
    }
}

fn needs(files: &[(String, fetch::Spec)]) -> Vec<FileNeed> {
    let need = |(name, spec): &(String, fetch::Spec)| FileNeed {
        role: name.clone(),
        spec: spec.clone(),
        param: vec!["model".to_owned()],
    };
    files.iter().map(need).collect()
}

impl RowWise for Encoding {
    fn open(&self, files: &Files, device: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        let place = Place::open(device, self.precision).map_err(failed)?;
        let files = read(files)?;
        let encoder = match self.gives {
            Gives::Vectors(_) => SentenceEncoder::load(&files, &place),
            Gives::Classes(scores) => SentenceEncoder::load_classifier(&files, &place, scores),
        };
        let name = match self.gives {
            Gives::Vectors(_) => Embed::KIND,
            Gives::Classes(_) => Classify::KIND,
        };
        let (encoder, level) = (encoder.map_err(failed)?, self.gives.level());
        Ok(Box::new(Open { encoder, name, level, options: &self.options }))
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        let (tokens, lost) = (totals.of("tokens"), totals.of("tokens_lost"));
        let conclusion = Conclusion::default()
            .fact("texts", totals.rows)
            .fact("tokens", tokens.sum)
            .fact("truncated_rows", lost.rows)
            .fact("tokens_lost", lost.sum);
        let conclusion = match self.options.truncation {
            Truncation::Chunk => {
                let (windows, parted) = (totals.of("windows"), totals.of("in_windows"));
                conclusion.fact("windows", windows.sum).fact("rows_in_windows", parted.rows)
            }
            _ => conclusion,
        };
        let mut warnings: Vec<String> = truncation(totals.rows, lost.rows, lost.sum, tokens.sum).into_iter().collect();
        let conclusion = match self.gives.level() {
            Level::Document => conclusion,
            Level::Token => {
                let of = |name: &str| totals.of(name).sum;
                let (given, cut, blank) = (of("given_tokens"), of("given_tokens_cut"), of("given_tokens_blank"));
                warnings.extend(unread(given, cut));
                warnings.extend(unknown(given, blank));
                let conclusion = conclusion.fact("given_tokens", given);
                conclusion.fact("given_tokens_cut", cut).fact("given_tokens_blank", blank)
            }
        };
        warnings.into_iter().fold(conclusion, Conclusion::warn)
    }

    fn most_items(&self) -> Option<usize> {
        (self.gives.level() == Level::Token).then_some(MOST_TOKENS)
    }

    fn costly(&self) -> bool {
        true
    }

    fn survey(&self) -> Option<(Box<dyn RowWise>, Value)> {
        let weights = |name: &str| name.contains(".safetensors");
        let files = self.files.iter().filter(|(name, _)| !weights(name)).cloned().collect();
        let (level, options) = (self.gives.level(), self.options.clone());
        let params = params::cutting(level, &options);
        Some((Box::new(survey::Survey { files, level, options }), params))
    }
}

/// What is read of some rows.
enum Given<'t> {
    Texts(Vec<&'t str>),
    Tokens(Vec<Vec<&'t str>>),
}

impl<'t> Given<'t> {
    /// The part that holds it.
    fn parts(level: Level) -> &'static [&'static str] {
        match level {
            Level::Document => &["text"],
            Level::Token => &["tokens"],
        }
    }

    fn table(level: Level, rows: &Parts) -> Result<Arc<RecordBatch>, StageError> {
        rows.table(match level {
            Level::Document => "text",
            Level::Token => "tokens",
        })
    }

    /// The row ids of a table, and what it holds.
    fn of(level: Level, table: &'t RecordBatch) -> Result<(&'t StringArray, Self), StageError> {
        let ids = text::row_ids(table).map_err(StageError::caused)?;
        let given = match level {
            Level::Document => {
                let texts = text::texts(table).map_err(StageError::caused)?;
                Given::Texts(texts.iter().map(Option::unwrap_or_default).collect())
            }
            Level::Token => {
                let tokens = Tokens::of(table).map_err(StageError::caused)?;
                Given::Tokens(tokens.rows().map(Iterator::collect).collect())
            }
        };
        Ok((ids, given))
    }
}

/// An encoder in memory.
struct Open<'s> {
    encoder: SentenceEncoder,
    /// Of the block.
    name: &'static str,
    level: Level,
    options: &'s EncodeOptions,
}

impl Mapper for Open<'_> {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        ctx.check()?;
        let table = Given::table(self.level, rows)?;
        let (ids, given) = Given::of(self.level, &table)?;
        let named = |error: ModelError| {
            let row = row_of(&error).filter(|row| *row < ids.len());
            row.into_iter()
                .fold(failed(error), |failure, row| failure.because(format!("its `row_id` is `{}`", ids.value(row))))
        };
        let done = AtomicU64::new(0);
        let heard = |more: usize, read: usize| {
            ctx.progress.worked(&[(more as u64, "texts"), (read as u64, "tokens")]);
            let done = done.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
            ctx.progress.progress(done, ids.len() as u64, "texts");
        };
        let stop = &|| ctx.is_cancelled();
        let encoded = match &given {
            Given::Texts(texts) => self.encoder.encode(texts, self.options, &heard, stop),
            Given::Tokens(rows) => self.encoder.encode_tokens(rows, self.options, &heard, stop),
        };
        let Encoded { vectors, tokens, tokens_lost, windows, given_cut, given_blank } = encoded.map_err(named)?;
        let mapped = match &given {
            Given::Texts(_) => {
                let block = features::to_table(ids, self.name, &Block::Dense(vectors)).map_err(StageError::caused)?;
                Mapped::table(features::block_part(0), block)
            }
            Given::Tokens(rows) => {
                let table = vectors::table(ids, self.name, rows.iter().map(Vec::len), vectors);
                Mapped::table(vectors::PART, table.map_err(StageError::caused)?)
                    .count("given_tokens", rows.iter().map(|row| row.len() as u64).collect())
                    .count("given_tokens_cut", given_cut)
                    .count("given_tokens_blank", given_blank)
            }
        };
        let mapped = mapped.count("tokens", tokens).count("tokens_lost", tokens_lost);
        Ok(match self.options.truncation {
            Truncation::Chunk => {
                let parted = windows.iter().map(|windows| u64::from(*windows > 1)).collect();
                mapped.count("windows", windows).count("in_windows", parted)
            }
            _ => mapped,
        })
    }
}

/// The model's files, read into memory.
fn read(files: &Files) -> Result<ModelFiles, StageError> {
    let mut model = ModelFiles::default();
    for (name, fetched) in &files.0 {
        // a file that a model may lack is not there
        let Some(file) = fetched.first() else { continue };
        model.read(name, file.open().map_err(StageError::caused)?).map_err(failed)?;
    }
    Ok(model)
}

fn failed(error: ModelError) -> StageError {
    let (param, help) = match &error {
        ModelError::Interrupted => return StageError::Interrupted,
        ModelError::MaxLength { .. } => ("max_length", None),
        ModelError::TooLong { .. } => (
            "truncation",
            Some(
                "raise `max_length` if the model allows it, or choose what is read; `fuseline check FILE --data` counts all",
            ),
        ),
        ModelError::Stride { .. } => ("stride", None),
        ModelError::Layer { .. } | ModelError::LayerTwice { .. } => ("layers", None),
        ModelError::Prompt { .. } => ("prompt", None),
        ModelError::NoHead => {
            ("model", Some("for vectors write `use: embed`; classes need a model fine-tuned for them"))
        }
        ModelError::Device { .. } => {
            ("precision", Some("`--device` and the setting `device` say where models are computed"))
        }
        ModelError::Family { .. } | ModelError::Unsupported { .. } => {
            ("model", Some("choose a model of a known family"))
        }
        ModelError::MissingFile { .. } => ("model", Some("choose a model with `tokenizer.json` and `*.safetensors`")),
        _ => ("model", None),
    };
    let failure = StageError::failed(error.to_string()).at_param(&[param]);
    help.into_iter().fold(failure, StageError::help)
}

/// The row that an error is about.
fn row_of(error: &ModelError) -> Option<usize> {
    match error {
        ModelError::Tokenize { row, .. }
        | ModelError::ForeignToken { row, .. }
        | ModelError::NotFinite { row }
        | ModelError::TooLong { row, .. } => Some(*row),
        _ => None,
    }
}

/// A word when more than one text in a hundred was cut.
fn truncation(texts: u64, cut: u64, lost: u64, kept: u64) -> Option<String> {
    let share = 100.0 * cut as f64 / texts.max(1) as f64;
    let gone = 100.0 * lost as f64 / (lost + kept).max(1) as f64;
    (share > 1.0).then(|| {
        format!(
            "{cut} of {texts} texts ({share:.1} %) are longer than the model reads and were cut; {lost} tokens ({gone:.1} %) were \
             lost; raise `max_length` if the model allows it"
        )
    })
}

/// A word when more than one given token in a hundred was cut off.
fn unread(given: u64, cut: u64) -> Option<String> {
    let share = 100.0 * cut as f64 / given.max(1) as f64;
    (share > 1.0).then(|| {
        format!(
            "{cut} of {given} given tokens ({share:.1} %) were cut off and have zeros as a vector; `truncation: chunk` reads all"
        )
    })
}

/// A word when more than one given token in a hundred is nothing to the model.
fn unknown(given: u64, blank: u64) -> Option<String> {
    let share = 100.0 * blank as f64 / given.max(1) as f64;
    (share > 1.0).then(|| {
        format!(
            "{blank} of {given} given tokens ({share:.1} %) are nothing to the model's tokenizer and have zeros as a vector; leave \
             them out before, or clean them otherwise"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn built(params: serde_json::Value) -> Result<Work, Problems> {
        let at = Scope { stage: "vectors", base: Path::new("."), locate: &|_| None };
        Embed::build(serde_json::from_value(params).unwrap(), &at)
    }

    #[test]
    fn the_known_model_needs_its_files_and_gives_dense_features() {
        let work = built(json!({ "model": "all-minilm-l6-v2" })).unwrap_or_else(|problems| panic!("{problems:?}"));
        let needs: Vec<String> = work.stage().files().into_iter().map(|need| need.role).collect();
        for name in
            ["config.json", "model.safetensors", "tokenizer.json", "sentence_bert_config.json", "1_Pooling/config.json"]
        {
            assert!(needs.iter().any(|role| role == name), "{name} is not in {needs:?}");
        }
        assert_eq!(work.stage().port(&[Port::Rows]).ok(), Some(Port::Features(Form::Dense)));
        assert_eq!(work.stage().port(&[Port::Tokens]).map_err(|refusal| refusal.wants), Err("text"));
    }

    #[test]
    fn a_missing_model_and_a_length_of_nothing_are_told_together() {
        let problems = built(json!({ "max_length": 0 })).err().map(|problems| problems.0).unwrap_or_default();
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["out-of-range", "missing-param"]);
    }

    #[test]
    fn what_contradicts_itself_is_told_before_anything_runs() {
        let params = json!({ "model": "all-minilm-l6-v2", "stride": 4, "prefix": "a", "prompt": "b", "layers": [] });
        let problems = built(params).err().map(|problems| problems.0).unwrap_or_default();
        let told: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        let all = ["`layers` names no layer", "`stride` is for windows", "`prefix` and `prompt` both say"];
        assert_eq!(told.len(), all.len());
        assert!(told.iter().zip(all).all(|(told, begins)| told.starts_with(begins)), "{told:?}");
    }

    #[test]
    fn tokens_come_from_tokens_alone_and_give_a_vector_each() {
        let work =
            built(json!({ "model": "all-minilm-l6-v2", "level": "token" })).unwrap_or_else(|all| panic!("{all:?}"));
        let stage = work.stage();
        assert_eq!(stage.port(&[Port::Tokens]).ok(), Some(Port::Sequence));
        let refused = stage.port(&[Port::Rows]).unwrap_err();
        assert_eq!(refused.wants, "tokens");
        assert!((refused.fits)(Port::Tokens) && !(refused.fits)(Port::Rows));
        assert!(refused.help.unwrap().contains("`tokenize`"));
        assert!(stage.port(&[Port::Sequence]).unwrap_err().help.is_none());
        assert_eq!(stage.reads(0), ["tokens"]);
        let Work::RowWise(stage) = work else { panic!("not by rows") };
        let (survey, params) = stage.survey().unwrap();
        assert_eq!((survey.reads(0), params), (&["tokens"][..], json!({ "level": "token" })));
        assert!(stage.most_items().is_some());
    }

    #[test]
    fn what_is_for_texts_is_not_for_tokens_and_the_other_way_round() {
        let told = |params: serde_json::Value| {
            let problems = built(params).err().map(|problems| problems.0).unwrap_or_default();
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        let tokens =
            json!({ "model": "e5-small-v2", "level": "token", "pooling": "cls", "prefix": "", "truncation": "chunk" });
        let all = [
            "`pooling` is not for `level: token`: `subtokens` says how a token's vector is made",
            "`prefix` is not for `level: token`: given tokens are read as they are",
        ];
        assert_eq!(told(tokens), all);
        assert_eq!(told(json!({ "model": "e5-small-v2", "level": "token", "prompt": "query" })).len(), 1);
        let texts = json!({ "model": "e5-small-v2", "subtokens": "first" });
        assert_eq!(told(texts), ["`subtokens` is not for `level: document`: texts have `pooling`"]);
    }

    #[test]
    fn tokens_without_a_vector_are_worth_a_word_past_one_in_a_hundred() {
        assert_eq!((unread(1000, 10), unknown(1000, 10), unread(0, 0)), (None, None, None));
        let warning = unread(1000, 11).unwrap();
        assert!(warning.starts_with("11 of 1000 given tokens (1.1 %) were cut off"), "{warning}");
        let warning = unknown(10, 10).unwrap();
        assert!(warning.starts_with("10 of 10 given tokens (100.0 %) are nothing"), "{warning}");
    }

    #[test]
    fn cutting_more_than_one_text_in_a_hundred_is_worth_a_word() {
        assert_eq!(truncation(1000, 10, 99, 99), None);
        let warning = truncation(1000, 11, 100, 300).unwrap();
        assert!(warning.starts_with("11 of 1000 texts (1.1 %) are longer"), "{warning}");
        assert!(warning.contains("100 tokens (25.0 %) were lost"), "{warning}");
        assert_eq!(truncation(0, 0, 0, 0), None);
    }

    #[test]
    fn a_length_that_does_not_fit_points_at_its_parameter() {
        let error = failed(ModelError::MaxLength { asked: 600, least: 3, most: 512 });
        let StageError::Failed(failure) = error else { panic!("{error}") };
        assert_eq!(failure.param, Some(vec!["max_length".to_owned()]));
        assert_eq!(failure.message, "`max_length` must be between 3 and 512 for this model, but is 600");
    }
}
