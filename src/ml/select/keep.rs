//! How many of the best columns are kept? scikit-learn's rules, ties included.

use super::Score;

/// Which columns are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keep {
    /// The `k` best; of equals the last (`SelectKBest`). All where there are fewer.
    Best(usize),
    /// The best share, in percent; of equals the first (`SelectPercentile`).
    Percentile(f64),
    /// Those whose p-value is below it (`SelectFpr`).
    Fpr(f64),
    /// Those that keep the false discovery rate below it, by Benjamini and Hochberg (`SelectFdr`).
    Fdr(f64),
    /// Those whose p-value is below it, divided by the number of columns (`SelectFwe`).
    Fwe(f64),
    /// Those above a threshold (`VarianceThreshold`).
    Above(Threshold),
    /// Those at a threshold or above, at most so many; of equals the first (`SelectFromModel`).
    From(Option<Threshold>, Option<usize>),
}

/// A least score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// A number.
    Value(f64),
    /// So many times the mean score.
    Mean(f64),
    /// So many times the median score.
    Median(f64),
}

/// Why no column can be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeepError {
    /// None passes.
    #[error("none of {columns} feature columns passes the selection; the best score is {best}")]
    Nothing {
        /// How many there were.
        columns: usize,
        /// The greatest score.
        best: f64,
    },
    /// The judge tells no p-values.
    #[error("this score has no p-values to select by")]
    NoPValues,
}

impl Keep {
    /// For each column, whether it is kept. A score that is not defined counts as the least.
    ///
    /// # Errors
    /// No column is kept; no p-values.
    pub fn choose(self, scores: &[Score]) -> Result<Vec<bool>, KeepError> {
        let values: Vec<f64> =
            scores.iter().map(|score| if score.score.is_nan() { f64::MIN } else { score.score }).collect();
        let kept = match self {
            Keep::Best(k) => {
                let mut order: Vec<usize> = (0..values.len()).collect();
                order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
                marked(values.len(), &order[values.len().saturating_sub(k)..])
            }
            Keep::Percentile(percent) => percentile(&values, percent),
            Keep::Fpr(alpha) => p_values(scores)?.iter().map(|&p| p < alpha).collect(),
            Keep::Fwe(alpha) => p_values(scores)?.iter().map(|&p| p < alpha / scores.len() as f64).collect(),
            Keep::Fdr(alpha) => {
                let all = p_values(scores)?;
                let mut sorted: Vec<f64> = all.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                let passes = |(at, p): &(usize, &f64)| **p <= alpha / all.len() as f64 * (*at as f64 + 1.0);
                let bound = sorted.iter().enumerate().filter(passes).map(|(_, &p)| p).next_back();
                all.iter().map(|&p| bound.is_some_and(|bound| p <= bound)).collect()
            }
            Keep::Above(threshold) => {
                let least = threshold.of(&values);
                values.iter().map(|&value| value > least).collect()
            }
            Keep::From(threshold, most) => {
                let least = threshold.map_or(f64::NEG_INFINITY, |threshold| threshold.of(&values));
                let mut order: Vec<usize> = (0..values.len()).filter(|&at| values[at] >= least).collect();
                order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
                order.truncate(most.unwrap_or(usize::MAX));
                marked(values.len(), &order)
            }
        };
        match kept.contains(&true) {
            true => Ok(kept),
            false => {
                let best = scores.iter().map(|score| score.score).fold(f64::NAN, f64::max);
                Err(KeepError::Nothing { columns: scores.len(), best })
            }
        }
    }
}

impl Threshold {
    fn of(self, values: &[f64]) -> f64 {
        match self {
            Threshold::Value(value) => value,
            Threshold::Mean(times) => times * values.iter().sum::<f64>() / values.len() as f64,
            Threshold::Median(times) => times * quantile_of(values, 0.5),
        }
    }
}

fn quantile_of(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.is_empty() { f64::NAN } else { super::super::encode::quantile(&sorted, at) }
}

fn percentile(values: &[f64], percent: f64) -> Vec<bool> {
    match percent {
        100.0 => return vec![true; values.len()],
        0.0 => return vec![false; values.len()],
        _ => {}
    }
    let least = quantile_of(values, (100.0 - percent) / 100.0);
    let mut kept: Vec<bool> = values.iter().map(|&value| value > least).collect();
    let most = (values.len() as f64 * percent / 100.0) as usize;
    let room = most.saturating_sub(kept.iter().filter(|&&kept| kept).count());
    let ties: Vec<usize> = (0..values.len()).filter(|&at| values[at] == least).take(room).collect();
    ties.iter().for_each(|&at| kept[at] = true);
    kept
}

fn p_values(scores: &[Score]) -> Result<Vec<f64>, KeepError> {
    scores.iter().map(|score| score.p_value.ok_or(KeepError::NoPValues)).collect()
}

fn marked(columns: usize, places: &[usize]) -> Vec<bool> {
    let mut marked = vec![false; columns];
    places.iter().for_each(|&at| marked[at] = true);
    marked
}
