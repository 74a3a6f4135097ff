//! What does a folder made by sentence-transformers ask for? Pooling, what comes after it, length, case, prompts.

use std::collections::BTreeMap;

use serde_json::Value;

use super::files::CONFIG;
use super::json::Json;
use super::modules::Named;
use super::{EncodeOptions, ModelError, ModelFiles, Pooling};

const MODULES: &str = "modules.json";
const SENTENCE: &str = "sentence_bert_config.json";
const TOKENIZER: &str = "tokenizer_config.json";
const PROMPTS: &str = "config_sentence_transformers.json";

/// The values of `model_type` whose tokens see those before them alone: only the last has seen the whole text.
const LEFT_TO_RIGHT: [&str; 4] = ["gpt2", "llama", "qwen2", "qwen3"];

/// What a folder made by sentence-transformers asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SentenceConfig {
    /// How to pool; what several give is laid end to end. Empty: not said.
    pub(super) poolings: Vec<Pooling>,
    /// Tokens of the prompt are not pooled.
    pub(super) without_prompt: bool,
    /// What comes after pooling, but for a last scaling to length 1: that is for [`EncodeOptions::normalize`] to say.
    pub(super) modules: Vec<Named>,
    /// Where to cut, in tokens.
    pub(super) max_length: Option<usize>,
    /// Lower-case every text before the tokenizer sees it.
    pub(super) lowercase: bool,
    /// Texts get no special tokens.
    pub(super) plain: bool,
    /// Texts to put before others, by name.
    pub(super) prompts: BTreeMap<String, String>,
    /// The name of the one to take where nothing else is asked for.
    pub(super) default_prompt: Option<String>,
}

impl SentenceConfig {
    /// Reads `modules.json`, `sentence_bert_config.json`, `tokenizer_config.json`, `config_sentence_transformers.json`, the pooling
    /// module's `config.json`, where they are, and from `config.json` which pooling suits a model that says none.
    pub(super) fn read(files: &ModelFiles) -> Result<Self, ModelError> {
        let mut wishes = SentenceConfig::default();
        match files.optional_json(MODULES)? {
            Some(modules) => wishes.read_modules(&modules, files)?,
            None => {
                let file = "1_Pooling/config.json";
                if let Some(value) = files.optional_json(file)? {
                    wishes.read_pooling(&Json { file, value })?;
                }
            }
        }
        if wishes.poolings.is_empty() {
            let config = files.optional_json(CONFIG)?.unwrap_or(Value::Null);
            let family = config.get("model_type").and_then(Value::as_str).unwrap_or_default();
            wishes.poolings.push(if LEFT_TO_RIGHT.contains(&family) { Pooling::Last } else { Pooling::Mean });
        }
        let sentence = files.optional_json(SENTENCE)?.unwrap_or(Value::Null);
        let length = |from: &Value, key: &str| from.get(key).and_then(Value::as_u64).map(|n| n as usize);
        wishes.max_length = match length(&sentence, "max_seq_length") {
            Some(said) => Some(said),
            // a number far above any length stands for none
            None => files.optional_json(TOKENIZER)?.and_then(|tokenizer| length(&tokenizer, "model_max_length")),
        };
        wishes.lowercase = sentence.get("do_lower_case").and_then(Value::as_bool).unwrap_or(false);
        let asked = files.optional_json(PROMPTS)?.unwrap_or(Value::Null);
        for (name, prompt) in asked.get("prompts").and_then(Value::as_object).into_iter().flatten() {
            if let Some(prompt) = prompt.as_str() {
                wishes.prompts.insert(name.clone(), prompt.to_owned());
            }
        }
        wishes.default_prompt = asked.get("default_prompt_name").and_then(Value::as_str).map(str::to_owned);
        Ok(wishes)
    }

    /// The text that comes before each text.
    pub(super) fn prefix<'a>(&'a self, options: &'a EncodeOptions) -> Result<&'a str, ModelError> {
        let name = match (&options.prefix, options.prompt.as_ref().or(self.default_prompt.as_ref())) {
            (Some(prefix), _) => return Ok(prefix),
            (None, Some(name)) => name,
            (None, None) => return Ok(""),
        };
        let known = || self.prompts.keys().map(|name| format!("`{name}`")).collect();
        let prompt = self.prompts.get(name).map(String::as_str);
        prompt.ok_or_else(|| ModelError::Prompt { asked: name.clone(), known: known() })
    }

    fn read_modules(&mut self, modules: &Value, files: &ModelFiles) -> Result<(), ModelError> {
        for module in modules.as_array().into_iter().flatten() {
            let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
            match text("type").rsplit('.').next().unwrap_or_default() {
                "Transformer" | "Dropout" => {}
                "StaticEmbedding" => {
                    self.plain = true;
                    self.poolings = vec![Pooling::Mean];
                }
                "Pooling" => {
                    let file = format!("{}/config.json", text("path"));
                    self.read_pooling(&Json { file: &file, value: files.json(&file)? })?;
                }
                "Dense" => self.modules.push(Named::Dense(text("path").to_owned())),
                "Normalize" => self.modules.push(Named::Normalize),
                other => {
                    return Err(ModelError::Unsupported {
                        file: MODULES.to_owned(),
                        key: "type".to_owned(),
                        value: other.to_owned(),
                        wants: "only Transformer, StaticEmbedding, Pooling, Dense, Dropout and Normalize are built in"
                            .to_owned(),
                    });
                }
            }
        }
        while self.modules.last() == Some(&Named::Normalize) {
            self.modules.pop();
        }
        Ok(())
    }

    /// What a pooling module asks for. A list in `pooling_mode` has its own order; of the older switches, the order is that of
    /// sentence-transformers.
    fn read_pooling(&mut self, json: &Json<'_>) -> Result<(), ModelError> {
        self.without_prompt = json.value.get("include_prompt").and_then(Value::as_bool) == Some(false);
        let modes: Vec<&str> = match json.value.get("pooling_mode") {
            Some(Value::String(mode)) => vec![mode],
            Some(Value::Array(modes)) => modes.iter().filter_map(Value::as_str).collect(),
            _ => {
                let on = |key: &str| json.value.get(key).and_then(Value::as_bool) == Some(true);
                let known = SWITCHES.iter().filter(|(key, _)| on(key)).map(|(_, mode)| *mode);
                let asked = json.value.as_object().into_iter().flatten();
                let others = asked.filter(|(key, value)| key.starts_with("pooling_mode_") && *value == true);
                let others = others.filter(|(key, _)| SWITCHES.iter().all(|(known, _)| known != key));
                known.chain(others.map(|(key, _)| key.as_str())).collect()
            }
        };
        let pooling = |mode: &str| match mode {
            "mean" => Ok(Pooling::Mean),
            "cls" => Ok(Pooling::Cls),
            "max" => Ok(Pooling::Max),
            "lasttoken" => Ok(Pooling::Last),
            "weightedmean" => Ok(Pooling::WeightedMean),
            "mean_sqrt_len_tokens" => Ok(Pooling::MeanSqrtLen),
            other => {
                let wants = "cls, lasttoken, max, mean, mean_sqrt_len_tokens and weightedmean are built in".to_owned();
                Err(json.unsupported("pooling_mode", other, wants))
            }
        };
        self.poolings = modes.into_iter().map(pooling).collect::<Result<_, _>>()?;
        if self.poolings.is_empty() {
            self.poolings.push(Pooling::Mean);
        }
        Ok(())
    }
}

/// How pooling was asked for before there was `pooling_mode`.
const SWITCHES: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(named: &[(&str, &str)]) -> Result<SentenceConfig, ModelError> {
        let files = named.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        SentenceConfig::read(&files.collect())
    }

    const LIST: &str = r#"[ { "path": "", "type": "sentence_transformers.models.Transformer" },
        { "path": "1_Pooling", "type": "sentence_transformers.models.Pooling" },
        { "path": "2_Normalize", "type": "sentence_transformers.models.Normalize" } ]"#;
    const POOLING: &str =
        r#"{ "word_embedding_dimension": 384, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false }"#;
    const POOLING_FILE: &str = "1_Pooling/config.json";

    #[test]
    fn sentence_transformers_wishes_are_read() {
        let sentence = r#"{ "max_seq_length": 256, "do_lower_case": true }"#;
        let wishes = SentenceConfig {
            poolings: vec![Pooling::Cls],
            max_length: Some(256),
            lowercase: true,
            ..SentenceConfig::default()
        };
        assert_eq!(read(&[(MODULES, LIST), (SENTENCE, sentence), (POOLING_FILE, POOLING)]), Ok(wishes));
        let mean = SentenceConfig { poolings: vec![Pooling::Mean], ..SentenceConfig::default() };
        assert_eq!(read(&[]), Ok(mean));
        let other = LIST.replace("models.Pooling", "models.LSTM");
        assert!(read(&[(MODULES, &other)]).unwrap_err().to_string().contains("`type: LSTM`"));
        assert!(read(&[(MODULES, LIST)]).unwrap_err().to_string().contains("1_Pooling/config.json"));
    }

    #[test]
    fn a_length_comes_from_the_tokenizer_where_nothing_else_says_it() {
        let length = |named: &[(&str, &str)]| read(named).unwrap().max_length;
        let tokenizer = r#"{ "model_max_length": 128 }"#;
        assert_eq!(length(&[(TOKENIZER, tokenizer)]), Some(128));
        assert_eq!(length(&[(TOKENIZER, tokenizer), (SENTENCE, r#"{ "max_seq_length": 256 }"#)]), Some(256));
        assert_eq!(length(&[(TOKENIZER, tokenizer), (SENTENCE, r#"{ "max_seq_length": null }"#)]), Some(128));
        assert_eq!(length(&[(TOKENIZER, r#"{ "model_max_length": 1000000000000000019884624838656 }"#)]), None);
    }

    #[test]
    fn every_pooling_of_sentence_transformers_and_several_at_once() {
        let pooled = |text: &str| read(&[(POOLING_FILE, text)]).map(|wishes| wishes.poolings);
        let mean =
            r#"{ "pooling_mode_mean_tokens": true, "pooling_mode_lasttoken": true, "pooling_mode_cls_token": true }"#;
        assert_eq!(pooled(mean), Ok(vec![Pooling::Cls, Pooling::Mean, Pooling::Last]));
        let list = r#"{ "pooling_mode": ["mean", "weightedmean", "mean_sqrt_len_tokens", "max"], "pooling_mode_cls_token": true }"#;
        let all = vec![Pooling::Mean, Pooling::WeightedMean, Pooling::MeanSqrtLen, Pooling::Max];
        assert_eq!(pooled(list), Ok(all));
        assert_eq!(pooled(r#"{ "pooling_mode": "lasttoken" }"#), Ok(vec![Pooling::Last]));
        assert_eq!(pooled("{}"), Ok(vec![Pooling::Mean]));
        for unknown in [r#"{ "pooling_mode": "median" }"#, r#"{ "pooling_mode_median": true }"#] {
            assert!(pooled(unknown).unwrap_err().to_string().contains("median"));
        }
    }

    #[test]
    fn a_model_that_reads_from_left_to_right_is_pooled_by_its_last_token() {
        let pooled = |family: &str| read(&[(CONFIG, &format!(r#"{{ "model_type": "{family}" }}"#))]).unwrap().poolings;
        assert_eq!((pooled("qwen3"), pooled("bert")), (vec![Pooling::Last], vec![Pooling::Mean]));
        let said = read(&[(CONFIG, r#"{ "model_type": "qwen3" }"#), (POOLING_FILE, POOLING)]).unwrap();
        assert_eq!(said.poolings, [Pooling::Cls]);
    }

    #[test]
    fn modules_after_pooling_stand_in_their_order() {
        let dense = r#", { "path": "3_Dense", "type": "sentence_transformers.models.Dense" } ]"#;
        let modules = |list: &str| read(&[(MODULES, list), (POOLING_FILE, POOLING)]).unwrap().modules;
        assert_eq!(modules(LIST), []);
        let named = Named::Dense("3_Dense".to_owned());
        assert_eq!(modules(&LIST.replace(']', dense)), [Named::Normalize, named.clone()]);
        let last = LIST.replace("2_Normalize", "3_Dense").replace("models.Normalize", "models.Dense");
        assert_eq!(modules(&last), [named]);
    }

    #[test]
    fn a_static_embedding_is_a_mean_without_special_tokens() {
        let list = r#"[ { "path": "", "type": "sentence_transformers.models.StaticEmbedding" } ]"#;
        let wishes = read(&[(MODULES, list)]).unwrap();
        assert_eq!((wishes.plain, wishes.poolings), (true, vec![Pooling::Mean]));
    }

    #[test]
    fn prompts_are_taken_by_name_by_default_or_by_hand() {
        let prompts = r#"{ "prompts": { "query": "query: ", "document": "" }, "default_prompt_name": null }"#;
        let options = |prefix: Option<&str>, prompt: Option<&str>| EncodeOptions {
            prefix: prefix.map(str::to_owned),
            prompt: prompt.map(str::to_owned),
            ..EncodeOptions::default()
        };
        let without = read(&[(PROMPTS, prompts), (POOLING_FILE, r#"{ "include_prompt": false }"#)]).unwrap();
        assert!(without.without_prompt);
        assert_eq!(without.prefix(&options(None, None)), Ok(""));
        assert_eq!(without.prefix(&options(None, Some("query"))), Ok("query: "));
        let refused = without.prefix(&options(None, Some("passage"))).unwrap_err().to_string();
        assert_eq!(refused, "the model has no prompt `passage`; it has `document`, `query`");
        let with = read(&[(PROMPTS, &prompts.replace("null", "\"query\""))]).unwrap();
        assert_eq!(with.prefix(&options(None, None)), Ok("query: "));
        assert_eq!(with.prefix(&options(Some(""), None)), Ok(""));
        assert_eq!(with.prefix(&options(None, Some("document"))), Ok(""));
    }
}
