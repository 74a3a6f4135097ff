//! How are many rows multiplied with many others?
//!
//! Products are f32 sums in the order of the columns, several rows and columns at a time: each has the same bits whatever
//! stands beside it, so a row that is asked alone gets what it gets among others.

/// Rows beside each other in a panel.
pub(super) const WIDE: usize = 8;
/// Rows that meet a panel together.
const HIGH: usize = 4;

/// Rows, laid out to be multiplied with others.
pub(super) struct Panels {
    rows: usize,
    cols: usize,
    /// Eight rows after eight rows, each eight column by column; the last is filled up with 0.
    panels: Vec<[f32; WIDE]>,
}

impl Panels {
    /// Lays out rows of `cols` values.
    pub(super) fn of<'r>(rows: impl ExactSizeIterator<Item = &'r [f32]>, cols: usize) -> Panels {
        let count = rows.len();
        let mut panels = vec![[0.0; WIDE]; count.div_ceil(WIDE) * cols];
        for (at, row) in rows.enumerate() {
            let panel = &mut panels[at / WIDE * cols..][..cols];
            for (to, &value) in panel.iter_mut().zip(row) {
                to[at % WIDE] = value;
            }
        }
        Panels { rows: count, cols, panels }
    }

    /// Number of rows laid out.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Multiplies each of `rows` with every row laid out. Calls `take(row, first, products)` for each of `rows` and up to eight rows from
    /// `first` on, in the order of `first`.
    pub(super) fn products(&self, rows: &[&[f32]], mut take: impl FnMut(usize, usize, &[f32])) {
        let groups: Vec<Vec<[f32; HIGH]>> = rows.chunks(HIGH).map(|group| self.group(group)).collect();
        for (at, panel) in self.panels.chunks_exact(self.cols).enumerate() {
            let first = at * WIDE;
            let wide = WIDE.min(self.rows - first);
            for (group, columns) in groups.iter().enumerate() {
                let products = tile(panel, columns);
                let from = group * HIGH;
                for (row, products) in (from..rows.len().min(from + HIGH)).zip(&products) {
                    take(row, first, &products[..wide]);
                }
            }
        }
    }

    /// Four rows column by column; those that lack are 0.
    fn group(&self, rows: &[&[f32]]) -> Vec<[f32; HIGH]> {
        let mut group = vec![[0.0; HIGH]; self.cols];
        for (place, row) in rows.iter().enumerate() {
            for (to, &value) in group.iter_mut().zip(*row) {
                to[place] = value;
            }
        }
        group
    }
}

/// The products of four rows with eight.
fn tile(panel: &[[f32; WIDE]], group: &[[f32; HIGH]]) -> [[f32; WIDE]; HIGH] {
    let mut sums = [[0.0; WIDE]; HIGH];
    for (panel, group) in panel.iter().zip(group) {
        for (sums, &value) in sums.iter_mut().zip(group) {
            for (sum, &other) in sums.iter_mut().zip(panel) {
                *sum += value * other;
            }
        }
    }
    sums
}

/// `‖x‖²`.
pub(super) fn square(x: &[f32]) -> f64 {
    x.iter().map(|&v| f64::from(v) * f64::from(v)).sum()
}

/// The mean of each column of row-major `values`.
pub(super) fn means(values: &[f32], cols: usize) -> Vec<f32> {
    let mut sums = vec![0.0; cols];
    for row in values.chunks_exact(cols) {
        sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    let rows = (values.len() / cols) as f64;
    sums.iter().map(|sum| (sum / rows) as f32).collect()
}

/// Row-major `values`, measured from `centre`.
pub(super) fn centred(values: &[f32], centre: &[f32]) -> Vec<f32> {
    values.iter().zip(centre.iter().cycle()).map(|(value, mean)| value - mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_rows_meets_once() {
        let row = |i: usize| -> Vec<f32> { (0..3).map(|j| (i * 3 + j) as f32).collect() };
        let (packed, others): (Vec<_>, Vec<_>) = ((0..11).map(row).collect(), (20..26).map(row).collect());
        let panels = Panels::of(packed.iter().map(Vec::as_slice), 3);
        let mut found = vec![vec![f32::NAN; 11]; 6];
        let rows: Vec<&[f32]> = others.iter().map(Vec::as_slice).collect();
        panels.products(&rows, |row, first, products| {
            found[row][first..first + products.len()].copy_from_slice(products)
        });
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let wanted: Vec<Vec<f32>> = rows.iter().map(|a| packed.iter().map(|b| dot(a, b)).collect()).collect();
        assert_eq!((found, panels.rows()), (wanted, 11));
        assert_eq!(centred(&[1.0, 2.0, 3.0, 6.0], &means(&[1.0, 2.0, 3.0, 6.0], 2)), [-1.0, -2.0, 1.0, 2.0]);
    }
}
