//! How fast are linear classifiers fitted, and how close to the optimum? The other side is `benches/linear.py`.
//!
//! `cargo bench --bench linear -- texts.features` reads rows that `linear.py prepare` wrote; without a file it makes rows up. For each kind of
//! features and learner it prints the median seconds to lay the rows out and to fit, and the objective with its relative
//! distance from that of a much tighter fit. `--threads 2` gives it more threads (1 unless told), `--tol 1e-3` another
//! tolerance than the default, `--runs 5` more runs.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fs;
use std::time::Instant;

use fuseline::ml::linear::{Convergence, Laid, LinearSvc, LogisticRegression};
use fuseline::ml::{Block, Csr, Dense, Features};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Rows {
    y: Vec<u32>,
    classes: usize,
    sparse: Csr,
    dense: Dense,
}

#[derive(Clone, Copy)]
enum Learner {
    Logistic,
    Svc,
}

fn main() -> Outcome<()> {
    let (mut file, mut threads, mut tol, mut runs, mut only) = (None, 1, None, 3, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("`{word}` needs a value"));
        match word.as_str() {
            "--bench" => {}
            "--threads" => threads = value()?.parse()?,
            "--tol" => tol = Some(value()?.parse()?),
            "--runs" => runs = value()?.parse::<usize>()?.max(1),
            "--only" => only = Some(value()?),
            _ => file = Some(word),
        }
    }
    let rows = match &file {
        Some(path) => read(&fs::read(path)?)?,
        None => made_up(),
    };
    println!("{} rows, {} classes, {} + {} columns", rows.y.len(), rows.classes, rows.sparse.cols, rows.dense.cols);
    println!(
        "{:>9} {:>7} {:>9} {:>9} {:>15} {:>9} {:>6}",
        "learner", "rows", "lay s", "fit s", "objective", "gap", "steps"
    );
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    pool.install(|| {
        for (name, learner) in [("logistic", Learner::Logistic), ("svc", Learner::Svc)] {
            for (kind, blocks) in kinds(&rows) {
                if only.as_ref().is_none_or(|only| *only == format!("{name}-{kind}")) {
                    timed((name, learner), kind, &rows, &Features { blocks }, tol, runs)?;
                }
            }
        }
        Ok(())
    })
}

fn kinds(rows: &Rows) -> [(&'static str, Vec<Block>); 3] {
    let (sparse, dense) = (Block::Sparse(rows.sparse.clone()), Block::Dense(rows.dense.clone()));
    [("sparse", vec![sparse.clone()]), ("dense", vec![dense.clone()]), ("both", vec![sparse, dense])]
}

fn timed(
    (name, learner): (&str, Learner),
    kind: &str,
    rows: &Rows,
    x: &Features,
    tol: Option<f64>,
    runs: usize,
) -> Outcome<()> {
    let (mut lay, mut fit, mut end) = (Vec::new(), Vec::new(), None);
    let mut laid = None;
    for _ in 0..runs {
        let x = x.clone();
        let start = Instant::now();
        let of = Laid::of(x)?;
        lay.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        end = Some(fitted(learner, &of, rows, tol)?);
        fit.push(start.elapsed().as_secs_f64());
        laid = Some(of);
    }
    let (Some(end), Some(laid)) = (end, laid) else { return Err("no runs".into()) };
    let best = fitted(learner, &laid, rows, Some(1e-9))?.objective;
    println!(
        "{name:>9} {kind:>7} {:9.4} {:9.4} {:15.6} {:9.1e} {:6}",
        median(lay),
        median(fit),
        end.objective,
        (end.objective - best) / best,
        end.iterations
    );
    Ok(())
}

fn fitted(learner: Learner, x: &Laid, rows: &Rows, tol: Option<f64>) -> Outcome<Convergence> {
    let (y, classes) = (&rows.y, rows.classes);
    Ok(match learner {
        Learner::Logistic => {
            let default = LogisticRegression::default();
            let tol = tol.unwrap_or(default.tol);
            LogisticRegression { tol, ..default }.fit(x, y, classes, None, &|| false)?.1
        }
        Learner::Svc => {
            let default = LinearSvc::default();
            let tol = tol.unwrap_or(default.tol);
            LinearSvc { tol, ..default }.fit(x, y, classes, None, &|| false)?.1
        }
    })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Reads what `linear.py prepare` wrote: five sizes, then labels, row offsets, columns, values, dense values.
fn read(bytes: &[u8]) -> Outcome<Rows> {
    let mut rest = bytes;
    let mut take = |count: usize, width: usize| -> Outcome<&[u8]> {
        let (head, tail) = rest.split_at_checked(count * width).ok_or("the file ends early")?;
        rest = tail;
        Ok(head)
    };
    let longs = |bytes: &[u8]| -> Vec<usize> {
        bytes.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b) as usize).collect()
    };
    let whole =
        |bytes: &[u8]| -> Vec<u32> { bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect() };
    let reals =
        |bytes: &[u8]| -> Vec<f32> { bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect() };
    let sizes = longs(take(5, 8)?);
    let [rows, classes, cols, stored, width] = sizes[..] else { return Err("no sizes".into()) };
    let y = whole(take(rows, 4)?);
    let indptr = longs(take(rows + 1, 8)?);
    let (indices, values) = (whole(take(stored, 4)?), reals(take(stored, 4)?));
    let dense = Dense { rows, cols: width, values: reals(take(rows * width, 4)?) };
    Ok(Rows { y, classes, sparse: Csr { cols, indptr, indices, values }, dense })
}

/// 10,000 rows of 20 classes: 20 of 50,000 sparse columns each, frequent ones first, and 384 correlated dense columns.
fn made_up() -> Rows {
    let (rows, classes, cols, width) = (10_000, 20, 50_000, 384);
    let mut state = 1u64;
    // splitmix64
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    };
    let centres: Vec<f64> = (0..classes * width).map(|_| next() - 0.5).collect();
    let (mut sparse, mut dense) = (Csr { cols, indptr: vec![0], ..Csr::default() }, Vec::new());
    let mut y = Vec::new();
    for _ in 0..rows {
        let class = (next() * classes as f64) as usize;
        let mut columns: Vec<u32> = (0..20).map(|_| (next().powi(4) * cols as f64) as u32).collect();
        columns.push(class as u32 * 7);
        columns.sort_unstable();
        columns.dedup();
        sparse.values.extend(columns.iter().map(|_| 0.2 + 0.1 * next() as f32));
        sparse.indices.extend(columns);
        sparse.indptr.push(sparse.indices.len());
        let common = next();
        let centre = &centres[class * width..][..width];
        dense.extend(centre.iter().map(|c| (0.05 * (common + c + 2.0 * (next() - 0.5))) as f32));
        y.push(class as u32);
    }
    Rows { y, classes, sparse, dense: Dense { rows, cols: width, values: dense } }
}
