//! Between which bounds may a share of rows lie? Wilson's interval.

use super::distributions::normal_quantile;

/// Wilson's score interval `[low, high]` for a share, from `hits` among `rows` independent rows (Wilson 1927, without
/// continuity correction); `None` without rows, for more hits than rows, or a confidence outside (0, 1).
pub fn wilson_interval(hits: usize, rows: usize, confidence: f64) -> Option<[f64; 2]> {
    if rows == 0 || hits > rows {
        return None;
    }
    let z = normal_quantile(0.5 + confidence / 2.0).filter(|&z| z > 0.0)?;
    let (n, share) = (rows as f64, hits as f64 / rows as f64);
    let scale = 1.0 / (1.0 + z * z / n);
    let centre = (share + z * z / (2.0 * n)) * scale;
    let half = z * scale * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let low = if hits == 0 { 0.0 } else { centre - half };
    let high = if hits == rows { 1.0 } else { centre + half };
    Some([low, high])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) -> bool {
        (got - want).abs() <= 1e-13 * want.abs().max(1.0)
    }

    /// `scipy.stats.binomtest(hits, rows).proportion_ci(confidence, method="wilson")` of scipy 1.17.1.
    #[test]
    fn wilsons_interval_is_scipys() {
        let known = [
            (8, 10, 0.95, [0.4901624715366418, 0.9433178485456248]),
            (0, 20, 0.95, [0.0, 0.16112515805281935]),
            (20, 20, 0.95, [0.8388748419471808, 1.0]),
            (8135, 10568, 0.99, [0.7590611839759547, 0.7801536499879849]),
        ];
        for (hits, rows, confidence, want) in known {
            let got = wilson_interval(hits, rows, confidence).unwrap();
            assert!(close(got[0], want[0]) && close(got[1], want[1]), "{hits}/{rows}: {got:?}");
        }
        assert_eq!(wilson_interval(0, 0, 0.95), None);
        assert_eq!(wilson_interval(3, 2, 0.95), None);
        assert_eq!(wilson_interval(1, 2, 1.0), None);
        assert_eq!(wilson_interval(1, 2, 0.0), None);
    }
}
