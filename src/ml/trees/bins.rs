//! How does gradient boosting see the features? Each column in at most 255 bins between quantiles.
//!
//! scikit-learn's `_BinMapper`: half-way between all distinct values where they are few, else at percentiles. Where there
//! are more than 200,000 rows, it takes a random sample of them and we every so-many-th.

use rayon::prelude::*;

use super::columns::between;
use crate::ml::rows::Rows;

/// Columns of bins.
pub(super) struct Bins {
    pub(super) rows: usize,
    /// Column-major: the bin of each value.
    bins: Vec<u8>,
    /// The greatest value of each bin but the last, by column.
    cuts: Vec<Vec<f32>>,
}

/// Most rows that quantiles are taken of.
const SAMPLE: usize = 200_000;

impl Bins {
    pub(super) fn of(x: &Rows<'_>, max_bins: usize) -> Bins {
        let rows = x.count;
        let mut bins = vec![0; rows * x.cols];
        let cuts = bins.par_chunks_mut(rows).enumerate().map(|(column, bins)| {
            let value = |row: usize| x.values[row * x.cols + column] + 0.0;
            let mut sample: Vec<f32> = (0..rows).step_by(rows.div_ceil(SAMPLE)).map(value).collect();
            sample.sort_unstable_by(f32::total_cmp);
            let cuts = cuts(&sample, max_bins);
            for (row, bin) in bins.iter_mut().enumerate() {
                let value = value(row);
                *bin = cuts.partition_point(|&cut| cut < value) as u8;
            }
            cuts
        });
        let cuts = cuts.collect();
        Bins { rows, bins, cuts }
    }

    pub(super) fn columns(&self) -> usize {
        self.cuts.len()
    }

    /// Number of bins of a column.
    pub(super) fn count(&self, column: usize) -> usize {
        self.cuts[column].len() + 1
    }

    /// The bin of each row's value in a column.
    pub(super) fn column(&self, column: usize) -> &[u8] {
        &self.bins[column * self.rows..(column + 1) * self.rows]
    }

    /// The greatest value of a bin that is not the last.
    pub(super) fn cut(&self, column: usize, bin: usize) -> f32 {
        self.cuts[column][bin]
    }
}

/// Where ascending values are cut into at most `max_bins` bins.
fn cuts(sorted: &[f32], max_bins: usize) -> Vec<f32> {
    let mut distinct = sorted.to_vec();
    distinct.dedup();
    let mut cuts: Vec<f32> = if distinct.len() <= max_bins {
        distinct.windows(2).map(|pair| between(pair[0], pair[1])).collect()
    } else {
        let last = (sorted.len() - 1) as f64;
        let percentile = |part: usize| {
            let at = part as f64 / max_bins as f64 * last;
            between(sorted[at.floor() as usize], sorted[at.ceil() as usize])
        };
        (1..max_bins).map(percentile).collect()
    };
    cuts.dedup();
    // a cut at the greatest value would leave the last bin empty
    while cuts.last().is_some_and(|cut| *cut >= distinct[distinct.len() - 1]) {
        cuts.pop();
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `_find_binning_thresholds` of scikit-learn 1.9.1.
    #[test]
    fn cuts_are_scikit_learns() {
        assert_eq!(cuts(&[1.0, 2.0, 2.0, 4.0], 255), [1.5, 3.0]);
        let hundred: Vec<f32> = (0..100).map(|i| i as f32).collect();
        assert_eq!(cuts(&hundred, 4), [24.5, 49.5, 74.5]);
        let mut skewed = vec![0.0; 90];
        skewed.extend((1..=10).map(|i| i as f32));
        assert_eq!(cuts(&skewed, 4), [0.0]);
        assert_eq!(cuts(&[7.0; 9], 255), [0.0; 0]);
    }
}
