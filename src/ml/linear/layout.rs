//! In which order do the solvers see the columns? Shared sparse columns by falling frequency, one joint column for those
//! of each row alone, then the dense blocks as they are.
//!
//! Columns that no row uses are left out (their weight is 0), and frequent columns lie together: the vectors that a pass
//! gathers from stay in the cache. Columns that one row alone uses, most of them where n-grams are counted, are
//! replaced by one column a row. That changes nothing: a loss knows the weights by the margins alone, so under the
//! penalty `½‖w‖²` the best weights of columns that only row `i` uses are a multiple of its values `x` there
//! (the representer theorem, Kimeldorf and Wahba 1971), and `w = a·x/‖x‖` has margin `a·‖x‖` and penalty `½a²`.

use super::FitError;
use super::design::check_features;
use crate::ml::{Block, Dense, Features};

/// Training rows, laid out for any number of fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Laid {
    pub(super) layout: Layout,
    pub(super) dense: Vec<Dense>,
}

impl Laid {
    /// Lays out `x`. Errors: malformed blocks, values that are not finite.
    pub fn of(x: Features) -> Result<Laid, FitError> {
        let layout = Layout::of(&x)?;
        let dense = |block| match block {
            Block::Sparse(_) => None,
            Block::Dense(m) => Some(m),
        };
        Ok(Laid { layout, dense: x.blocks.into_iter().filter_map(dense).collect() })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.layout.rows
    }

    /// Number of feature columns.
    pub fn cols(&self) -> usize {
        self.layout.features
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.layout.bytes() + self.dense.iter().map(|m| 4 * m.values.len()).sum::<usize>()
    }
}

/// How training rows are laid out; worked out once for all fits on them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Number of rows.
    pub(super) rows: usize,
    /// Offsets of each row's shared sparse values.
    pub(super) indptr: Vec<usize>,
    /// Their columns, in the order in which the rows have them.
    pub(super) indices: Vec<u32>,
    /// Their values.
    pub(super) values: Vec<f32>,
    /// How many columns more than one row uses.
    pub(super) shared: usize,
    /// Length of each row in the columns that it alone uses; empty if there are no such columns.
    pub(super) lone: Vec<f64>,
    /// How many dense columns there are.
    pub(super) dense: usize,
    features: usize,
    /// Feature column of each shared column.
    shared_origin: Vec<u32>,
    lone_origin: Vec<Lone>,
    /// Feature column of each dense column.
    dense_origin: Vec<u32>,
}

/// A column that one row alone uses.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lone {
    feature: u32,
    row: u32,
    value: f32,
}

impl Layout {
    /// Lays out `x`. Errors: malformed blocks, values that are not finite.
    pub(super) fn of(x: &Features) -> Result<Layout, FitError> {
        check_features(x)?;
        let (rows, features) = (x.rows(), x.cols());
        let mut counts = vec![0u32; features];
        let (mut offset, mut dense_origin) = (0, Vec::new());
        for block in &x.blocks {
            match block {
                Block::Sparse(m) => m.indices.iter().for_each(|&j| counts[offset + j as usize] += 1),
                Block::Dense(m) => dense_origin.extend((offset..offset + m.cols).map(|j| j as u32)),
            }
            offset += block.cols();
        }
        let mut shared_origin: Vec<u32> = (0..features as u32).filter(|&j| counts[j as usize] > 1).collect();
        shared_origin.sort_by_key(|&j| std::cmp::Reverse(counts[j as usize]));
        let mut place = vec![u32::MAX; features];
        for (&j, at) in shared_origin.iter().zip(0..) {
            place[j as usize] = at;
        }
        let mut layout = Layout {
            rows,
            indptr: Vec::with_capacity(rows + 1),
            indices: Vec::new(),
            values: Vec::new(),
            shared: shared_origin.len(),
            lone: Vec::new(),
            dense: dense_origin.len(),
            features,
            shared_origin,
            lone_origin: Vec::new(),
            dense_origin,
        };
        layout.fill(x, &place);
        Ok(layout)
    }

    /// Puts each row's sparse values in their places; `place` is `u32::MAX` for columns of one row.
    fn fill(&mut self, x: &Features, place: &[u32]) {
        let mut blocks = Vec::new();
        let mut offset = 0;
        for block in &x.blocks {
            if let Block::Sparse(m) = block {
                blocks.push((offset, m));
            }
            offset += block.cols();
        }
        let mut row: Vec<(u32, f32)> = Vec::new();
        let mut lone = Vec::with_capacity(self.rows);
        self.indptr.push(0);
        for i in 0..self.rows {
            row.clear();
            let mut squares = 0.0;
            for (offset, m) in &blocks {
                let (js, xs) = m.row(i);
                for (&j, &value) in js.iter().zip(xs) {
                    match place[offset + j as usize] {
                        u32::MAX => {
                            squares += f64::from(value) * f64::from(value);
                            self.lone_origin.push(Lone { feature: (offset + j as usize) as u32, row: i as u32, value });
                        }
                        at => row.push((at, value)),
                    }
                }
            }
            self.indices.extend(row.iter().map(|&(at, _)| at));
            self.values.extend(row.iter().map(|&(_, value)| value));
            self.indptr.push(self.indices.len());
            lone.push(squares.sqrt());
        }
        if !self.lone_origin.is_empty() {
            self.lone = lone;
        }
    }

    /// Columns without the constant one.
    pub(super) fn cols(&self) -> usize {
        self.shared + self.lone.len() + self.dense
    }

    /// Whether any row uses a sparse column.
    pub(super) fn has_sparse(&self) -> bool {
        self.shared > 0 || !self.lone.is_empty()
    }

    /// Bytes that it takes, about.
    fn bytes(&self) -> usize {
        8 * (self.indptr.len() + self.indices.len() + self.lone.len())
            + 4 * (self.shared_origin.len() + self.dense_origin.len())
            + size_of::<Lone>() * self.lone_origin.len()
    }

    /// The coefficients of output `which` of `k`, by feature column; `w` is `cols() × k` or longer, row-major.
    pub(super) fn restored(&self, w: &[f64], k: usize, which: usize) -> Vec<f64> {
        let mut coef = vec![0.0; self.features];
        let weight = |at: usize| w[at * k + which];
        for (at, &j) in self.shared_origin.iter().enumerate() {
            coef[j as usize] = weight(at);
        }
        for lone in &self.lone_origin {
            let length = self.lone[lone.row as usize];
            if length > 0.0 {
                coef[lone.feature as usize] =
                    weight(self.shared + lone.row as usize) * (f64::from(lone.value) / length);
            }
        }
        for (at, &j) in self.dense_origin.iter().enumerate() {
            coef[j as usize] = weight(self.shared + self.lone.len() + at);
        }
        coef
    }
}
