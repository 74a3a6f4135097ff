//! How are dense rows multiplied with the weights of many classes at the speed of the processor? In tiles that stay in registers.
//!
//! Every sum runs along its rows or columns one after the other, whatever the tile and the vectors' width: a row's bits do not depend
//! on its place, nor on the machine.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::wide::Real;

/// Rows of a tile; it is two vectors wide.
const HIGH: usize = 4;

/// `T += X·V`: `X` is `rows × d`, `V` `d × k`, `T` `rows × k`, all row-major.
pub(super) fn times<T: Real>(x: &[T], d: usize, v: &[T], k: usize, t: &mut [T]) {
    if d > 0 && k > 0 {
        let factor = |j: usize, row: usize| x[row * d + j];
        pulp::Arch::new().dispatch(Sums { count: d, factor, v, k, out: t });
    }
}

/// `OUT += Xᵀ·U`: `X` is `rows × d`, `U` `rows × k`, `OUT` `d × k`, all row-major.
pub(super) fn add_transposed<T: Real>(x: &[T], d: usize, u: &[T], k: usize, out: &mut [T]) {
    if d > 0 && k > 0 {
        let factor = |row: usize, j: usize| x[row * d + j];
        pulp::Arch::new().dispatch(Sums { count: u.len() / k, factor, v: u, k, out });
    }
}

/// `OUT_r += Σ_i factor(i, r) · V_i` over `count` rows of `V`; `V` and `OUT` have `k` columns.
struct Sums<'a, T, F> {
    count: usize,
    factor: F,
    v: &'a [T],
    k: usize,
    out: &'a mut [T],
}

impl<T: Real, F: Fn(usize, usize) -> T> WithSimd for Sums<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sums { count, factor, v, k, out } = self;
        for from in (0..k).step_by(2 * T::lanes::<S>()) {
            let mut at = 0;
            let mut lines = out.chunks_exact_mut(k * HIGH);
            for out in &mut lines {
                let tile = Tile::<S, T, HIGH> { simd, from, k, of: PhantomData };
                tile.sum(
                    count,
                    #[inline(always)]
                    |i, h| factor(i, at + h),
                    v,
                    out,
                );
                at += HIGH;
            }
            for out in lines.into_remainder().chunks_exact_mut(k) {
                let tile = Tile::<S, T, 1> { simd, from, k, of: PhantomData };
                tile.sum(
                    count,
                    #[inline(always)]
                    |i, _| factor(i, at),
                    v,
                    out,
                );
                at += 1;
            }
        }
    }
}

/// `H` rows of two vectors' width, from column `from` of `k` on.
struct Tile<S, T, const H: usize> {
    simd: S,
    from: usize,
    k: usize,
    of: PhantomData<T>,
}

impl<S: Simd, T: Real, const H: usize> Tile<S, T, H> {
    #[inline(always)]
    fn add(&self, sums: &mut [[T::Vector<S>; 2]; H], v: [T::Vector<S>; 2], factor: impl Fn(usize) -> T) {
        let simd = self.simd;
        for (h, sums) in sums.iter_mut().enumerate() {
            let x = T::splat(simd, factor(h));
            sums[0] = T::plus(simd, sums[0], T::times(simd, x, v[0]));
            sums[1] = T::plus(simd, sums[1], T::times(simd, x, v[1]));
        }
    }

    /// `OUT_h += Σ_i factor(i, h) · V_i` over `count` rows of `V`; `V` and `OUT` have `k` columns.
    #[inline(always)]
    fn sum(&self, count: usize, factor: impl Fn(usize, usize) -> T, v: &[T], out: &mut [T]) {
        let Tile { simd, from, k, .. } = *self;
        let lanes = T::lanes::<S>();
        let to = (from + 2 * lanes).min(k);
        let mut sums = [[T::splat(simd, T::default()); 2]; H];
        let middle = (from + lanes).min(to);
        if to - from == 2 * lanes {
            for i in 0..count {
                let v = &v[i * k + from..i * k + to];
                let v = [T::whole::<S>(&v[..lanes]), T::whole::<S>(&v[lanes..])];
                self.add(
                    &mut sums,
                    v,
                    #[inline(always)]
                    |h| factor(i, h),
                );
            }
        } else {
            for i in 0..count {
                let v = &v[i * k..i * k + to];
                let v = [T::load(simd, &v[from..middle]), T::load(simd, &v[middle..])];
                self.add(
                    &mut sums,
                    v,
                    #[inline(always)]
                    |h| factor(i, h),
                );
            }
        }
        for (sums, out) in sums.iter().zip(out.chunks_exact_mut(k)) {
            for (&sum, span) in sums.iter().zip([from..middle, middle..to]) {
                let out = &mut out[span];
                T::store(simd, T::plus(simd, T::load(simd, out), sum), out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_give_the_sums_of_single_products() {
        for (rows, d, k) in [(1, 3, 1), (5, 3, 15), (4, 9, 16), (9, 5, 17), (3, 4, 32), (6, 6, 77), (2, 0, 3)] {
            let x: Vec<f64> = (0..rows * d).map(|i| (i * 7 % 11) as f64 - 4.0).collect();
            let v: Vec<f64> = (0..d * k).map(|i| (i * 5 % 13) as f64 - 6.0).collect();
            let u: Vec<f64> = (0..rows * k).map(|i| (i * 3 % 17) as f64 - 8.0).collect();
            let (mut t, mut out) = (vec![1.0; rows * k], vec![2.0; d * k]);
            times(&x, d, &v, k, &mut t);
            add_transposed(&x, d, &u, k, &mut out);
            for class in 0..k {
                for row in 0..rows {
                    let sum: f64 = (0..d).map(|j| x[row * d + j] * v[j * k + class]).sum();
                    assert_eq!(t[row * k + class], 1.0 + sum);
                }
                for j in 0..d {
                    let sum: f64 = (0..rows).map(|row| x[row * d + j] * u[row * k + class]).sum();
                    assert_eq!(out[j * k + class], 2.0 + sum);
                }
            }
        }
    }
}
