//! What are the eigenvalues and eigenvectors of a symmetric matrix? Householder's reduction to three diagonals, then implicit QL.
//!
//! After `tred2` and `tql2` (Bowdler, Martin, Reinsch and Wilkinson 1968; EISPACK), arranged so that inner loops run along rows.

use super::tall::{Matrix, dot};

/// Most QL steps for one eigenvalue; a handful is usual.
const MOST_STEPS: usize = 60;

/// Eigenvalues, greatest first, and their eigenvectors as rows. Only the lower triangle of `a` counts.
/// `None` if a value is not finite.
pub(super) fn symmetric(mut a: Matrix) -> Option<(Vec<f64>, Matrix)> {
    if a.values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let n = a.rows;
    for i in 0..n {
        for j in 0..i {
            a.values[j * n + i] = a.values[i * n + j];
        }
    }
    let (mut diagonal, mut beside, reflectors) = three_diagonals(&mut a);
    let mut vectors = Matrix::zeros(n, n);
    (0..n).for_each(|i| vectors.values[i * n + i] = 1.0);
    implicit_ql(&mut diagonal, &mut beside, &mut vectors)?;
    // A = H₀ H₁ … T … H₁ H₀: the eigenvectors of T are reflected back, last reflector first
    for vector in vectors.values.chunks_mut(n.max(1)) {
        for (first, v) in reflectors.iter().enumerate().rev() {
            reflect(&mut vector[first + 1..], v);
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| diagonal[j].total_cmp(&diagonal[i]));
    let sorted = order.iter().flat_map(|&i| vectors.row(i)).copied().collect();
    Some((order.iter().map(|&i| diagonal[i]).collect(), Matrix { rows: n, cols: n, values: sorted }))
}

/// `x − 2 v (v·x)`; `v` of length 1, or empty for none.
fn reflect(x: &mut [f64], v: &[f64]) {
    if !v.is_empty() {
        let along = 2.0 * dot(x, v);
        x.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
    }
}

/// The diagonal, what stands beside it, and the unit vectors of the reflections (number `k` acts on rows past `k`).
fn three_diagonals(a: &mut Matrix) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let n = a.rows;
    let mut beside = vec![0.0; n];
    let mut reflectors = Vec::with_capacity(n);
    for k in 0..n.saturating_sub(1) {
        let from = k + 1;
        let mut v: Vec<f64> = a.row(k)[from..].to_vec();
        let most = v.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        if n - from == 1 || v[1..].iter().all(|&value| value == 0.0) {
            beside[k] = v[0];
            reflectors.push(Vec::new());
            continue;
        }
        v.iter_mut().for_each(|value| *value /= most);
        let length = dot(&v, &v).sqrt();
        let head = if v[0] > 0.0 { -length } else { length };
        beside[k] = head * most;
        v[0] -= head;
        let unit = dot(&v, &v).sqrt();
        v.iter_mut().for_each(|value| *value /= unit);
        // A ← H A H for the rest: A − 2 v wᵀ − 2 w vᵀ with w = A v − (v·A v) v
        let mut w: Vec<f64> = (from..n).map(|row| dot(&a.row(row)[from..], &v)).collect();
        let along = dot(&w, &v);
        w.iter_mut().zip(&v).for_each(|(w, v)| *w -= along * v);
        for row in from..n {
            let (vi, wi) = (2.0 * v[row - from], 2.0 * w[row - from]);
            let values = &mut a.values[row * n + from..(row + 1) * n];
            for ((value, v), w) in values.iter_mut().zip(&v).zip(&w) {
                *value -= vi * w + wi * v;
            }
        }
        reflectors.push(v);
    }
    ((0..n).map(|i| a.values[i * n + i]).collect(), beside, reflectors)
}

/// Makes `diagonal` the eigenvalues, turning the rows of `vectors` along. `beside[i]` stands between `i` and `i + 1`.
fn implicit_ql(diagonal: &mut [f64], beside: &mut [f64], vectors: &mut Matrix) -> Option<()> {
    let n = diagonal.len();
    for low in 0..n {
        for step in 0.. {
            let small = |i: &usize| {
                let near = diagonal[*i].abs() + diagonal[*i + 1].abs();
                beside[*i].abs() <= f64::EPSILON * near
            };
            let high = (low..n - 1).find(small).unwrap_or(n - 1);
            if high == low {
                break;
            }
            if step == MOST_STEPS {
                return None;
            }
            let mut g = (diagonal[low + 1] - diagonal[low]) / (2.0 * beside[low]);
            let r = (g * g + 1.0).sqrt();
            g = diagonal[high] - diagonal[low] + beside[low] / (g + r.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (low..high).rev() {
                let (f, b) = (s * beside[i], c * beside[i]);
                let r = (f * f + g * g).sqrt();
                beside[i + 1] = r;
                if r == 0.0 {
                    diagonal[i + 1] -= p;
                    beside[high] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = diagonal[i + 1] - p;
                let turn = (diagonal[i] - g) * s + 2.0 * c * b;
                p = s * turn;
                diagonal[i + 1] = g + p;
                g = c * turn - b;
                let (upper, lower) = vectors.values.split_at_mut((i + 1) * n);
                for (x, y) in upper[i * n..].iter_mut().zip(&mut lower[..n]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
            if !split {
                diagonal[low] -= p;
                beside[low] = g;
                beside[high] = 0.0;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ml::Rng;

    fn check(a: &Matrix, tolerance: f64) -> Vec<f64> {
        let n = a.rows;
        let (values, vectors) = symmetric(a.clone()).unwrap();
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        for (i, value) in values.iter().enumerate() {
            for row in 0..n {
                let image = dot(a.row(row), vectors.row(i));
                assert!((image - value * vectors.row(i)[row]).abs() < tolerance);
            }
            for j in 0..=i {
                let expected = f64::from(u8::from(i == j));
                assert!((dot(vectors.row(i), vectors.row(j)) - expected).abs() < 1e-12);
            }
        }
        values
    }

    #[test]
    fn vectors_are_turned_into_multiples_of_themselves() {
        let mut rng = Rng::seeded(3);
        for n in [1, 2, 3, 10, 61] {
            let mut a = Matrix::zeros(n, n);
            for i in 0..n {
                for j in 0..=i {
                    let value = rng.uniform() - 0.5;
                    (a.values[i * n + j], a.values[j * n + i]) = (value, value);
                }
            }
            check(&a, 1e-13 * n as f64);
        }
    }

    #[test]
    fn repeated_and_zero_eigenvalues_are_found() {
        let ones = Matrix { rows: 5, cols: 5, values: vec![1.0; 25] };
        let values = check(&ones, 1e-14);
        assert!((values[0] - 5.0).abs() < 1e-14 && values[1..].iter().all(|value| value.abs() < 1e-14));
        assert_eq!(check(&Matrix::zeros(4, 4), 0.0 + 1e-300), [0.0; 4]);
        assert_eq!(symmetric(Matrix { rows: 1, cols: 1, values: vec![f64::NAN] }), None);
        assert_eq!(symmetric(Matrix::zeros(0, 0)), Some((vec![], Matrix::zeros(0, 0))));
    }
}
