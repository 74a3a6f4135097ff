//! How is a small symmetric system solved? By Cholesky's factor, once for many right-hand sides.

use super::newton::dot;
use super::wide::{axpy, wide};

/// Pivots below this share of the greatest place on the diagonal make a matrix singular.
const SINGULAR: f64 = 1e-13;

/// Puts the lower Cholesky factor in the place of `a`'s lower triangle; `a` is `n × n`, row-major, and only that triangle counts.
/// False if `a` is not positive definite.
pub(super) fn factor(a: &mut [f64], n: usize) -> bool {
    let top = (0..n).map(|j| a[j * n + j]).fold(0.0, f64::max);
    for i in 0..n {
        let (above, line) = a.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..=j * n + j];
            line[j] = (line[j] - dot(&line[..j], &other[..j])) / other[j];
        }
        let left = line[i] - dot(&line[..i], &line[..i]);
        if left <= SINGULAR * top || left.is_nan() {
            return false;
        }
        line[i] = left.sqrt();
    }
    true
}

/// The inverse of the matrix whose lower factor is `l`, `n × n`, row-major.
pub(super) fn inverse(l: &[f64], n: usize) -> Vec<f64> {
    wide(
        #[inline(always)]
        || {
            let mut inverse_l = vec![0.0; n * n];
            for i in 0..n {
                let (above, line) = inverse_l.split_at_mut(i * n);
                for j in 0..i {
                    axpy(-l[i * n + j], &above[j * n..=j * n + j], &mut line[..=j]);
                }
                line[i] = 1.0;
                line[..=i].iter_mut().for_each(
                    #[inline(always)]
                    |x| *x /= l[i * n + i],
                );
            }
            let mut out = vec![0.0; n * n];
            for i in 0..n {
                let line = &inverse_l[i * n..=i * n + i];
                for (j, &x) in line.iter().enumerate() {
                    axpy(x, &line[..=j], &mut out[j * n..=j * n + j]);
                }
            }
            for i in 0..n {
                for j in 0..i {
                    out[j * n + i] = out[i * n + j];
                }
            }
            out
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let n = 37;
        let b: Vec<f64> = (0..n * n).map(|i| ((i * 31 + i * i) % 17) as f64 / 8.0 - 1.0).collect();
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                a[i * n + j] = dot(&b[i * n..][..n], &b[j * n..][..n]) + f64::from(u8::from(i == j));
            }
        }
        let mut l = a.clone();
        assert!(factor(&mut l, n));
        let inverse = inverse(&l, n);
        for i in 0..n {
            for j in 0..n {
                let product = dot(&a[i * n..][..n], &inverse[j * n..][..n]);
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9, "{i} {j} {product}");
            }
        }
    }

    #[test]
    fn a_singular_matrix_is_told() {
        assert!(!factor(&mut [1.0, 2.0, 2.0, 4.0], 2));
        assert!(!factor(&mut [f64::NAN], 1));
    }
}
