//! Do tests and intervals agree with scipy, statsmodels and mlxtend? `tests/reference/make_statistics.py` has made the numbers.

use serde_json::Value;

use super::distributions::{f_beyond, normal_below, normal_beyond, t_beyond};
use super::*;

const REFERENCE: &str = include_str!("../../../tests/reference/statistics.json");

fn cases(of: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(REFERENCE).unwrap();
    all.pointer(of).and_then(Value::as_array).unwrap_or_else(|| panic!("no {of}")).clone()
}

fn number(of: &Value) -> f64 {
    of.as_f64().unwrap_or_else(|| panic!("{of} is no number"))
}

fn numbers(of: &Value) -> Vec<f64> {
    of.as_array().unwrap().iter().map(number).collect()
}

#[track_caller]
fn close(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-9 * want.abs().max(1e-30), "{got} for {want}");
}

#[test]
fn tails_are_scipys() {
    for case in cases("/tails/normal") {
        let [z, below, beyond] = numbers(&case)[..] else { panic!("{case}") };
        close(normal_below(z), below);
        close(normal_beyond(z), beyond);
    }
    for case in cases("/tails/t") {
        let [t, freedom, beyond] = numbers(&case)[..] else { panic!("{case}") };
        close(t_beyond(t, freedom as usize), beyond);
    }
    for case in cases("/tails/f") {
        let [x, between, within, beyond] = numbers(&case)[..] else { panic!("{case}") };
        close(f_beyond(x, between, within), beyond);
    }
}

#[test]
fn mcnemar_is_statsmodels_and_mlxtends() {
    for case in cases("/mcnemar") {
        let [first, second, exact, mid] = numbers(&case)[..] else { panic!("{case}") };
        let found = mcnemar(first as u64, second as u64);
        close(found.exact, exact);
        close(found.mid, mid);
    }
}

#[test]
fn holm_is_statsmodels() {
    for case in cases("/holm") {
        let (p, want) = (numbers(&case[0]), numbers(&case[1]));
        for (got, want) in holm(&p, p.len()).into_iter().zip(want) {
            close(got, want);
        }
    }
}

#[test]
fn wilson_is_statsmodels() {
    for case in cases("/wilson") {
        let [hits, rows, low, high, confidence] = numbers(&case)[..] else { panic!("{case}") };
        let got = wilson_interval(hits as usize, rows as usize, confidence).unwrap();
        close(got[0], low);
        close(got[1], high);
    }
}

#[test]
fn the_corrected_t_is_its_formula_by_scipy() {
    for case in cases("/corrected_t") {
        let [std_error, p, low, high] = numbers(&Value::from(case.as_array().unwrap()[2..].to_vec()))[..] else {
            panic!("{case}")
        };
        let found = corrected_t(&numbers(&case[0]), number(&case[1])).unwrap();
        close(found.std_error, std_error);
        close(found.p, p);
        let interval = found.interval(0.95).unwrap();
        close(interval[0], low);
        close(interval[1], high);
        assert!((found.p_value(high) - 0.05).abs() < 1e-9);
    }
}

#[test]
fn five_by_two_is_mlxtends() {
    for case in cases("/five_by_two") {
        let folds: Vec<f64> = case[0].as_array().unwrap().iter().flat_map(numbers).collect();
        let differences: [[f64; 2]; 5] = std::array::from_fn(|repeat| [folds[2 * repeat], folds[2 * repeat + 1]]);
        let found = five_by_two(&differences).unwrap();
        for (got, at) in [(found.t, 1), (found.t_p, 2), (found.f, 3), (found.f_p, 4)] {
            close(got, number(&case[at]));
        }
    }
}

/// The ratio of two means, which is biased and skewed; the mean of the first column if there is no second.
struct Ratio(Vec<f64>, Option<Vec<f64>>);

impl Scored for Ratio {
    fn width(&self) -> usize {
        1
    }

    fn score(&self, weights: &[u32], into: &mut [f64]) {
        let sum = |of: &[f64]| of.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum::<f64>();
        let below = self.1.as_ref().map_or_else(|| sum(&vec![1.0; weights.len()]), |below| sum(below));
        into[0] = sum(&self.0) / below;
    }
}

/// scipy's bounds come from 100 000 resamples and a jackknife of single rows. Ours, of 20 000, vary by about 1% of their width.
#[test]
fn bootstrap_bounds_are_scipys() {
    let skewed: Vec<f64> = (0..40).map(|i| (f64::from(i * 7 % 40) / 40.0 + 0.0125).powi(3) * 10.0).collect();
    let other: Vec<f64> = (0..40).map(|i| f64::from(i * 11 % 40) / 40.0 + 0.5).collect();
    let of = |ratio: Ratio| resample(&[&ratio], &Units::alike(40), 20_000, 3).remove(0).remove(0);
    let (mean, ratio) = (of(Ratio(skewed.clone(), None)), of(Ratio(skewed, Some(other))));
    let found = [
        ("/bootstrap/BCa", mean.interval(0.95), &mean),
        ("/bootstrap/percentile", mean.percentile_interval(0.95), &mean),
        ("/bootstrap/ratio", ratio.interval(0.95), &ratio),
    ];
    for (name, got, replicates) in found {
        let want = numbers(&Value::from(cases(name)));
        let ([low, high], width) = (got.unwrap(), want[1] - want[0]);
        assert!(
            (low - want[0]).abs() < 0.025 * width && (high - want[1]).abs() < 0.025 * width,
            "{name}: {low} {high}"
        );
        assert!((replicates.std_error().unwrap() / want[2] - 1.0).abs() < 0.02, "{name}");
    }
}
