//! How likely is so much by chance? Quantiles and tails of the normal, Student's t, F and binomial distributions.

use crate::ml::select::tail::{chi_squared, f_ratio, incomplete_beta, ln_gamma};

/// P(Z ≤ `z`) of the standard normal distribution.
pub(super) fn normal_below(z: f64) -> f64 {
    let beyond = 0.5 * chi_squared(z * z, 1.0);
    if z > 0.0 { 1.0 - beyond } else { beyond }
}

/// P(|Z| ≥ |`z`|) of the standard normal distribution.
pub(super) fn normal_beyond(z: f64) -> f64 {
    chi_squared(z * z, 1.0)
}

/// P(|T| ≥ |`t`|) of Student's t.
pub(super) fn t_beyond(t: f64, freedom: usize) -> f64 {
    f_ratio(t * t, 1.0, freedom as f64)
}

/// P(F ≥ `x`).
pub(super) fn f_beyond(x: f64, between: f64, within: f64) -> f64 {
    f_ratio(x, between, within)
}

/// P(X ≤ `hits`) and P(X = `hits`) of `tosses` fair tosses.
pub(super) fn fair_tosses(hits: u64, tosses: u64) -> (f64, f64) {
    let (k, n) = (hits as f64, tosses as f64);
    let ways = ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0);
    let exactly = (ways - n * std::f64::consts::LN_2).exp();
    let at_most = if hits >= tosses { 1.0 } else { incomplete_beta(n - k, k + 1.0, 0.5) };
    (at_most, exactly)
}

/// The `t` below which a share `p` of Student's t with `freedom` degrees of freedom lies, for `p` in (0.5, 1).
///
/// For whole degrees of freedom the distribution has a closed form in `θ = atan(t / √ν)` (Abramowitz & Stegun 26.7.3 and
/// 26.7.4), monotone in `θ`; it is inverted by bisection down to neighbouring floating-point numbers.
pub(super) fn t_quantile(freedom: usize, p: f64) -> Option<f64> {
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
pub(super) fn normal_quantile(p: f64) -> Option<f64> {
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
}
