//! Which texts does attention take together, and what does each token see? Runs of neighbours, masks and rotations.

use std::sync::Arc;

use candle_core::Tensor;

use crate::model::architecture::{RelativeBias, Rotary};
use crate::model::place::Place;

/// Which neighbours attention takes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Together {
    /// Those of equal length.
    Equal,
    /// Those of which none is more than twice as long as another, or all are short.
    Near,
}

/// Texts up to this length are all near each other.
const SHORT: usize = 32;

/// What several blocks have in common and is made once for texts of one length.
#[derive(Default)]
pub(super) struct Shared {
    sights: Vec<Sight>,
    rotaries: Vec<Arc<Rotary>>,
}

/// What a token sees of its text, and how strongly.
pub(super) struct Sight {
    pub(super) causal: bool,
    pub(super) window: Option<usize>,
    pub(super) bias: Option<Arc<RelativeBias>>,
}

/// Neighbouring texts whose attention is computed in one go.
pub(super) struct Run {
    pub(super) rows: Rows,
    /// How many texts.
    pub(super) count: usize,
    /// How many tokens the longest of them has.
    pub(super) length: usize,
    /// For each of [`Shared::sights`]: what is added to the products, (heads or 1, length, length).
    pub(super) masks: Vec<Option<Tensor>>,
    /// For each of [`Shared::rotaries`]: cosines and sines, (length, half a head).
    pub(super) turns: Vec<(Tensor, Tensor)>,
}

/// Where the tokens of a run are.
pub(super) enum Rows {
    /// From this row on, texts of equal length.
    From(usize),
    /// Texts of several lengths.
    Padded {
        /// The row of each token; any row for padding.
        row: Tensor,
        /// The place of each token among those.
        place: Tensor,
        /// Added to the products: keys that are padding are not seen; (texts, 1, 1, length).
        mask: Tensor,
    },
}

impl Together {
    pub(super) fn runs(self, mut lengths: &[usize]) -> Vec<&[usize]> {
        if self == Together::Equal {
            return lengths.chunk_by(|a, b| a == b).collect();
        }
        let mut runs = Vec::new();
        while let Some((first, _)) = lengths.split_first() {
            let (mut shortest, mut longest) = (*first, *first);
            let near = |length: &&usize| {
                (shortest, longest) = (shortest.min(**length), longest.max(**length));
                longest <= (2 * shortest).max(SHORT)
            };
            let count = lengths.iter().take_while(near).count();
            let (run, rest) = lengths.split_at(count);
            runs.push(run);
            lengths = rest;
        }
        runs
    }
}

impl Shared {
    /// The texts in runs, with what their attention needs.
    pub(super) fn runs(&self, place: &Place, together: Together, lengths: &[usize]) -> candle_core::Result<Vec<Run>> {
        let lengths: Vec<usize> = lengths.iter().copied().filter(|length| *length > 0).collect();
        let (mut runs, mut start) = (Vec::new(), 0);
        for texts in together.runs(&lengths) {
            let length = texts.iter().copied().max().unwrap_or(0);
            let equal = texts.iter().all(|text| *text == length);
            runs.push(Run {
                rows: if equal { Rows::From(start) } else { place.padded(start, texts, length)? },
                count: texts.len(),
                length,
                masks: self.sights.iter().map(|sight| place.mask(sight, length)).collect::<Result<_, _>>()?,
                turns: self.rotaries.iter().map(|turn| place.turns(turn, length)).collect::<Result<_, _>>()?,
            });
            start += texts.iter().sum::<usize>();
        }
        Ok(runs)
    }

    /// The number of a sight.
    pub(super) fn sight(&mut self, sight: Sight) -> usize {
        let same = |known: &Sight| {
            let same_bias = match (&known.bias, &sight.bias) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            };
            same_bias && known.causal == sight.causal && known.window == sight.window
        };
        self.sights.iter().position(same).unwrap_or_else(|| {
            self.sights.push(sight);
            self.sights.len() - 1
        })
    }

    /// The number of rotary positions.
    pub(super) fn rotary(&mut self, rotary: Arc<Rotary>) -> usize {
        self.rotaries.iter().position(|known| Arc::ptr_eq(known, &rotary)).unwrap_or_else(|| {
            self.rotaries.push(rotary);
            self.rotaries.len() - 1
        })
    }
}

impl Place {
    /// What is added to the products of a text of `length` tokens.
    fn mask(&self, sight: &Sight, length: usize) -> candle_core::Result<Option<Tensor>> {
        let Sight { causal, window, bias } = sight;
        if bias.is_none() && (length == 1 || !causal && window.is_none_or(|window| window >= length)) {
            return Ok(None);
        }
        let heads = bias.as_ref().map_or(1, |bias| bias.table.width);
        // of the distances from the farthest key before to the farthest after
        let far = length as isize - 1;
        let buckets: Vec<usize> =
            bias.iter().flat_map(|bias| (-far..=far).map(|distance| bias.bucket(distance))).collect();
        let mut values = Vec::with_capacity(heads * length * length);
        for head in 0..heads {
            for query in 0..length {
                values.extend((0..length).map(|key| {
                    let hidden = *causal && key > query || window.is_some_and(|window| key.abs_diff(query) > window);
                    match bias {
                        _ if hidden => f32::NEG_INFINITY,
                        Some(bias) => bias.table.values[buckets[length - 1 + key - query] * heads + head],
                        None => 0.0,
                    }
                }));
            }
        }
        self.tensor(values, &[heads, length, length]).map(Some)
    }

    /// Texts from a row on, padded to one length.
    fn padded(&self, start: usize, texts: &[usize], length: usize) -> candle_core::Result<Rows> {
        let (mut rows, mut places, mut mask) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = start;
        for (text, tokens) in texts.iter().enumerate() {
            for at in 0..length {
                let own = at < *tokens;
                // padding copies a row, so that no product with its weight of 0 is anything but 0
                rows.push((if own { first + at } else { start }) as u32);
                mask.push(if own { 0.0 } else { f32::NEG_INFINITY });
                if own {
                    places.push((text * length + at) as u32);
                }
            }
            first += tokens;
        }
        Ok(Rows::Padded {
            row: Tensor::new(rows, &self.device)?,
            place: Tensor::new(places, &self.device)?,
            mask: self.tensor(mask, &[texts.len(), 1, 1, length])?,
        })
    }

    /// Cosines and sines of the positions of a text of `length` tokens.
    fn turns(&self, rotary: &Rotary, length: usize) -> candle_core::Result<(Tensor, Tensor)> {
        let angles = || (0..length).flat_map(|place| rotary.frequencies.iter().map(move |f| place as f32 * f));
        let shape = [length, rotary.frequencies.len()];
        Ok((
            self.tensor(angles().map(f32::cos).collect(), &shape)?,
            self.tensor(angles().map(f32::sin).collect(), &shape)?,
        ))
    }
}
