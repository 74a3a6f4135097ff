//! How do exact trees see the features? Each column as ranks among its distinct training values.

use rayon::prelude::*;

use crate::ml::rows::Rows;

/// Columns of ranks.
pub(super) struct Columns {
    pub(super) rows: usize,
    /// Column-major: rank of each value among the column's distinct values.
    ranks: Vec<u32>,
    /// The same, row-major: the few rows of a small node lie in the cache whatever column is drawn.
    by_row: Vec<u32>,
    /// The distinct values of each column, ascending.
    values: Vec<Vec<f32>>,
}

impl Columns {
    pub(super) fn of(x: &Rows<'_>) -> Columns {
        let rows = x.count;
        let mut ranks = vec![0; rows * x.cols];
        let values = ranks.par_chunks_mut(rows).enumerate();
        let values = values.map(|(column, ranks)| {
            let key = |row: usize| u64::from(ordered(x.values[row * x.cols + column])) << 32 | row as u64;
            let mut keys: Vec<u64> = (0..rows).map(key).collect();
            keys.sort_unstable();
            let mut distinct: Vec<f32> = Vec::new();
            for key in keys {
                let row = (key & u64::from(u32::MAX)) as usize;
                let value = x.values[row * x.cols + column];
                if distinct.last() != Some(&value) {
                    distinct.push(value);
                }
                ranks[row] = distinct.len() as u32 - 1;
            }
            distinct
        });
        let values = values.collect();
        let mut by_row = vec![0; ranks.len()];
        by_row.par_chunks_mut(x.cols).enumerate().for_each(|(row, to)| {
            for (to, ranks) in to.iter_mut().zip(ranks.chunks_exact(rows)) {
                *to = ranks[row];
            }
        });
        Columns { rows, ranks, by_row, values }
    }

    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// Rank of each row's value in a column.
    pub(super) fn ranks(&self, column: usize) -> &[u32] {
        &self.ranks[column * self.rows..(column + 1) * self.rows]
    }

    /// Ranks of the values of `rows` in a column.
    pub(super) fn gather(&self, column: usize, rows: &[u32], to: &mut Vec<u32>) {
        to.clear();
        if rows.len() > self.rows / 8 {
            let ranks = self.ranks(column);
            to.extend(rows.iter().map(|&row| ranks[row as usize]));
        } else {
            let (ranks, cols) = (&self.by_row[column..], self.count());
            to.extend(rows.iter().map(|&row| ranks[row as usize * cols]));
        }
    }

    /// Number of distinct values of a column.
    pub(super) fn distinct(&self, column: usize) -> usize {
        self.values[column].len()
    }

    /// The value half-way between two ranks, from the lower one's up to below the higher one's.
    pub(super) fn between(&self, column: usize, low: u32, high: u32) -> f32 {
        let (low, high) = (self.values[column][low as usize], self.values[column][high as usize]);
        let middle = ((f64::from(low) + f64::from(high)) / 2.0) as f32;
        if middle < high { middle.max(low) } else { low }
    }

    /// A value at `share` (in `[0, 1)`) of the way between two ranks, and the greatest rank whose value is at most that.
    pub(super) fn at_share(&self, column: usize, low: u32, high: u32, share: f64) -> (f32, u32) {
        let span = &self.values[column][low as usize..=high as usize];
        let (least, most) = (f64::from(span[0]), f64::from(span[span.len() - 1]));
        let drawn = (least + share * (most - least)) as f32;
        let cut = if drawn < span[span.len() - 1] { drawn.max(span[0]) } else { span[0] };
        (cut, low + span.partition_point(|&value| value <= cut) as u32 - 1)
    }
}

/// Bits that are ordered as the finite values are; -0 is 0.
fn ordered(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}
