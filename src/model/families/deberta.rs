//! What is DeBERTa? `DebertaV2Model` (v2 and v3), as candle-transformers computes it: what it leaves out is refused.

use candle_transformers::models::debertav2::{Config, HiddenAct};
use serde_json::Value;

use super::{Family, Model};
use crate::model::json::Json;
use crate::model::transformers;
use crate::model::weights::Weights;
use crate::model::{ModelError, ModelFiles};

/// More positions than any encoder has: the library makes a number for each before it reads a tensor.
const MOST_POSITIONS: usize = 1 << 20;

/// DeBERTa as transformers' `DebertaV2Config` writes it.
#[derive(Debug)]
pub(in crate::model) struct Deberta(Config);

impl Deberta {
    /// Reads `config.json`.
    pub(in crate::model) fn read(json: &Json<'_>) -> Result<Self, ModelError> {
        json.refuse("conv_kernel_size", |v| v != 0, "only models without a convolution are built in")?;
        json.refuse("hidden_act", |v| v != "gelu", "only gelu is built in")?;
        let norm = json.value.get("norm_rel_ebd").and_then(Value::as_str).unwrap_or("none");
        if !["none", "layer_norm"].contains(&norm) {
            let wants = "none and layer_norm are built in".to_owned();
            return Err(json.unsupported("norm_rel_ebd", norm, wants));
        }
        let longest = json.size("max_position_embeddings")?;
        if longest > MOST_POSITIONS {
            let wants = format!("at most {MOST_POSITIONS} are built in");
            return Err(json.unsupported("max_position_embeddings", longest, wants));
        }
        let width = json.size("hidden_size")?;
        let whole = |key: &str, otherwise: isize| {
            let number = json.value.get(key).map_or(Some(otherwise as i64), Value::as_i64);
            let number = number.and_then(|n| i32::try_from(n).ok()).map(|n| n as isize);
            number.ok_or_else(|| json.unreadable(format!("its `{key}` is not a whole number")))
        };
        Ok(Deberta(Config {
            vocab_size: json.size("vocab_size")?,
            hidden_size: width,
            num_hidden_layers: json.size("num_hidden_layers")?,
            num_attention_heads: json.heads("num_attention_heads", width)?,
            intermediate_size: json.size("intermediate_size")?,
            hidden_act: HiddenAct::Gelu,
            hidden_dropout_prob: 0.0,
            attention_probs_dropout_prob: 0.0,
            max_position_embeddings: longest,
            type_vocab_size: whole("type_vocab_size", 0)?.unsigned_abs(),
            initializer_range: 0.0,
            layer_norm_eps: json.number("layer_norm_eps")?.unwrap_or(1e-7),
            relative_attention: json.flag("relative_attention")?,
            max_relative_positions: whole("max_relative_positions", -1)?,
            pad_token_id: None,
            position_biased_input: json.value.get("position_biased_input").is_none()
                || json.flag("position_biased_input")?,
            pos_att_type: ways(json)?,
            position_buckets: Some(whole("position_buckets", -1)?),
            share_att_key: Some(json.flag("share_att_key")?),
            attention_head_size: json.optional_size("attention_head_size")?,
            embedding_size: json.optional_size("embedding_size")?,
            norm_rel_ebd: Some(norm.to_owned()),
            conv_kernel_size: None,
            conv_groups: None,
            conv_act: None,
            id2label: None,
            label2id: None,
            pooler_dropout: None,
            pooler_hidden_act: None,
            pooler_hidden_size: None,
            cls_dropout: None,
        }))
    }
}

impl Family for Deberta {
    fn vocabulary(&self) -> usize {
        self.0.vocab_size
    }

    fn longest(&self) -> usize {
        self.0.max_position_embeddings
    }

    fn model(&self, files: &ModelFiles) -> Result<Model, ModelError> {
        let weights = Weights::read(files, "deberta")?;
        Ok(Model::Deberta(Box::new(transformers::Deberta::load(&self.0, &weights)?)))
    }
}

/// Which ways positions enter attention: `c2p|p2c`, or a list of them.
fn ways(json: &Json<'_>) -> Result<Vec<String>, ModelError> {
    let key = "pos_att_type";
    let ways: Vec<String> = match json.value.get(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(ways)) => ways.split('|').filter(|way| !way.is_empty()).map(str::to_owned).collect(),
        Some(ways) => serde_json::from_value(ways.clone())
            .map_err(|error| json.unreadable(format!("its `{key}` cannot be read: {error}")))?,
    };
    match ways.iter().find(|way| !["c2p", "p2c"].contains(&way.as_str())) {
        Some(other) => Err(json.unsupported(key, other, "c2p and p2c are built in".to_owned())),
        None => Ok(ways),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refusals};

    const CONFIG: &str = r#"{ "model_type": "deberta-v2", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 64, "type_vocab_size": 0,
        "relative_attention": true, "pos_att_type": "c2p|p2c", "norm_rel_ebd": "layer_norm", "hidden_act": "gelu" }"#;

    #[test]
    fn what_the_library_leaves_out_is_refused_by_name() {
        assert_eq!(read(CONFIG).unwrap().longest(), 64);
        refusals(
            CONFIG,
            &[
                ("{ \"model", "{ \"conv_kernel_size\": 3, \"model", "conv_kernel_size: 3"),
                ("\"gelu\"", "\"relu\"", "hidden_act: \"relu\""),
                ("c2p|p2c", "c2p|p2p", "pos_att_type: p2p"),
                ("\"c2p|p2c\"", "7", "`pos_att_type`"),
                ("layer_norm", "rms_norm", "norm_rel_ebd: rms_norm"),
                ("\"type_vocab_size\": 0", "\"type_vocab_size\": 0.5", "`type_vocab_size`"),
                ("_embeddings\": 64", "_embeddings\": 4000000000", "max_position_embeddings: 4000000000"),
            ],
        );
    }
}
