//! What do several tests say together? Holm's step-down correction.

/// `p` values corrected so that the chance of even one false finding among `family` tests is at most the level (Holm 1979, *A simple
/// sequentially rejective multiple test procedure*): the i-th smallest, counted from 0, times `family − i`, made monotone, at most 1.
///
/// A family larger than the list says that other tests might have been looked at: of those the list has the smallest in the worst
/// case, so what is given here is never too small. NaN stays NaN and counts as a test.
pub fn holm(p: &[f64], family: usize) -> Vec<f64> {
    let family = family.max(p.len());
    let mut order: Vec<usize> = (0..p.len()).filter(|&at| !p[at].is_nan()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut adjusted, mut least) = (vec![f64::NAN; p.len()], 0.0f64);
    for (rank, at) in order.into_iter().enumerate() {
        least = least.max(p[at] * (family - rank) as f64).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_family_costs_more_and_nothing_goes_beyond_1() {
        assert_eq!(holm(&[0.01, 0.2], 10), [0.1, 1.0]);
        assert_eq!(holm(&[], 3), [0.0; 0]);
        let adjusted = holm(&[f64::NAN, 0.02], 1);
        assert!(adjusted[0].is_nan() && adjusted[1] == 0.04);
    }
}
