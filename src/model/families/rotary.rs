//! How are positions written as rotations? Frequencies, from the two ways in which configurations give them.

use serde_json::Value;

use crate::model::ModelError;
use crate::model::architecture::Rotary;
use crate::model::json::Json;

/// More numbers than any head has: a bound on what is set aside before a tensor is read.
pub(super) const MOST_HEAD: usize = 1 << 14;

/// What the rotary positions of one kind of block are made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rope {
    theta: f64,
    scaling: Option<Llama3>,
}

/// Llama 3.1's way to longer texts: low frequencies are divided by a factor, those between are mixed
/// (`_compute_llama3_parameters` of transformers).
#[derive(Debug, Clone, PartialEq)]
struct Llama3 {
    factor: f64,
    low: f64,
    high: f64,
    original: f64,
}

impl Rope {
    /// Reads `rope_parameters`, or, in configurations written before transformers 5, the base `old` and `rope_scaling`. `kind`
    /// is the kind of block, where kinds have their own.
    pub(super) fn read(json: &Json<'_>, kind: Option<&str>, old: &str) -> Result<Self, ModelError> {
        let all = json.value.get("rope_parameters").filter(|all| !all.is_null());
        let new = kind.map_or(all, |kind| all.and_then(|all| all.get(kind)));
        let scaling = new.or_else(|| json.value.get("rope_scaling")).unwrap_or(&Value::Null);
        let theta = new.and_then(|new| new.get("rope_theta")).or_else(|| json.value.get(old));
        let theta = theta.and_then(Value::as_f64).filter(|theta| *theta > 0.0);
        let theta =
            theta.ok_or_else(|| json.unreadable(format!("it has no number above 0 `{old}`, nor `rope_parameters`")))?;
        for holder in [scaling, &json.value] {
            match holder.get("partial_rotary_factor") {
                Some(part) if !part.is_null() && part.as_f64() != Some(1.0) => {
                    let wants = "only heads that are rotated whole are built in".to_owned();
                    return Err(json.unsupported("partial_rotary_factor", part, wants));
                }
                _ => {}
            }
        }
        let number = |key: &str| {
            let number = scaling.get(key).and_then(Value::as_f64).filter(|number| *number > 0.0);
            number.ok_or_else(|| json.unreadable(format!("its rotary positions have no number above 0 `{key}`")))
        };
        let scaling = match scaling.get("rope_type").or_else(|| scaling.get("type")) {
            None => None,
            Some(plain) if plain == "default" => None,
            Some(scaled) if scaled == "llama3" => Some(Llama3 {
                factor: number("factor")?,
                low: number("low_freq_factor")?,
                high: number("high_freq_factor")?,
                original: match scaling.get("original_max_position_embeddings") {
                    Some(_) => number("original_max_position_embeddings")?,
                    None => json.size("max_position_embeddings")? as f64,
                },
            }),
            Some(other) => {
                let wants = "rotary positions of type default and llama3 are built in".to_owned();
                return Err(json.unsupported("rope_type", other, wants));
            }
        };
        Ok(Rope { theta, scaling })
    }

    /// The frequencies for heads of so many numbers, rounded where transformers rounds them.
    pub(super) fn rotary(&self, head: usize) -> Rotary {
        let plain = |pair: usize| {
            let power = self.theta.powf(f64::from((2 * pair) as f32 / head as f32));
            1.0 / power as f32
        };
        let scaled = |frequency: f32| self.scaling.as_ref().map_or(frequency, |scaling| scaling.scale(frequency));
        Rotary { frequencies: (0..head / 2).map(plain).map(scaled).collect() }
    }
}

impl Llama3 {
    fn scale(&self, frequency: f32) -> f32 {
        let frequency = f64::from(frequency);
        let length = 2.0 * std::f64::consts::PI / frequency;
        let scaled = if length < self.original / self.high {
            frequency
        } else if length > self.original / self.low {
            frequency / self.factor
        } else {
            let share = (self.original / length - self.low) / (self.high - self.low);
            (1.0 - share) * frequency / self.factor + share * frequency
        };
        scaled as f32
    }
}

/// A head must be rotated pair by pair.
pub(super) fn even(json: &Json<'_>, key: &str, value: usize, head: usize) -> Result<usize, ModelError> {
    if head.is_multiple_of(2) && head <= MOST_HEAD {
        return Ok(head);
    }
    let wants = format!("rotary positions need heads of an even width up to {MOST_HEAD}, not {head}");
    Err(json.unsupported(key, value, wants))
}
