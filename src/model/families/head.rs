//! What does a fine-tuned model say of a text? The small network that `*ForSequenceClassification` puts on the states of a
//! text: their scores for its classes.

use candle_core::cpu::erf::erf_f64;
use serde_json::Value;

use crate::model::architecture::{Linear, Norm};
use crate::model::files::CONFIG;
use crate::model::json::Json;
use crate::model::weights::Weights;
use crate::model::{ModelError, ModelFiles};

/// A head for classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    reads: Reads,
    steps: Vec<Step>,
    labels: Vec<String>,
    chances: Chances,
}

/// Which states it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    First,
    Last,
    Mean,
}

/// What it does with them, one after the other.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Map(Linear),
    Norm(Norm),
    Tanh,
    Relu,
    Gelu,
}

/// How logits become probabilities (`problem_type`, as transformers' text classification reads it).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chances {
    /// They sum up to 1.
    OneLabel,
    /// Each by itself.
    ManyLabels,
    /// They do not: the model estimates numbers.
    Regression,
}

impl Head {
    /// Reads the head of a model: `None` for a checkpoint without one.
    ///
    /// # Errors
    /// The family has no such head here; a tensor is missing or misshapen; labels and outputs are not as many.
    pub fn read(files: &ModelFiles) -> Result<Option<Self>, ModelError> {
        let json = Json { file: CONFIG, value: files.json(CONFIG)? };
        let family = json.text("model_type")?;
        let (reads, plan) = plan(&json, &family)?;
        let weights = Weights::read(files, plan.stem)?;
        let last = format!("{}.weight", plan.last);
        let Some([outputs, width]) = weights.outside_shape(&last).and_then(|shape| <[usize; 2]>::try_from(shape).ok())
        else {
            return Ok(None);
        };
        let mut steps = plan.steps(&json, &weights, width)?;
        steps.push(Step::Map(map(&weights, plan.last, width, outputs, plan.biased)?));
        Ok(Some(Head { reads, steps, labels: labels(&json, outputs)?, chances: chances(&json, outputs)? }))
    }

    /// The classes, in the order of the scores.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The logits of one text, from the states of its tokens after the last block (row-major).
    pub fn scores(&self, states: &[f32]) -> Vec<f32> {
        let width = self.steps.iter().find_map(|step| if let Step::Map(map) = step { Some(map.input) } else { None });
        let width = width.unwrap_or(1);
        let mut values: Vec<f64> = match self.reads {
            Reads::First => states.iter().take(width).copied().map(f64::from).collect(),
            Reads::Last => states[states.len().saturating_sub(width)..].iter().copied().map(f64::from).collect(),
            Reads::Mean => {
                let mut sums = vec![0.0; width];
                for row in states.chunks_exact(width) {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += f64::from(*value);
                    }
                }
                let count = (states.len() / width).max(1) as f64;
                sums.into_iter().map(|sum| sum / count).collect()
            }
        };
        for step in &self.steps {
            values = step.apply(values);
        }
        values.into_iter().map(|value| value as f32).collect()
    }

    /// The same as probabilities; estimated numbers stay as they are.
    pub fn probabilities(&self, states: &[f32]) -> Vec<f32> {
        let logits = self.scores(states);
        match self.chances {
            Chances::Regression => logits,
            Chances::ManyLabels => {
                logits.into_iter().map(|logit| (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32).collect()
            }
            Chances::OneLabel => {
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - most).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.into_iter().map(|power| (power / sum) as f32).collect()
            }
        }
    }
}

impl Step {
    fn apply(&self, mut values: Vec<f64>) -> Vec<f64> {
        let each = |function: fn(f64) -> f64| values.iter().copied().map(function).collect();
        match self {
            Step::Tanh => each(f64::tanh),
            Step::Relu => each(|x| if x < 0.0 { 0.0 } else { x }),
            Step::Gelu => each(|x| x / 2.0 * (1.0 + erf_f64(x * std::f64::consts::FRAC_1_SQRT_2))),
            Step::Map(map) => {
                let row = |(output, row): (usize, &[f32])| {
                    let bias = map.bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
                    bias + row.iter().zip(&values).map(|(weight, value)| f64::from(*weight) * value).sum::<f64>()
                };
                map.weight.chunks_exact(map.input).enumerate().map(row).collect()
            }
            Step::Norm(norm) => {
                let count = values.len() as f64;
                let mean = if norm.centred { values.iter().sum::<f64>() / count } else { 0.0 };
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
                let factor = 1.0 / (variance + f64::from(norm.epsilon)).sqrt();
                for (at, value) in values.iter_mut().enumerate() {
                    let shift = norm.shift.as_ref().map_or(0.0, |shift| f64::from(shift[at]));
                    *value = (*value - mean) * factor * f64::from(norm.scale[at]) + shift;
                }
                values
            }
        }
    }
}

/// Where a family's head has its tensors.
struct Plan {
    stem: &'static str,
    /// A map before the last one, of the same width: inside the transformer or outside, then an activation.
    first: Option<(Place, &'static str, Step)>,
    /// Then a normalisation.
    norm: Option<&'static str>,
    last: &'static str,
    biased: Biased,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Inside,
    Outside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Biased {
    Yes,
    No,
}

impl Plan {
    fn steps(&self, json: &Json<'_>, weights: &Weights<'_>, width: usize) -> Result<Vec<Step>, ModelError> {
        let mut steps = Vec::new();
        if let Some((place, name, activation)) = &self.first {
            let first = match place {
                Place::Inside => weights.linear(name, width, width)?,
                Place::Outside => {
                    // ModernBERT's has none, unless it is asked for
                    let biased = self.norm.is_none() || json.flag("classifier_bias")?;
                    map(weights, name, width, width, if biased { Biased::Yes } else { Biased::No })?
                }
            };
            steps.extend([Step::Map(first), activation.clone()]);
        }
        if let Some(name) = self.norm {
            let vector = |part: &str| weights.outside(format!("{name}.{part}"), &[width]);
            let shift = if json.flag("norm_bias")? { Some(vector("bias")?) } else { None };
            let epsilon = json.number("norm_eps")?.unwrap_or(1e-5) as f32;
            steps.push(Step::Norm(Norm { centred: true, scale: vector("weight")?, shift, epsilon }));
        }
        Ok(steps)
    }
}

fn plan(json: &Json<'_>, family: &str) -> Result<(Reads, Plan), ModelError> {
    let plan = |stem, first, last| Plan { stem, first, norm: None, last, biased: Biased::Yes };
    let outside = |name, activation| Some((Place::Outside, name, activation));
    let roberta = |stem| plan(stem, outside("classifier.dense", Step::Tanh), "classifier.out_proj");
    let decoder = |stem| Plan { biased: Biased::No, ..plan(stem, None, "score") };
    Ok(match family {
        "bert" => (Reads::First, plan("bert", Some((Place::Inside, "pooler.dense", Step::Tanh)), "classifier")),
        "camembert" | "roberta" | "xlm-roberta" => (Reads::First, roberta("roberta")),
        "mpnet" => (Reads::First, roberta("mpnet")),
        "distilbert" => (Reads::First, plan("distilbert", outside("pre_classifier", Step::Relu), "classifier")),
        "electra" => (Reads::First, plan("electra", outside("classifier.dense", Step::Gelu), "classifier.out_proj")),
        "deberta-v2" => {
            json.refuse("pooler_hidden_act", |v| v != "gelu", "only gelu is built in")?;
            (Reads::First, plan("deberta", outside("pooler.dense", Step::Gelu), "classifier"))
        }
        "modernbert" => {
            json.refuse("classifier_activation", |v| v != "gelu", "only gelu is built in")?;
            json.refuse("classifier_pooling", |v| v != "cls" && v != "mean", "cls and mean are built in")?;
            let mean = json.value.get("classifier_pooling").is_some_and(|pooling| pooling == "mean");
            let plan = plan("model", outside("head.dense", Step::Gelu), "classifier");
            (if mean { Reads::Mean } else { Reads::First }, Plan { norm: Some("head.norm"), ..plan })
        }
        "gpt2" => (Reads::Last, decoder("transformer")),
        "llama" | "qwen2" | "qwen3" => (Reads::Last, decoder("model")),
        _ => return Err(ModelError::Family { found: family.to_owned() }),
    })
}

/// A map outside the transformer.
fn map(weights: &Weights<'_>, name: &str, input: usize, output: usize, biased: Biased) -> Result<Linear, ModelError> {
    let weight = weights.outside(format!("{name}.weight"), &[output, input])?;
    let bias = match biased {
        Biased::Yes => Some(weights.outside(format!("{name}.bias"), &[output])?),
        Biased::No => None,
    };
    Ok(Linear { input, output, weight, bias })
}

/// `id2label`, or numbered as transformers numbers them.
fn labels(json: &Json<'_>, outputs: usize) -> Result<Vec<String>, ModelError> {
    let Some(named) = json.value.get("id2label").and_then(Value::as_object) else {
        return Ok((0..outputs).map(|class| format!("LABEL_{class}")).collect());
    };
    if named.len() != outputs {
        let wants = format!("the head has {outputs} outputs");
        return Err(json.unsupported("id2label", format!("({} of them)", named.len()), wants));
    }
    let label = |class: usize| {
        let label = named.get(&class.to_string()).and_then(Value::as_str);
        label.map(str::to_owned).ok_or_else(|| json.unreadable(format!("its `id2label` has no text `{class}`")))
    };
    (0..outputs).map(label).collect()
}

fn chances(json: &Json<'_>, outputs: usize) -> Result<Chances, ModelError> {
    match json.value.get("problem_type").filter(|kind| !kind.is_null()) {
        None if outputs == 1 => Ok(Chances::ManyLabels),
        None => Ok(Chances::OneLabel),
        Some(kind) => match kind.as_str().unwrap_or_default() {
            "regression" => Ok(Chances::Regression),
            "multi_label_classification" => Ok(Chances::ManyLabels),
            "single_label_classification" if outputs == 1 => Ok(Chances::ManyLabels),
            "single_label_classification" => Ok(Chances::OneLabel),
            _ => {
                let wants = "single_label_classification, multi_label_classification and regression are built in";
                Err(json.unsupported("problem_type", kind, wants.to_owned()))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::made;
    use super::*;
    use crate::model::Batch;
    use crate::model::config::ModelConfig;
    use crate::model::sentence::backbone;

    #[test]
    fn scores_are_those_of_transformers() {
        let mut heads = 0;
        for made in made::all() {
            let Some(wanted) = made.scores else {
                assert_eq!(Head::read(&made.files), Ok(None), "{}", made.name);
                continue;
            };
            let backbone =
                backbone(&ModelConfig::read(&made.files).unwrap(), &made.files, &crate::model::Place::default())
                    .unwrap();
            let batch = Batch { ids: &made.ids, lengths: &[made.ids.len()] };
            let states = backbone.hidden(batch, &[backbone.layers()]).unwrap();
            let head = Head::read(&made.files).unwrap().unwrap();
            let scores = head.scores(&states);
            assert_eq!((scores.len(), head.labels().len()), (wanted.len(), wanted.len()));
            for (ours, wanted) in scores.iter().zip(&wanted) {
                assert!((f64::from(*ours) - wanted).abs() < 1e-5, "{}: {ours} {wanted}", made.name);
            }
            heads += 1;
        }
        assert_eq!(heads, 9);
    }

    fn with(settings: Value) -> Result<Head, ModelError> {
        let made = made::all().into_iter().find(|made| made.name == "distilbert").unwrap();
        let mut config = made.files.json(CONFIG).unwrap();
        for (key, value) in settings.as_object().unwrap() {
            config[key] = value.clone();
        }
        let mut files = made.files;
        files.insert(CONFIG, config.to_string().into_bytes());
        Head::read(&files).map(Option::unwrap)
    }

    #[test]
    fn labels_and_probabilities_follow_the_configuration() {
        let states = vec![0.25; 2 * 16];
        let plain = with(json!({})).unwrap();
        assert_eq!(plain.labels(), ["LABEL_0", "LABEL_1", "LABEL_2"]);
        let (logits, one) = (plain.scores(&states), plain.probabilities(&states));
        assert!((one.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((f64::from(one[0] / one[1]).ln() - f64::from(logits[0] - logits[1])).abs() < 1e-5);
        let many = with(json!({ "problem_type": "multi_label_classification",
            "id2label": { "0": "good", "2": "odd", "1": "bad" } }))
        .unwrap();
        assert_eq!(many.labels(), ["good", "bad", "odd"]);
        for (chance, logit) in many.probabilities(&states).iter().zip(&logits) {
            assert!((chance - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
        }
        assert_eq!(with(json!({ "problem_type": "regression" })).unwrap().probabilities(&states), logits);
        for (settings, says) in [
            (json!({ "problem_type": "ranking" }), "problem_type: \"ranking\""),
            (json!({ "id2label": { "0": "good" } }), "id2label: (1 of them)"),
            (json!({ "id2label": { "0": "good", "1": "bad", "3": "odd" } }), "`id2label` has no text `2`"),
        ] {
            let error = with(settings).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
