//! What vector does a pretrained sentence encoder give each text?

mod classify;
mod params;
mod survey;

use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::Array;
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
use crate::table::{features, text};
pub(super) use classify::Classify;
use params::Params;

/// The kind `embed`.
pub(super) struct Embed;

impl StageKind for Embed {
    const KIND: &'static str = "embed";
    const VERSION: u32 = 2;
    const SUMMARY: &'static str = "a dense vector for each text, from a pretrained sentence encoder";
    const EXAMPLE: &'static str = "{ use: embed, from: clean, with: { model: all-minilm-l6-v2 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let files = modelled::<Self>(&params.model, "all-minilm-l6-v2", params.problems(at), at)?;
        Ok(Work::RowWise(Box::new(Encoding {
            files,
            gives: Gives::Vectors,
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
    Vectors,
    Classes(ClassScores),
}

impl Stage for Encoding {
    fn numeric(&self) -> Numeric {
        match self.precision {
            Precision::F32 => Numeric::Model,
            Precision::Bf16 => Numeric::ModelBf16,
            Precision::F16 => Numeric::ModelF16,
        }
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
    fn open(&self, files: &Files, device: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        let place = Place::open(device, self.precision).map_err(failed)?;
        let files = read(files)?;
        let encoder = match self.gives {
            Gives::Vectors => SentenceEncoder::load(&files, &place),
            Gives::Classes(scores) => SentenceEncoder::load_classifier(&files, &place, scores),
        };
        let name = match self.gives {
            Gives::Vectors => Embed::KIND,
            Gives::Classes(_) => Classify::KIND,
        };
        Ok(Box::new(Open { encoder: encoder.map_err(failed)?, name, options: &self.options }))
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
        let options = self.options.clone();
        let params = params::cutting(&options);
        Some((Box::new(survey::Survey { files, options }), params))
    }
}

/// An encoder in memory.
struct Open<'s> {
    encoder: SentenceEncoder,
    /// Of the block.
    name: &'static str,
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
        let done = AtomicU64::new(0);
        let heard = |more: usize, read: usize| {
            ctx.progress.worked(&[(more as u64, "texts"), (read as u64, "tokens")]);
            let done = done.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
            ctx.progress.progress(done, texts.len() as u64, "texts");
        };
        let Encoded { vectors, tokens, tokens_lost, windows } =
            self.encoder.encode(&texts, self.options, &heard, &|| ctx.is_cancelled()).map_err(named)?;
        let block = features::to_table(ids, self.name, &Block::Dense(vectors)).map_err(StageError::caused)?;
        let mapped = Mapped::table(features::block_part(0), block);
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
