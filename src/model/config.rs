//! What does `config.json` say about a model? Its family, and with it everything else.

use super::families::{Family, Model, bert, deberta, gpt2, llama, modernbert, tokens};
use super::files::CONFIG;
use super::json::Json;
use super::{ModelError, ModelFiles};

/// The values of `model_type` that are built in.
pub(super) const FAMILIES: [&str; 14] = [
    "bert",
    "camembert",
    "deberta-v2",
    "distilbert",
    "electra",
    "gpt2",
    "llama",
    "model2vec",
    "modernbert",
    "mpnet",
    "qwen2",
    "qwen3",
    "roberta",
    "xlm-roberta",
];

/// A model as its files describe it, without its weights.
#[derive(Debug)]
pub(super) struct ModelConfig(Box<dyn Family>);

impl ModelConfig {
    /// Reads `config.json`, which a table of tokens need not have.
    pub(super) fn read(files: &ModelFiles) -> Result<Self, ModelError> {
        if let Some(folder) = tokens::folder(files)? {
            return Ok(ModelConfig(Box::new(tokens::Tokens::read(files, &folder)?)));
        }
        let json = Json { file: CONFIG, value: files.json(CONFIG)? };
        let name = json.text("model_type")?;
        let family: Box<dyn Family> = match name.as_str() {
            "bert" | "camembert" | "distilbert" | "electra" | "mpnet" | "roberta" | "xlm-roberta" => {
                Box::new(bert::Bert::read(&json, &name)?)
            }
            "deberta-v2" => Box::new(deberta::Deberta::read(&json)?),
            "gpt2" => Box::new(gpt2::Gpt2::read(&json)?),
            "llama" | "qwen2" | "qwen3" => Box::new(llama::Llama::read(&json, &name)?),
            "model2vec" => Box::new(tokens::Tokens::read(files, "")?),
            "modernbert" => Box::new(modernbert::ModernBert::read(&json)?),
            _ => return Err(ModelError::Family { found: name }),
        };
        Ok(ModelConfig(family))
    }

    /// The longest text in tokens.
    pub(super) fn longest(&self) -> usize {
        self.0.longest()
    }

    /// Number of tokens.
    pub(super) fn vocabulary(&self) -> usize {
        self.0.vocabulary()
    }

    /// The whole transformer.
    pub(super) fn model(&self, files: &ModelFiles) -> Result<Model, ModelError> {
        self.0.model(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_family_is_named_beside_the_known_ones() {
        let files = ModelFiles::from_iter([(CONFIG.to_owned(), br#"{ "model_type": "mamba" }"#.to_vec())]);
        assert_eq!(
            ModelConfig::read(&files).unwrap_err().to_string(),
            "`config.json` says `model_type: mamba`, but `embed` knows bert, camembert, deberta-v2, distilbert, electra, gpt2, \
             llama, model2vec, modernbert, mpnet, qwen2, qwen3, roberta, xlm-roberta"
        );
    }
}
