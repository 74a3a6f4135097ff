//! How do columns of numbers and of categories become features? Centres and scales, fillings, and which categories are rare.
//!
//! As in scikit-learn 1.9.1: `StandardScaler`, `MinMaxScaler`, `RobustScaler` (`preprocessing/_data.py`), `SimpleImputer`
//! (`impute/_base.py`) and `OneHotEncoder._identify_infrequent` (`preprocessing/_encoders.py`).

/// How a column of numbers is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// To mean 0 and variance 1 (of all values, not of a sample).
    Standard,
    /// From the least to the greatest value: 0 to 1.
    MinMax,
    /// To median 0 and a distance of 1 between the quartiles.
    Robust,
    /// Not at all.
    None,
}

/// What a value becomes: `(value - centre) / scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// What is taken away.
    pub centre: f64,
    /// What is divided by; never 0.
    pub scale: f64,
}

/// What stands in for a missing value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// The mean of the values that are there.
    Mean,
    /// Their median.
    Median,
    /// Zero.
    Zero,
}

impl Scaling {
    /// The scale of some values. A constant column is centred and left at that.
    pub fn fit(self, values: &[f64]) -> Scale {
        let spread = |scale: f64| if scale == 0.0 { 1.0 } else { scale };
        let count = values.len() as f64;
        match self {
            _ if values.is_empty() => Scale { centre: 0.0, scale: 1.0 },
            Scaling::None => Scale { centre: 0.0, scale: 1.0 },
            Scaling::Standard => {
                let centre = mean(values);
                let variance = values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / count;
                // what rounding alone makes of a constant
                let noise = count * f64::EPSILON * variance + (count * centre * f64::EPSILON).powi(2);
                Scale { centre, scale: if variance <= noise { 1.0 } else { variance.sqrt() } }
            }
            Scaling::MinMax => {
                let least = values.iter().copied().fold(f64::INFINITY, f64::min);
                let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let range = greatest - least;
                Scale { centre: least, scale: if range < 10.0 * f64::EPSILON { 1.0 } else { range } }
            }
            Scaling::Robust => {
                let sorted = sorted(values);
                let range = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
                Scale {
                    centre: quantile(&sorted, 0.5),
                    scale: spread(if range < 10.0 * f64::EPSILON { 0.0 } else { range }),
                }
            }
        }
    }
}

impl Scale {
    /// A value, scaled.
    pub fn apply(self, value: f64) -> f64 {
        (value - self.centre) / self.scale
    }
}

impl Filling {
    /// What stands in; `None` where there is no value to tell.
    pub fn fit(self, values: &[f64]) -> Option<f64> {
        match self {
            Filling::Zero => Some(0.0),
            _ if values.is_empty() => None,
            Filling::Mean => Some(mean(values)),
            Filling::Median => Some(quantile(&sorted(values), 0.5)),
        }
    }
}

/// From how many rows on a category has a column of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LeastRows {
    /// This many.
    Rows(u64),
    /// This share of all rows.
    Share(f64),
}

/// Which categories are rare, given the rows of each: those below `least`, and then those that occur least until no more than
/// `most` columns are left, the one of all rare categories counted. Of equals the later in order are kept.
pub fn rare(counts: &[u64], rows: u64, least: Option<LeastRows>, most: Option<usize>) -> Vec<bool> {
    let mut rare: Vec<bool> = counts
        .iter()
        .map(|&count| match least {
            None => false,
            Some(LeastRows::Rows(least)) => count < least,
            Some(LeastRows::Share(share)) => (count as f64) < rows as f64 * share,
        })
        .collect();
    let columns = rare.iter().filter(|&&rare| !rare).count() + 1;
    if let Some(most) = most.filter(|&most| most < columns) {
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|&at| counts[at]);
        let last = counts.len().saturating_sub(most.saturating_sub(1));
        order.iter().take(last).for_each(|&at| rare[at] = true);
    }
    rare
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// The quantile of sorted values, straight between the two nearest (numpy's `linear`).
pub(super) fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let (left, right) = (sorted[low], sorted[(low + 1).min(sorted.len() - 1)]);
    left + (right - left) * part
}
