//! How far apart are two rows? Block by block, from a query to all training rows.

use crate::ml::{Block, Csr, Dense, Features};

/// A measure of distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// √Σ (x − y)².
    Euclidean,
    /// 1 − x·y / (‖x‖ ‖y‖); 1 where a row is all zeros.
    Cosine,
    /// Σ |x − y|.
    Manhattan,
}

impl Metric {
    /// What a dense block adds.
    fn dense(self, x: &[f32], y: &[f32]) -> f64 {
        match self {
            Metric::Cosine => dense_dot(x, y),
            Metric::Euclidean => dense_squares(x, y),
            Metric::Manhattan => dense_steps(x, y),
        }
    }

    /// The distance, from what the blocks add and the norms of both rows.
    fn whole(self, sum: f64, own: f64, norm: f64) -> f64 {
        match self {
            Metric::Euclidean => (sum + (own + norm)).max(0.0).sqrt(),
            Metric::Manhattan => (sum + (own + norm)).max(0.0),
            Metric::Cosine if own == 0.0 || norm == 0.0 => 1.0,
            Metric::Cosine => (1.0 - sum / (own * norm).sqrt()).max(0.0),
        }
    }
}

/// What is known of each training row before any query: of all its blocks for cosine (Σ x²), else of its sparse ones alone (Σ x² or Σ |x|).
pub(super) struct Norms(Vec<f64>);

impl Norms {
    pub(super) fn of(x: &Features, metric: Metric) -> Self {
        Norms((0..x.rows()).map(|row| norm(x, row, metric)).collect())
    }
}

fn norm(x: &Features, row: usize, metric: Metric) -> f64 {
    let size = |value: &f32| match metric {
        Metric::Euclidean | Metric::Cosine => f64::from(*value) * f64::from(*value),
        Metric::Manhattan => f64::from(value.abs()),
    };
    let of = |block: &Block| match block {
        Block::Sparse(m) => m.row(row).1.iter().map(size).sum(),
        Block::Dense(m) if metric == Metric::Cosine => dense_dot(m.row(row), m.row(row)),
        Block::Dense(_) => 0.0,
    };
    x.blocks.iter().map(of).sum()
}

/// The first block of `queries` that is not as in `x`.
pub(super) fn other_form(x: &Features, queries: &Features) -> Option<usize> {
    let alike =
        |a: &Block, b: &Block| a.cols() == b.cols() && matches!(a, Block::Sparse(_)) == matches!(b, Block::Sparse(_));
    match x.blocks.len() == queries.blocks.len() {
        true => x.blocks.iter().zip(&queries.blocks).position(|(a, b)| !alike(a, b)),
        false => Some(x.blocks.len().min(queries.blocks.len())),
    }
}

/// The sparse blocks of training rows by column: a query looks at those rows alone that share a column with it.
pub(super) struct Shared(Vec<Option<Sharing>>);

/// A block by column: the rows that have a value there, ascending.
struct Sharing {
    starts: Vec<usize>,
    rows: Vec<u32>,
    values: Vec<f32>,
}

impl Shared {
    pub(super) fn of(x: &Features) -> Self {
        let turned = |block: &Block| match block {
            Block::Sparse(m) => Some(Sharing::of(m)),
            Block::Dense(_) => None,
        };
        Shared(x.blocks.iter().map(turned).collect())
    }
}

impl Sharing {
    fn of(m: &Csr) -> Self {
        let mut starts = vec![0; m.cols + 1];
        m.indices.iter().for_each(|&column| starts[column as usize + 1] += 1);
        for column in 0..m.cols {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let (mut rows, mut values) = (vec![0; m.indices.len()], vec![0.0; m.indices.len()]);
        for row in 0..m.rows() {
            let (columns, of_row) = m.row(row);
            for (&column, &value) in columns.iter().zip(of_row) {
                let at = next[column as usize];
                (rows[at], values[at]) = (row as u32, value);
                next[column as usize] += 1;
            }
        }
        Sharing { starts, rows, values }
    }

    /// The rows that have a value in `column`, and the values.
    fn column(&self, column: u32) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[column as usize]..self.starts[column as usize + 1];
        let rows = self.rows[range.clone()].iter().map(|&row| row as usize);
        rows.zip(self.values[range].iter().map(|&value| f64::from(value)))
    }
}

/// Room for one query at a time.
pub(super) struct Query<'a> {
    x: &'a Features,
    shared: &'a Shared,
    metric: Metric,
    /// What one sparse block adds to each row's distance; zeros between.
    sums: Vec<f64>,
    distances: Vec<f64>,
}

impl<'a> Query<'a> {
    pub(super) fn new(x: &'a Features, shared: &'a Shared, metric: Metric) -> Self {
        let room = vec![0.0; x.rows()];
        Query { x, shared, metric, sums: room.clone(), distances: room }
    }

    /// From row `row` of `queries` to each training row.
    pub(super) fn distances(&mut self, queries: &Features, row: usize, norms: &Norms) -> &[f64] {
        self.distances.fill(0.0);
        let shared = self.shared;
        for ((block, shared), query) in self.x.blocks.iter().zip(&shared.0).zip(&queries.blocks) {
            match (block, shared, query) {
                (_, Some(shared), Block::Sparse(query)) => self.add_sparse(shared, query.row(row)),
                (Block::Dense(m), None, Block::Dense(query)) => self.add_dense(m, query.row(row)),
                // `other_form` was asked
                _ => {}
            }
        }
        let own = norm(queries, row, self.metric);
        for (distance, norm) in self.distances.iter_mut().zip(&norms.0) {
            *distance = self.metric.whole(*distance, own, *norm);
        }
        &self.distances
    }

    /// The same from row `row` of `queries` to the training row `to` alone, where no block is sparse.
    pub(super) fn distance_to(&self, queries: &Features, row: usize, norms: &Norms, to: usize) -> f64 {
        let pairs = self.x.blocks.iter().zip(&queries.blocks);
        let part = |(block, query): (&Block, &Block)| match (block, query) {
            (Block::Dense(m), Block::Dense(query)) => self.metric.dense(query.row(row), m.row(to)),
            _ => 0.0,
        };
        self.metric.whole(pairs.map(part).sum(), norm(queries, row, self.metric), norms.0[to])
    }

    /// Adds what the columns that both rows store change: −2xy, |x − y| − |x| − |y|, or xy. Each row's sum is over ascending columns.
    fn add_sparse(&mut self, shared: &Sharing, (columns, values): (&[u32], &[f32])) {
        for (&column, &value) in columns.iter().zip(values) {
            let (x, sums) = (f64::from(value), &mut self.sums);
            match self.metric {
                Metric::Cosine | Metric::Euclidean => shared.column(column).for_each(|(row, y)| sums[row] += x * y),
                Metric::Manhattan => {
                    shared.column(column).for_each(|(row, y)| sums[row] += (x - y).abs() - x.abs() - y.abs());
                }
            }
        }
        let factor = if self.metric == Metric::Euclidean { -2.0 } else { 1.0 };
        for (distance, sum) in self.distances.iter_mut().zip(&mut self.sums) {
            *distance += factor * std::mem::take(sum);
        }
    }

    fn add_dense(&mut self, m: &Dense, query: &[f32]) {
        for (row, distance) in self.distances.iter_mut().enumerate() {
            *distance += self.metric.dense(query, m.row(row));
        }
    }
}

/// Running sums of a dense row.
const LANES: usize = 16;
/// Values that are summed in f32 before they are added to an f64.
const STRETCH: usize = 16 * LANES;

fn dense_dot(x: &[f32], y: &[f32]) -> f64 {
    in_lanes(x, y, |x, y| x * y, |x, y| x * y)
}

fn dense_squares(x: &[f32], y: &[f32]) -> f64 {
    in_lanes(x, y, |x, y| (x - y) * (x - y), |x, y| (x - y) * (x - y))
}

fn dense_steps(x: &[f32], y: &[f32]) -> f64 {
    in_lanes(x, y, |x, y| (x - y).abs(), |x, y| (x - y).abs())
}

/// Σ term(x, y): f32 in lanes over stretches of columns, then f64; `wide` where a term or a lane is too great for f32.
fn in_lanes(x: &[f32], y: &[f32], term: impl Fn(f32, f32) -> f32, wide: impl Fn(f64, f64) -> f64) -> f64 {
    let mut sum = 0.0;
    for (x, y) in x.chunks(STRETCH).zip(y.chunks(STRETCH)) {
        let (xs, x_rest) = x.as_chunks::<LANES>();
        let (ys, y_rest) = y.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for (x, y) in xs.iter().zip(ys) {
            for lane in 0..LANES {
                lanes[lane] += term(x[lane], y[lane]);
            }
        }
        sum += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        sum += x_rest.iter().zip(y_rest).map(|(&x, &y)| f64::from(term(x, y))).sum::<f64>();
    }
    match sum.is_finite() {
        true => sum,
        false => x.iter().zip(y).map(|(&x, &y)| wide(f64::from(x), f64::from(y))).sum(),
    }
}
