//! In which order do the solvers see the columns and the rows? First one joint column for the sparse columns of each row alone, then
//! shared sparse columns by rising frequency, then the dense blocks as they are. Sparse rows by rising length.
//!
//! Columns that no row uses are left out (their weight is 0), and frequent columns lie together: the vectors that a pass
//! gathers from stay in the cache. Rows, and columns, of one length lie together, so that a processor foresees where each ends.
//! Columns that one row alone uses, most of them where n-grams are counted, are
//! replaced by one column a row. That changes nothing: a loss knows the weights by the margins alone, so under the
//! penalty `½‖w‖²` the best weights of columns that only row `i` uses are a multiple of its values `x` there
//! (the representer theorem, Kimeldorf and Wahba 1971), and `w = a·x/‖x‖` has margin `a·‖x‖` and penalty `½a²`.

use std::sync::OnceLock;

use super::FitError;
use super::design::check_features;
use crate::ml::{Block, Csr, Dense, Features};

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
    /// The rows, by rising number of shared sparse values.
    pub(super) order: Vec<u32>,
    /// How many columns more than one row uses.
    pub(super) shared: usize,
    /// Length of each row in the columns that it alone uses; empty if there are no such columns.
    pub(super) lone: Vec<f64>,
    /// How many dense columns there are.
    pub(super) dense: usize,
    /// The shared sparse values, row by row in `order`; within a row in the order of the features.
    stored: Vec<Stored>,
    /// Where in `stored` each row begins and ends.
    spans: Vec<[usize; 2]>,
    /// The same values column by column, worked out where it is asked for.
    turned: OnceLock<Turned>,
    features: usize,
    /// Feature column of each shared column.
    shared_origin: Vec<u32>,
    lone_origin: Vec<Lone>,
    /// Feature column of each dense column.
    dense_origin: Vec<u32>,
}

/// A value, and the column (or, by columns, the row) that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Stored {
    pub(super) at: u32,
    pub(super) value: f32,
}

/// Shared sparse values column by column.
#[derive(Debug, Clone, PartialEq)]
struct Turned {
    stored: Vec<Stored>,
    /// Where each column begins, and where the last ends.
    from: Vec<usize>,
}

/// A column that one row alone uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
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
        let (mut offset, mut dense_origin, mut sparse) = (0, Vec::new(), Vec::new());
        for block in &x.blocks {
            match block {
                Block::Sparse(m) => sparse.push((offset, m)),
                Block::Dense(m) => dense_origin.extend((offset..offset + m.cols).map(|j| j as u32)),
            }
            offset += block.cols();
        }
        let mut counts = vec![0u32; features];
        for (offset, m) in &sparse {
            let counts = &mut counts[*offset..];
            m.indices.iter().for_each(|&j| counts[j as usize] += 1);
        }
        let lone = counts.iter().filter(|&&count| count == 1).count();
        let shared_from = lone + counts.iter().filter(|&&count| count == 0).count();
        let place = places(&counts);
        let mut shared_origin = vec![0; features];
        place.iter().zip(0..).for_each(|(&at, j)| shared_origin[at as usize] = j);
        shared_origin.drain(..shared_from);
        let mut layout = Layout {
            rows,
            order: vec![0; rows],
            shared: shared_origin.len(),
            lone: Vec::new(),
            dense: dense_origin.len(),
            stored: Vec::new(),
            spans: Vec::with_capacity(rows),
            turned: OnceLock::new(),
            features,
            shared_origin,
            lone_origin: Vec::with_capacity(lone),
            dense_origin,
        };
        layout.fill(&sparse, &place, shared_from as u32);
        Ok(layout)
    }

    /// Puts each row's sparse values in their places; columns whose place is before `shared_from` are of one row.
    fn fill(&mut self, sparse: &[(usize, &Csr)], place: &[u32], shared_from: u32) {
        let mut lengths = vec![0u32; self.rows];
        for (offset, m) in sparse {
            let place = &place[*offset..];
            for (i, length) in lengths.iter_mut().enumerate() {
                *length += m.row(i).0.iter().map(|&j| u32::from(place[j as usize] >= shared_from)).sum::<u32>();
            }
        }
        places(&lengths).iter().zip(0..).for_each(|(&at, i)| self.order[at as usize] = i);
        let mut from = 0;
        self.spans.resize(self.rows, [0; 2]);
        for &i in &self.order {
            let to = from + lengths[i as usize] as usize;
            self.spans[i as usize] = [from, to];
            from = to;
        }
        self.stored.resize(from, Stored::default());
        let some_lone = self.lone_origin.capacity() > 0;
        // a row's joint column has the number of the row
        let shift = if some_lone { self.rows as u32 } else { 0 };
        let (mut shared, mut alone) = (Vec::new(), Vec::new());
        for i in 0..self.rows {
            let (mut shareds, mut alones) = (0, 0);
            for (offset, m) in sparse {
                let (js, xs) = m.row(i);
                shared.resize(shared.len().max(shareds + js.len()), Stored::default());
                alone.resize(alone.len().max(alones + js.len()), Lone::default());
                // both are written and one is kept: a branch would be foreseen wrongly too often
                for (&j, &value) in js.iter().zip(xs) {
                    let feature = offset + j as usize;
                    let at = place[feature];
                    let is_shared = at >= shared_from;
                    shared[shareds] = Stored { at: at.wrapping_sub(shared_from).wrapping_add(shift), value };
                    alone[alones] = Lone { feature: feature as u32, row: i as u32, value };
                    shareds += usize::from(is_shared);
                    alones += usize::from(!is_shared);
                }
            }
            let [from, to] = self.spans[i];
            self.stored[from..to].copy_from_slice(&shared[..shareds]);
            let alone = &alone[..alones];
            self.lone_origin.extend_from_slice(alone);
            if some_lone {
                let square = |lone: &Lone| f64::from(lone.value) * f64::from(lone.value);
                self.lone.push(alone.iter().map(square).sum::<f64>().sqrt());
            }
        }
    }

    /// The shared sparse values of row `i`.
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> &[Stored] {
        let [from, to] = self.spans[i];
        &self.stored[from..to]
    }

    /// The rows' values in each shared sparse column.
    pub(super) fn columns(&self) -> impl Iterator<Item = &[Stored]> {
        let turned = self.turned.get_or_init(|| self.turned());
        turned.from.windows(2).map(|span| &turned.stored[span[0]..span[1]])
    }

    fn turned(&self) -> Turned {
        let shift = self.lone.len();
        let mut from = vec![0; self.shared + 1];
        self.stored.iter().for_each(|stored| from[stored.at as usize - shift] += 1);
        let mut before = 0;
        for from in &mut from {
            before += std::mem::replace(from, before);
        }
        let (mut next, mut stored) = (from.clone(), vec![Stored::default(); self.stored.len()]);
        for i in 0..self.rows {
            for &Stored { at, value } in self.row(i) {
                let next = &mut next[at as usize - shift];
                stored[*next] = Stored { at: i as u32, value };
                *next += 1;
            }
        }
        Turned { stored, from }
    }

    /// Columns without the constant one.
    pub(super) fn cols(&self) -> usize {
        self.dense_from() + self.dense
    }

    /// Where the dense columns begin.
    #[inline(always)]
    pub(super) fn dense_from(&self) -> usize {
        self.lone.len() + self.shared
    }

    /// Whether any row uses a sparse column.
    pub(super) fn has_sparse(&self) -> bool {
        self.dense_from() > 0
    }

    /// Bytes that it takes, about, turned round and all.
    fn bytes(&self) -> usize {
        (4 + size_of::<[usize; 2]>()) * self.rows
            + 2 * size_of::<Stored>() * self.stored.len()
            + (8 + 4) * self.shared
            + 4 * self.dense
            + 8 * self.lone.len()
            + size_of::<Lone>() * self.lone_origin.len()
    }

    /// The coefficients of output `which` of `k`, by feature column; `w` is `cols() × k` or longer, row-major.
    pub(super) fn restored(&self, w: &[f64], k: usize, which: usize) -> Vec<f64> {
        let mut coef = vec![0.0; self.features];
        let weight = |at: usize| w[at * k + which];
        for lone in &self.lone_origin {
            let length = self.lone[lone.row as usize];
            if length > 0.0 {
                coef[lone.feature as usize] = weight(lone.row as usize) * (f64::from(lone.value) / length);
            }
        }
        for (at, &j) in (self.lone.len()..).zip(&self.shared_origin) {
            coef[j as usize] = weight(at);
        }
        for (at, &j) in (self.dense_from()..).zip(&self.dense_origin) {
            coef[j as usize] = weight(at);
        }
        coef
    }
}

/// The place of each by rising count, the first of equals first.
fn places(counts: &[u32]) -> Vec<u32> {
    let mut next = vec![0u32; counts.iter().max().map_or(0, |&top| top as usize + 1)];
    counts.iter().for_each(|&count| next[count as usize] += 1);
    let mut before = 0;
    for next in &mut next {
        before += std::mem::replace(next, before);
    }
    let place = |&count: &u32| {
        let next = &mut next[count as usize];
        *next += 1;
        *next - 1
    };
    counts.iter().map(place).collect()
}
