//! How likely is a statistic at least as great as this by chance? The upper tails of χ² and of F.
//!
//! Incomplete gamma and beta functions by their series and continued fractions (Abramowitz and Stegun 6.5.29, 6.5.31, 26.5.8;
//! modified Lentz), the logarithm of the gamma function by Lanczos (g = 7, 9 terms).

/// Terms after which a series is taken as it is; far more than any needs.
const MOST_TERMS: usize = 100_000;
/// Stands for 0 where Lentz's method would divide by it.
const TINY: f64 = 1e-300;

/// P(χ² ≥ `x`) for `freedom` degrees of freedom.
pub(in crate::ml) fn chi_squared(x: f64, freedom: f64) -> f64 {
    upper_gamma(freedom / 2.0, x / 2.0)
}

/// P(F ≥ `x`) for `between` and `within` degrees of freedom.
pub(in crate::ml) fn f_ratio(x: f64, between: f64, within: f64) -> f64 {
    match x {
        _ if x.is_nan() => f64::NAN,
        _ if x <= 0.0 => 1.0,
        _ if x.is_infinite() => 0.0,
        _ => incomplete_beta(within / 2.0, between / 2.0, within / (within + between * x)),
    }
}

/// The regularised upper incomplete gamma function Q(a, x).
fn upper_gamma(a: f64, x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    if x.is_infinite() {
        return 0.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..MOST_TERMS {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * f64::EPSILON {
                break;
            }
        }
        return 1.0 - front * sum;
    }
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / TINY, 1.0 / b);
    let mut fraction = d;
    for i in 1..MOST_TERMS {
        let an = -(i as f64) * (i as f64 - a);
        b += 2.0;
        d = 1.0 / away_from_zero(an * d + b);
        c = away_from_zero(b + an / c);
        fraction *= c * d;
        if (c * d - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    front * fraction
}

/// The regularised incomplete beta function I_x(a, b).
pub(in crate::ml) fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, 1.0 - x) / b
    }
}

fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..MOST_TERMS {
        let m = m as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            step = c * d;
            fraction *= step;
        }
        if (step - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    fraction
}

fn away_from_zero(value: f64) -> f64 {
    if value.abs() < TINY { TINY } else { value }
}

/// ln Γ(x) for x above 0.
pub(in crate::ml) fn ln_gamma(x: f64) -> f64 {
    const LANCZOS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum = LANCZOS.iter().zip(1..).fold(0.999_999_999_999_809_9, |sum, (c, i)| sum + c / (x + f64::from(i)));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!((got - want).abs() <= 1e-9 * want.abs(), "{got} is not {want}");
    }

    /// scipy: `special.chdtrc(freedom, x)`.
    #[test]
    fn tails_of_chi_squared_are_scipys() {
        for (x, freedom, tail) in [
            (0.5, 1.0, 0.47950012218695337),
            (3.84, 1.0, 0.05004352124870519),
            (100.0, 1.0, 1.5239706048320995e-23),
            (700.0, 1.0, 2.990226975124623e-154),
            (0.001, 2.0, 0.9995001249791693),
            (5.0, 76.0, 1.0),
            (76.0, 76.0, 0.4784247042568704),
            (200.0, 76.0, 4.252358647649913e-13),
            (10000.0, 9999.0, 0.4952983945386835),
        ] {
            close(chi_squared(x, freedom), tail);
        }
        assert_eq!((chi_squared(0.0, 3.0), chi_squared(f64::INFINITY, 3.0)), (1.0, 0.0));
    }

    /// scipy: `special.fdtrc(between, within, x)`.
    #[test]
    fn tails_of_f_are_scipys() {
        for (x, between, within, tail) in [
            (0.1, 1.0, 8482.0, 0.7518374153581168),
            (3.84, 1.0, 8482.0, 0.050076222694500995),
            (250.0, 1.0, 8482.0, 1.6046635650473965e-55),
            (1.0, 1.0, 1.0, 0.5000000000000001),
            (1.3, 76.0, 10000.0, 0.04129778636463637),
            (0.7, 76.0, 10000.0, 0.978001500622595),
            (2.0, 3.0, 10.0, 0.17800740737517542),
            (1e-06, 2.0, 4.0, 0.99999900000075),
            (900.0, 1.0, 100000.0, 7.37853687222276e-197),
        ] {
            close(f_ratio(x, between, within), tail);
        }
        assert_eq!((f_ratio(0.0, 1.0, 9.0), f_ratio(f64::INFINITY, 1.0, 9.0)), (1.0, 0.0));
    }
}
