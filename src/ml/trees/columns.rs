//! How do exact trees see the features? As values, and each column as ranks among its distinct training values.

use rayon::prelude::*;

use crate::ml::rows::Rows;

/// The values of training rows, two ways.
pub(super) struct Columns<'a> {
    pub(super) rows: usize,
    cols: usize,
    /// Row-major: the few rows of a small node lie in the cache, whatever column is drawn.
    values: &'a [f32],
    /// Column-major: rank of each value among the column's distinct values.
    ranks: Vec<u32>,
    /// The distinct values of each column, ascending.
    distinct: Vec<Vec<f32>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(x: &'a Rows<'_>) -> Columns<'a> {
        let rows = x.count;
        let mut ranks = vec![0; rows * x.cols];
        let distinct = ranks.par_chunks_mut(rows).enumerate().map(|(column, ranks)| {
            let value = |row: usize| x.values[row * x.cols + column];
            let mut keys: Vec<u64> = (0..rows).map(|row| u64::from(ordered(value(row))) << 32 | row as u64).collect();
            keys.sort_unstable();
            let mut distinct: Vec<f32> = Vec::new();
            for key in keys {
                let row = (key & u64::from(u32::MAX)) as usize;
                if distinct.last() != Some(&value(row)) {
                    distinct.push(value(row));
                }
                ranks[row] = distinct.len() as u32 - 1;
            }
            distinct
        });
        let distinct = distinct.collect();
        Columns { rows, cols: x.cols, values: &x.values, ranks, distinct }
    }

    pub(super) fn count(&self) -> usize {
        self.cols
    }

    pub(super) fn value(&self, column: u32, row: u32) -> f32 {
        self.values[row as usize * self.cols + column as usize]
    }

    pub(super) fn is_constant(&self, column: u32) -> bool {
        self.distinct[column as usize].len() == 1
    }

    /// Sorts `rows` by their values in a column; see [`Sorted`].
    pub(super) fn sort<'s>(&'s self, column: u32, rows: &[u32], buffers: &'s mut Buffers) -> Sorted<'s> {
        let distinct = &self.distinct[column as usize];
        let Buffers { keys, sorted, starts } = buffers;
        keys.clear();
        if distinct.len() > 4 * rows.len() {
            let key = |&row: &u32| u64::from(ordered(self.value(column, row))) << 32;
            keys.extend(rows.iter().zip(0u64..).map(|(row, place)| key(row) | place));
            keys.sort_unstable();
            return Sorted { keys, by_rank: None };
        }
        let ranks = &self.ranks[column as usize * self.rows..][..self.rows];
        keys.extend(rows.iter().zip(0u64..).map(|(&row, place)| u64::from(ranks[row as usize]) << 32 | place));
        by_counting(keys, distinct.len(), starts, sorted);
        Sorted { keys: sorted, by_rank: Some(distinct) }
    }
}

/// What sorting needs room for.
#[derive(Default)]
pub(super) struct Buffers {
    keys: Vec<u64>,
    sorted: Vec<u64>,
    starts: Vec<u32>,
}

/// Rows by value: what stands for the value above the row's place in the list that was given.
pub(super) struct Sorted<'s> {
    pub(super) keys: &'s [u64],
    /// What stands for a value is its rank among these; else its bits, as `ordered` makes them.
    by_rank: Option<&'s [f32]>,
}

impl Sorted<'_> {
    /// The value that a key's upper half stands for.
    pub(super) fn value(&self, upper: u32) -> f32 {
        self.by_rank.map_or_else(|| plain(upper), |distinct| distinct[upper as usize])
    }
}

/// The value half-way between two, from the lower one's up to below the higher one's.
pub(super) fn between(low: f32, high: f32) -> f32 {
    let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
    if middle < high { middle.max(low) } else { low }
}

/// Bits that are ordered as the finite values are; -0 is 0.
fn ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn plain(ordered: u32) -> f32 {
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}

/// `keys` by their upper half, which is below `distinct`.
fn by_counting(keys: &[u64], distinct: usize, starts: &mut Vec<u32>, sorted: &mut Vec<u64>) {
    starts.clear();
    starts.resize(distinct + 1, 0);
    for &key in keys {
        starts[(key >> 32) as usize + 1] += 1;
    }
    for rank in 1..=distinct {
        starts[rank] += starts[rank - 1];
    }
    sorted.clear();
    sorted.resize(keys.len(), 0);
    for &key in keys {
        let to = &mut starts[(key >> 32) as usize];
        sorted[*to as usize] = key;
        *to += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_in_the_order_of_values() {
        let values = [-3e38, -2.5, -1e-40, 0.0, 1e-40, 2.5, 3e38];
        assert!(values.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
        assert!(values.iter().all(|&value| plain(ordered(value)) == value));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn a_cut_parts_even_neighbours() {
        assert_eq!(between(1.0, 2.0), 1.5);
        let next = f32::from_bits(1.0f32.to_bits() + 1);
        assert_eq!(between(1.0, next), 1.0);
        assert_eq!(between(-3e38, 3e38), 0.0);
    }
}
