//! What are BERT and its kin? `BertModel`, `CamembertModel`, `DistilBertModel`, `ElectraModel`, `MPNetModel`,
//! `RobertaModel`, `XLMRobertaModel`: the same blocks with other names.

use std::sync::Arc;

use serde_json::Value;

use super::{Family, Model, activation, one_over_root, side_by_side};
use crate::model::architecture::{
    Activation, Architecture, Attention, Block, Embedding, FeedForward, Places, RelativeBias,
};
use crate::model::json::Json;
use crate::model::weights::Weights;
use crate::model::{ModelError, ModelFiles};

/// Of relative positions, and the distance from which on they share the last one (`MPNetEncoder.compute_position_bias`).
const BUCKETS: usize = 32;
const FARTHEST: usize = 128;

/// An encoder with normalisation after each part.
#[derive(Debug)]
pub(in crate::model) struct Bert {
    names: &'static Names,
    vocabulary: usize,
    /// Length of a token's vector before the first block (ELECTRA's differs from `width`).
    embedding: usize,
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
    /// Number of position vectors.
    positions: usize,
    places: Places,
    /// Number of token types, if there are any.
    types: Option<usize>,
    /// Of relative positions (MPNet).
    buckets: Option<usize>,
    activation: Activation,
    epsilon: f32,
}

impl Bert {
    /// Reads `config.json` of such a family.
    pub(in crate::model) fn read(json: &Json<'_>, family: &str) -> Result<Self, ModelError> {
        json.refuse("position_embedding_type", |v| v != "absolute", "only absolute positions are built in")?;
        json.refuse("is_decoder", |v| v != false, "only encoders are built in")?;
        let names = match family {
            "distilbert" => &DISTILBERT,
            "mpnet" => &MPNET,
            "electra" => &ELECTRA,
            "bert" => &BERT,
            _ => &ROBERTA,
        };
        let name =
            |bert: &'static str, distilbert: &'static str| if family == "distilbert" { distilbert } else { bert };
        let width = json.size(name("hidden_size", "dim"))?;
        let bert = Bert {
            names,
            vocabulary: json.size("vocab_size")?,
            embedding: if family == "electra" { json.size("embedding_size")? } else { width },
            width,
            inner: json.size(name("intermediate_size", "hidden_dim"))?,
            layers: json.size(name("num_hidden_layers", "n_layers"))?,
            heads: json.heads(name("num_attention_heads", "n_heads"), width)?,
            positions: json.size("max_position_embeddings")?,
            places: places(json, family)?,
            types: if names.typed { Some(json.size("type_vocab_size")?) } else { None },
            buckets: if family == "mpnet" { Some(buckets(json)?) } else { None },
            activation: activation(json, name("hidden_act", "activation"))?,
            epsilon: json.number("layer_norm_eps")?.unwrap_or(1e-12) as f32,
        };
        if bert.longest() == 0 {
            let wants = "a text needs a position".to_owned();
            return Err(json.unsupported("max_position_embeddings", bert.positions, wants));
        }
        Ok(bert)
    }

    fn embedding(&self, weights: &Weights<'_>) -> Result<Embedding, ModelError> {
        let table = |name: &str, rows| weights.table(&format!("embeddings.{name}_embeddings"), rows, self.embedding);
        let words = table("word", self.vocabulary)?;
        let mut places = table("position", self.positions)?;
        if let Some(types) = self.types {
            let types = table("token_type", types)?;
            for row in places.values.chunks_exact_mut(self.embedding) {
                for (place, kind) in row.iter_mut().zip(&types.values) {
                    *place += kind;
                }
            }
        }
        let projected = self.embedding != self.width;
        let projection =
            projected.then(|| weights.linear("embeddings_project", self.embedding, self.width)).transpose()?;
        Ok(Embedding {
            words,
            places: Some((places, self.places)),
            norm: Some(weights.layer_norm("embeddings.LayerNorm", self.embedding, self.epsilon)?),
            projection,
        })
    }

    fn block(
        &self,
        weights: &Weights<'_>,
        index: usize,
        bias: Option<&Arc<RelativeBias>>,
    ) -> Result<Block, ModelError> {
        let name = |part: &str| format!("{}.{index}.{part}", self.names.layers);
        let linear = |part: &str, input, output| weights.linear(&name(part), input, output);
        let norm = |part: &str| weights.layer_norm(&name(part), self.width, self.epsilon);
        let head = self.width / self.heads;
        Ok(Block {
            norm_first: false,
            attention_norm: Some(norm(self.names.gather_norm)?),
            attention: Attention {
                heads: self.heads,
                key_heads: self.heads,
                head,
                project: side_by_side(
                    self.names.query_key_value.iter().map(|part| linear(part, self.width, self.width)),
                )?,
                head_norms: None,
                rotary: None,
                scale: one_over_root(head),
                causal: false,
                window: None,
                bias: bias.cloned(),
                output: linear(self.names.gather, self.width, self.width)?,
            },
            feed_norm: norm(self.names.narrow_norm)?,
            feed: FeedForward {
                up: linear(self.names.widen, self.width, self.inner)?,
                gated: false,
                activation: self.activation,
                down: linear(self.names.narrow, self.inner, self.width)?,
            },
        })
    }
}

impl Family for Bert {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn longest(&self) -> usize {
        match self.places {
            Places::FromZero => self.positions,
            Places::AfterPadding(padding) => self.positions.saturating_sub(padding as usize + 1),
        }
    }

    fn model(&self, files: &ModelFiles) -> Result<Model, ModelError> {
        let weights = &Weights::read(files, self.names.stem)?;
        let embedding = self.embedding(weights)?;
        let bias = match self.buckets {
            Some(buckets) => {
                let table = weights.table("encoder.relative_attention_bias", buckets, self.heads)?;
                Some(Arc::new(RelativeBias { table, farthest: FARTHEST }))
            }
            None => None,
        };
        Ok(Model::described(Architecture {
            width: self.width,
            longest: self.longest(),
            embedding,
            blocks: (0..self.layers).map(|i| self.block(weights, i, bias.as_ref())).collect::<Result<_, _>>()?,
            last_norm: None,
        }))
    }
}

fn places(json: &Json<'_>, family: &str) -> Result<Places, ModelError> {
    match family {
        // `MPNetEmbeddings` does not ask the configuration
        "mpnet" => Ok(Places::AfterPadding(1)),
        "camembert" | "roberta" | "xlm-roberta" => {
            let padding = json.value.get("pad_token_id").map_or(Some(1), Value::as_u64);
            let padding = padding.and_then(|n| u32::try_from(n).ok());
            let padding = padding.ok_or_else(|| json.unreadable("`pad_token_id` is not a token id".to_owned()))?;
            Ok(Places::AfterPadding(padding))
        }
        _ => Ok(Places::FromZero),
    }
}

/// `MPNetEncoder.compute_position_bias` does not ask the configuration either: a table of another size is not used whole.
fn buckets(json: &Json<'_>) -> Result<usize, ModelError> {
    let key = "relative_attention_num_buckets";
    json.refuse(key, |v| v != BUCKETS, "32 is built in")?;
    Ok(BUCKETS)
}

/// What a family calls its tensors.
#[derive(Debug)]
struct Names {
    stem: &'static str,
    /// Tokens have types.
    typed: bool,
    layers: &'static str,
    query_key_value: [&'static str; 3],
    gather: &'static str,
    gather_norm: &'static str,
    widen: &'static str,
    narrow: &'static str,
    narrow_norm: &'static str,
}

const BERT: Names = Names {
    stem: "bert",
    typed: true,
    layers: "encoder.layer",
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    gather: "attention.output.dense",
    gather_norm: "attention.output.LayerNorm",
    widen: "intermediate.dense",
    narrow: "output.dense",
    narrow_norm: "output.LayerNorm",
};

const ROBERTA: Names = Names { stem: "roberta", ..BERT };

const ELECTRA: Names = Names { stem: "electra", ..BERT };

const MPNET: Names = Names {
    stem: "mpnet",
    typed: false,
    query_key_value: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
    gather: "attention.attn.o",
    gather_norm: "attention.LayerNorm",
    ..BERT
};

const DISTILBERT: Names = Names {
    stem: "distilbert",
    typed: false,
    layers: "transformer.layer",
    query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    gather: "attention.out_lin",
    gather_norm: "sa_layer_norm",
    widen: "ffn.lin1",
    narrow: "ffn.lin2",
    narrow_norm: "output_layer_norm",
};

#[cfg(test)]
mod tests {
    use super::super::tests::{read, refusals};

    const CONFIG: &str = r#"{ "model_type": "bert", "vocab_size": 9, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 5, "type_vocab_size": 2,
        "hidden_act": "gelu" }"#;

    #[test]
    fn what_is_not_built_in_is_refused_by_name() {
        refusals(
            CONFIG,
            &[
                ("\"gelu\"", "\"mish\"", "hidden_act: mish"),
                ("\"vocab_size\": 9", "\"vocab_size\": 0", "`vocab_size`"),
                ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "num_attention_heads: 3"),
                ("{ \"model", "{ \"is_decoder\": true, \"model", "is_decoder: true"),
                ("{ \"model", "{ \"position_embedding_type\": \"relative_key\", \"model", "relative_key"),
                ("\"bert\"", "\"mpnet\", \"relative_attention_num_buckets\": 16", "relative_attention_num_buckets: 16"),
                ("\"bert\"", "\"roberta\", \"pad_token_id\": 4", "max_position_embeddings: 5"),
            ],
        );
    }

    #[test]
    fn roberta_counts_positions_after_its_padding() {
        let text = CONFIG.replace("\"bert\"", "\"roberta\", \"pad_token_id\": 1");
        let (bert, roberta) = (read(CONFIG).unwrap(), read(&text).unwrap());
        assert_eq!((bert.longest(), roberta.longest()), (5, 3));
        assert_eq!(roberta.vocabulary(), 9);
    }
}
