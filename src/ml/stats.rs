//! How sure is a number? Means, spreads and intervals over folds, and an interval for a share of rows.

/// The mean; `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample standard deviation (divisor `n − 1`); 0 for one value, `None` without values.
pub fn sample_std(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((squares / (values.len() - 1).max(1) as f64).sqrt())
}

/// `[low, high]` of `mean ± t · s / √n`, Student's t with `n − 1` degrees of freedom; `None` for fewer than two values
/// or a confidence outside (0, 1).
///
/// This is the naive interval: it takes the values as independent draws, which scores of folds are not (they share training
/// rows), so over folds it comes out too narrow. It says how much folds vary, not how a new data set would score.
pub fn t_interval(values: &[f64], confidence: f64) -> Option<[f64; 2]> {
    let (centre, spread) = (mean(values)?, sample_std(values)?);
    let t = t_quantile(values.len() - 1, 0.5 + confidence / 2.0)?;
    let half = t * spread / (values.len() as f64).sqrt();
    Some([centre - half, centre + half])
}

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

/// The `t` below which a share `p` of Student's t with `freedom` degrees of freedom lies, for `p` in (0.5, 1).
///
/// For whole degrees of freedom the distribution has a closed form in `θ = atan(t / √ν)` (Abramowitz & Stegun 26.7.3 and
/// 26.7.4), monotone in `θ`; it is inverted by bisection down to neighbouring floating-point numbers.
fn t_quantile(freedom: usize, p: f64) -> Option<f64> {
    if freedom == 0 || !(p > 0.5 && p < 1.0) {
        return None;
    }
    let within = 2.0 * p - 1.0;
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return Some((freedom as f64).sqrt() * low.tan());
        }
        match t_within(freedom, middle) < within {
            true => low = middle,
            false => high = middle,
        }
    }
}

/// The share of Student's t between `−t` and `t`, at `θ = atan(t / √ν)`.
fn t_within(freedom: usize, theta: f64) -> f64 {
    let (sin, cos) = theta.sin_cos();
    let odd = freedom % 2 == 1;
    let (mut term, mut at) = if odd { (cos, 3) } else { (1.0, 2) };
    let mut sum = 0.0;
    // the terms are cosᵏθ times (2·4·…)/(3·5·…) where ν is odd and (1·3·…)/(2·4·…) where it is even, k up to ν − 2
    while at <= freedom && term > f64::EPSILON * 1e-3 * sum {
        sum += term;
        term *= cos * cos * (at - 1) as f64 / at as f64;
        at += 2;
    }
    match odd {
        true => std::f64::consts::FRAC_2_PI * (theta + sin * sum),
        false => sin * sum,
    }
}

/// The `z` below which a share `p` of the standard normal distribution lies, for `p` in (0, 1): algorithm AS 241, PPND16
/// (Wichura 1988, Applied Statistics 37(3), 477–484), about 16 digits.
fn normal_quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return Some(q * polynomial(&CENTRE.0, r) / polynomial(&CENTRE.1, r));
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let z = match r <= 5.0 {
        true => polynomial(&NEAR.0, r - 1.6) / polynomial(&NEAR.1, r - 1.6),
        false => polynomial(&FAR.0, r - 5.0) / polynomial(&FAR.1, r - 5.0),
    };
    Some(z.copysign(q))
}

/// Horner's rule, constant term first.
fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

type Rational = ([f64; 8], [f64; 8]);

#[expect(clippy::excessive_precision, reason = "the digits as published")]
const CENTRE: Rational = (
    [
        3.387_132_872_796_366_608,
        1.331_416_678_917_843_774_5e2,
        1.971_590_950_306_551_442_7e3,
        1.373_169_376_550_946_112_5e4,
        4.592_195_393_154_987_145_7e4,
        6.726_577_092_700_870_085_3e4,
        3.343_057_558_358_812_810_5e4,
        2.509_080_928_730_122_672_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091_125_2e1,
        6.871_870_074_920_579_083e2,
        5.394_196_021_424_751_107_7e3,
        2.121_379_430_158_659_586_7e4,
        3.930_789_580_009_271_061e4,
        2.872_908_573_572_194_267_4e4,
        5.226_495_278_852_854_561e3,
    ],
);

#[expect(clippy::excessive_precision, reason = "the digits as published")]
const NEAR: Rational = (
    [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_9,
        5.769_497_221_460_691_405_5,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        2.417_807_251_774_506_117_7e-1,
        2.272_384_498_926_918_458_33e-2,
        7.745_450_142_783_414_076_4e-4,
    ],
    [
        1.0,
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_4,
        6.897_673_349_851_000_045_5e-1,
        1.481_039_764_274_800_745_9e-1,
        1.519_866_656_361_645_719_66e-2,
        5.475_938_084_995_344_946e-4,
        1.050_750_071_644_416_843_24e-9,
    ],
);

#[expect(clippy::excessive_precision, reason = "the digits as published")]
const FAR: Rational = (
    [
        6.657_904_643_501_103_777_2,
        5.463_784_911_164_114_369_9,
        1.784_826_539_917_291_335_8,
        2.965_605_718_285_048_912_3e-1,
        2.653_218_952_657_612_309_3e-2,
        1.242_660_947_388_078_438_6e-3,
        2.711_555_568_743_487_578_15e-5,
        2.010_334_399_292_288_132_65e-7,
    ],
    [
        1.0,
        5.998_322_065_558_879_376_9e-1,
        1.369_298_809_227_358_053_1e-1,
        1.487_536_129_085_061_485_25e-2,
        7.868_691_311_456_132_591e-4,
        1.846_318_317_510_054_681_8e-5,
        1.421_511_758_316_445_888_7e-7,
        2.044_263_103_389_939_785_64e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) -> bool {
        (got - want).abs() <= 1e-13 * want.abs().max(1.0)
    }

    /// `scipy.stats.t.ppf` of scipy 1.17.1.
    #[test]
    fn t_quantiles_are_scipys() {
        let known = [
            (1, 0.975, 12.706204736174694),
            (2, 0.975, 4.302652729749462),
            (3, 0.95, 2.3533634348018233),
            (4, 0.975, 2.7764451051977934),
            (4, 0.995, 4.604094871349992),
            (9, 0.975, 2.262157162798205),
            (24, 0.9, 1.3178359336731498),
            (99, 0.975, 1.9842169515864174),
            (1000, 0.975, 1.9623390808264083),
            (1, 0.9995, 636.6192487687897),
        ];
        for (freedom, p, want) in known {
            let got = t_quantile(freedom, p).unwrap();
            assert!((got / want - 1.0).abs() < 1e-11, "{freedom} {p}: {got} for {want}");
        }
        for (freedom, p) in [(0, 0.9), (3, 0.5), (3, 1.0), (3, f64::NAN)] {
            assert_eq!(t_quantile(freedom, p), None);
        }
    }

    /// `scipy.stats.norm.ppf` of scipy 1.17.1.
    #[test]
    fn normal_quantiles_are_scipys() {
        let known = [
            (0.975, 1.959963984540054),
            (0.995, 2.5758293035489004),
            (0.5, 0.0),
            (0.3, -0.5244005127080409),
            (0.001, -3.090232306167813),
            (1e-12, -7.034483825301131),
        ];
        for (p, want) in known {
            let got = normal_quantile(p).unwrap();
            assert!(close(got, want), "{p}: {got} for {want}");
        }
        assert_eq!(normal_quantile(0.0), None);
        assert_eq!(normal_quantile(f64::NAN), None);
    }

    /// numpy and `scipy.stats.t.interval` of scipy 1.17.1.
    #[test]
    fn five_folds_have_scipys_interval() {
        let folds = [0.7729, 0.7569, 0.7848, 0.7629, 0.77];
        assert!(close(mean(&folds).unwrap(), 0.7695));
        assert!(close(sample_std(&folds).unwrap(), 0.010585603431075636));
        let [low, high] = t_interval(&folds, 0.95).unwrap();
        assert!(close(low, 0.7563562373203712) && close(high, 0.782643762679629));
    }

    #[test]
    fn few_values_have_no_interval() {
        assert_eq!((mean(&[]), sample_std(&[]), t_interval(&[], 0.95)), (None, None, None));
        assert_eq!((mean(&[0.5]), sample_std(&[0.5]), t_interval(&[0.5], 0.95)), (Some(0.5), Some(0.0), None));
        assert_eq!(t_interval(&[0.5, 0.5], 0.95), Some([0.5, 0.5]));
        assert_eq!(t_interval(&[0.5, 0.6], 1.0), None);
        assert_eq!(t_interval(&[0.5, 0.6], 0.0), None);
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
