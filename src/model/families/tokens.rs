//! What is a table of tokens? `StaticEmbedding` of sentence-transformers, and model2vec: a vector for each token and no
//! transformer at all.

use super::{Family, Model};
use crate::model::architecture::{Architecture, Embedding, Table};
use crate::model::weights::Weights;
use crate::model::{ModelError, ModelFiles};

const MODULES: &str = "modules.json";
const WEIGHTS: &str = "model.safetensors";

/// Where such models keep their table.
const TABLES: [&str; 2] = ["embedding.weight", "embeddings"];

/// Where sentence-transformers' `modules.json` has such a table, if it begins with one: a folder inside the model's, or the
/// model's own.
pub(in crate::model) fn folder(files: &ModelFiles) -> Result<Option<String>, ModelError> {
    let modules = files.optional_json(MODULES)?;
    let text = |key: &str| modules.as_ref()?.get(0)?.get(key)?.as_str();
    let table = text("type").is_some_and(|kind| kind.rsplit('.').next() == Some("StaticEmbedding"));
    Ok(table.then(|| text("path").unwrap_or_default().to_owned()))
}

/// A token table: its size, as far as the weights are there.
#[derive(Debug)]
pub(in crate::model) struct Tokens {
    file: String,
    vocabulary: Option<usize>,
}

impl Tokens {
    /// Looks for the table in a folder inside the model's.
    pub(in crate::model) fn read(files: &ModelFiles, folder: &str) -> Result<Self, ModelError> {
        let file = if folder.is_empty() { WEIGHTS.to_owned() } else { format!("{folder}/{WEIGHTS}") };
        if files.bytes(&file).is_err() {
            return Ok(Tokens { file, vocabulary: None });
        }
        let weights = Weights::of_file(files, &file)?;
        let (_, [rows, _]) = table(&weights)?;
        // model2vec: several tokens may share a row
        let mapped = weights.shape("mapping").and_then(|shape| shape.first().copied());
        Ok(Tokens { vocabulary: Some(mapped.unwrap_or(rows)), file })
    }
}

impl Family for Tokens {
    fn vocabulary(&self) -> usize {
        // ids have 32 bits
        self.vocabulary.unwrap_or(u32::MAX as usize)
    }

    fn longest(&self) -> usize {
        // no token sees another
        u32::MAX as usize
    }

    fn model(&self, files: &ModelFiles) -> Result<Model, ModelError> {
        let weights = &Weights::of_file(files, &self.file)?;
        let (name, shape) = table(weights)?;
        let width = shape[1];
        let stored = weights.values(name, &shape)?;
        let words = Table { width, values: folded(weights, stored, width)? };
        Ok(Model::described(Architecture {
            width,
            longest: self.longest(),
            embedding: Embedding { words, places: None, norm: None, projection: None },
            blocks: Vec::new(),
            last_norm: None,
        }))
    }
}

/// The table's name and shape.
fn table(weights: &Weights<'_>) -> Result<(&'static str, [usize; 2]), ModelError> {
    let tensor = TABLES[0].to_owned();
    let found = TABLES.into_iter().find_map(|name| Some((name, weights.shape(name)?)));
    let (name, found) = found.ok_or(ModelError::MissingTensor { tensor })?;
    match found.as_slice() {
        [rows, width] if *width > 0 => Ok((name, [*rows, *width])),
        _ => Err(ModelError::Unreadable {
            file: WEIGHTS.to_owned(),
            message: format!("`{name}` is not a table of tokens: its shape is {found:?}"),
        }),
    }
}

/// The rows that tokens get: `embeddings[mapping[id]] · weights[id]` (`StaticEmbedding._fold_model2vec_weights`).
fn folded(weights: &Weights<'_>, stored: Vec<f32>, width: usize) -> Result<Vec<f32>, ModelError> {
    let mut rows = stored;
    if let Some(shape) = weights.shape("mapping") {
        let unreadable = |message| ModelError::Unreadable { file: WEIGHTS.to_owned(), message };
        let mut mapped = Vec::with_capacity(shape.iter().product::<usize>().saturating_mul(width).min(1 << 24));
        for row in weights.values("mapping", &shape)? {
            let from = row as usize * width;
            let row = rows.get(from..from + width).filter(|_| row >= 0.0);
            mapped.extend_from_slice(
                row.ok_or_else(|| unreadable("`mapping` names a row that is not there".to_owned()))?,
            );
        }
        rows = mapped;
    }
    if weights.shape("weights").is_some() {
        let factors = weights.values("weights", &[rows.len() / width])?;
        for (row, factor) in rows.chunks_exact_mut(width).zip(factors) {
            for value in row {
                *value *= factor;
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::made::safetensors;
    use super::*;
    use crate::model::Batch;
    use crate::model::config::ModelConfig;
    use crate::model::sentence::backbone;

    type Tensor = (String, &'static str, Vec<usize>, Vec<u8>);

    fn floats(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
        (name.to_owned(), "F32", shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn files(name: &str, text: &str, tensors: Vec<Tensor>) -> ModelFiles {
        let weights = ("model.safetensors".to_owned(), safetensors(tensors));
        ModelFiles::from_iter([(name.to_owned(), text.as_bytes().to_vec()), weights])
    }

    fn states(files: &ModelFiles, ids: &[u32]) -> Vec<f32> {
        let config = ModelConfig::read(files).unwrap();
        let backbone = backbone(&config, files, &crate::model::Place::default()).unwrap();
        assert_eq!((backbone.layers(), backbone.width()), (0, 2));
        backbone.hidden(Batch { ids, lengths: &[ids.len()] }, &[0]).unwrap()
    }

    #[test]
    fn tokens_have_their_rows() {
        let modules = r#"[ { "path": "", "type": "sentence_transformers.models.StaticEmbedding" } ]"#;
        let table = floats("embedding.weight", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let made = files(MODULES, modules, vec![table]);
        assert_eq!(states(&made, &[2, 0]), [5.0, 6.0, 1.0, 2.0]);
        assert_eq!(ModelConfig::read(&made).unwrap().vocabulary(), 3);
        // as older versions wrote it
        let path = modules.replace("\"path\": \"\"", "\"path\": \"0_StaticEmbedding\"");
        let mut deeper = ModelFiles::default();
        deeper.insert("0_StaticEmbedding/model.safetensors", made.bytes(WEIGHTS).unwrap().to_vec());
        deeper.insert(MODULES, path.into_bytes());
        assert_eq!(states(&deeper, &[1]), [3.0, 4.0]);
        // without weights, as texts are cut
        let cut = ModelFiles::from_iter([(MODULES.to_owned(), modules.as_bytes().to_vec())]);
        assert!(ModelConfig::read(&cut).unwrap().vocabulary() > 1 << 30);
    }

    #[test]
    fn rows_may_be_shared_and_weighed() {
        let mapping = |rows: &[i64]| {
            let bytes = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
            ("mapping".to_owned(), "I64", vec![rows.len()], bytes)
        };
        let table = || floats("embeddings", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let config = r#"{ "model_type": "model2vec" }"#;
        let factors = floats("weights", &[3], &[1.0, 0.5, 2.0]);
        let made = files("config.json", config, vec![table(), mapping(&[1, 1, 0]), factors]);
        assert_eq!(states(&made, &[0, 1, 2]), [3.0, 4.0, 1.5, 2.0, 2.0, 4.0]);
        assert_eq!(ModelConfig::read(&made).unwrap().vocabulary(), 3);
        for rows in [[0, 2, 0], [0, -1, 0]] {
            let wrong = files("config.json", config, vec![table(), mapping(&rows)]);
            let error = ModelConfig::read(&wrong).unwrap().model(&wrong).err().unwrap().to_string();
            assert!(error.contains("`mapping` names a row"), "{error}");
        }
        let none = files("config.json", config, vec![mapping(&[0])]);
        let tensor = "embedding.weight".to_owned();
        assert_eq!(ModelConfig::read(&none).err(), Some(ModelError::MissingTensor { tensor }));
    }
}
