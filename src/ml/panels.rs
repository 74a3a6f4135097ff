//! How are many rows multiplied with many others?
//!
//! Products are f32 sums in the order of the columns, several rows and columns at a time: each has the same bits whatever
//! stands beside it, so a row that is asked alone gets what it gets among others. The machine's widest vectors are used, but a product is
//! never fused with a sum, so the bits are the same on every machine.

use pulp::{Arch, Simd, WithSimd};

/// Rows beside each other in a panel.
const WIDE: usize = 32;
/// Rows that meet a panel together.
const HIGH: usize = 4;

/// Rows, laid out to be multiplied with others.
pub(super) struct Panels {
    rows: usize,
    cols: usize,
    /// So many rows after so many, column by column; the last are filled up with 0.
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

    /// Multiplies each of `rows` with every row laid out. Calls `take(row, first, products)` for each of `rows` and some rows from
    /// `first` on, in the order of `first`.
    pub(super) fn products(&self, rows: &[&[f32]], mut take: impl FnMut(usize, usize, &[f32])) {
        let arch = Arch::new();
        let groups: Vec<Vec<[f32; HIGH]>> = rows.chunks(HIGH).map(|group| self.group(group)).collect();
        for (at, panel) in self.panels.chunks_exact(self.cols).enumerate() {
            let first = at * WIDE;
            let wide = WIDE.min(self.rows - first);
            for (group, columns) in groups.iter().enumerate() {
                let products = arch.dispatch(Tile { panel, columns });
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

/// The products of a group with a panel.
struct Tile<'a> {
    panel: &'a [[f32; WIDE]],
    columns: &'a [[f32; HIGH]],
}

impl WithSimd for Tile<'_> {
    type Output = [[f32; WIDE]; HIGH];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        if S::F32_LANES < 4 {
            return self.plain();
        }
        let mut products = [[0.0; WIDE]; HIGH];
        for at in (0..WIDE / S::F32_LANES).step_by(2) {
            let mut sums = [[simd.splat_f32s(0.0); 2]; HIGH];
            for (panel, values) in self.panel.iter().zip(self.columns) {
                let panel = S::as_simd_f32s(panel).0;
                for (sums, &value) in sums.iter_mut().zip(values) {
                    let value = simd.splat_f32s(value);
                    sums[0] = simd.add_f32s(sums[0], simd.mul_f32s(panel[at], value));
                    sums[1] = simd.add_f32s(sums[1], simd.mul_f32s(panel[at + 1], value));
                }
            }
            for (products, sums) in products.iter_mut().zip(sums) {
                S::as_mut_simd_f32s(products).0[at..at + 2].copy_from_slice(&sums);
            }
        }
        products
    }
}

impl Tile<'_> {
    /// The same bits, for machines without vectors that are known here.
    fn plain(self) -> [[f32; WIDE]; HIGH] {
        const PART: usize = 8;
        let mut products = [[0.0; WIDE]; HIGH];
        for part in 0..WIDE / PART {
            let mut sums = [[0.0; PART]; HIGH];
            for (panel, values) in self.panel.iter().zip(self.columns) {
                let panel = &panel.as_chunks::<PART>().0[part];
                for (sums, &value) in sums.iter_mut().zip(values) {
                    for (sum, &other) in sums.iter_mut().zip(panel) {
                        *sum += value * other;
                    }
                }
            }
            for (products, sums) in products.iter_mut().zip(sums) {
                products[part * PART..(part + 1) * PART].copy_from_slice(&sums);
            }
        }
        products
    }
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
    fn vectors_change_no_bit() {
        let value = |i: usize| ((i * 7919) % 1013) as f32 / 77.0 - 6.1;
        let panel: Vec<[f32; WIDE]> = (0..50).map(|j| std::array::from_fn(|i| value(j * 31 + i))).collect();
        let columns: Vec<[f32; HIGH]> = (0..50).map(|j| std::array::from_fn(|i| value(j * 17 + i + 5))).collect();
        let tile = || Tile { panel: &panel, columns: &columns };
        assert_eq!(
            Arch::new().dispatch(tile()).map(|row| row.map(f32::to_bits)),
            tile().plain().map(|row| row.map(f32::to_bits))
        );
    }

    #[test]
    fn every_pair_of_rows_meets_once() {
        let row = |i: usize| -> Vec<f32> { (0..3).map(|j| (i * 3 + j) as f32).collect() };
        let (packed, others): (Vec<_>, Vec<_>) = ((0..45).map(row).collect(), (20..26).map(row).collect());
        let panels = Panels::of(packed.iter().map(Vec::as_slice), 3);
        let mut found = vec![vec![f32::NAN; 45]; 6];
        let rows: Vec<&[f32]> = others.iter().map(Vec::as_slice).collect();
        panels.products(&rows, |row, first, products| {
            found[row][first..first + products.len()].copy_from_slice(products)
        });
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let wanted: Vec<Vec<f32>> = rows.iter().map(|a| packed.iter().map(|b| dot(a, b)).collect()).collect();
        assert_eq!((found, panels.rows()), (wanted, 45));
        assert_eq!(centred(&[1.0, 2.0, 3.0, 6.0], &means(&[1.0, 2.0, 3.0, 6.0], 2)), [-1.0, -2.0, 1.0, 2.0]);
    }
}
