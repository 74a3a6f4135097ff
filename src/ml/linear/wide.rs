//! How do passes over rows use the machine's widest vectors? The same loops are compiled for several kinds, and one is chosen at run
//! time.
//!
//! Running sums are arrays of fixed length, folded in a fixed order, and a product is never fused with a sum: the bits are the
//! same on every machine.

use std::ops::{Add, AddAssign, Mul};

use pulp::Simd;

use super::layout::Stored;

/// Runs `work`, compiled for the widest vectors that this machine has. The closure and all that it calls must be marked
/// `#[inline(always)]`: what is compiled by itself is compiled for the vectors that every machine has.
#[inline(always)]
pub(super) fn wide<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The numbers that a pass computes with: f64 for what is reported and for gradients, f32 where a step is only looked for.
pub(super) trait Real:
    Copy + Default + PartialEq + From<f32> + Into<f64> + Add<Output = Self> + Mul<Output = Self> + AddAssign
{
    /// Several of them.
    type Vector<S: Simd>: Copy;

    /// The nearest such number.
    fn of(value: f64) -> Self;
    /// How many are in a vector.
    fn lanes<S: Simd>() -> usize;
    /// A vector of equal numbers.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Vector<S>;
    /// A vector of the first numbers; there must be enough of them.
    fn whole<S: Simd>(values: &[Self]) -> Self::Vector<S>;
    /// A vector of numbers, followed by zeros.
    fn load<S: Simd>(simd: S, values: &[Self]) -> Self::Vector<S>;
    /// Puts down as many numbers as there is place for.
    fn store<S: Simd>(simd: S, vector: Self::Vector<S>, values: &mut [Self]);
    /// Sums.
    fn plus<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// Products.
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
}

macro_rules! real {
    ($type:ident, $vector:ident, $lanes:ident, $splat:ident, $as_simd:ident, $load:ident, $store:ident, $add:ident, $mul:ident) => {
        impl Real for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn of(value: f64) -> Self {
                value as $type
            }

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$vector {
                simd.$splat(value)
            }

            #[inline(always)]
            fn whole<S: Simd>(values: &[Self]) -> S::$vector {
                S::$as_simd(values).0[0]
            }

            #[inline(always)]
            fn load<S: Simd>(simd: S, values: &[Self]) -> S::$vector {
                simd.$load(values)
            }

            #[inline(always)]
            fn store<S: Simd>(simd: S, vector: S::$vector, values: &mut [Self]) {
                simd.$store(values, vector);
            }

            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$add(a, b)
            }

            #[inline(always)]
            fn times<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$mul(a, b)
            }
        }
    };
}

real!(f32, f32s, F32_LANES, splat_f32s, as_simd_f32s, partial_load_f32s, partial_store_f32s, add_f32s, mul_f32s);
real!(f64, f64s, F64_LANES, splat_f64s, as_simd_f64s, partial_load_f64s, partial_store_f64s, add_f64s, mul_f64s);

/// Running sums of a product of two vectors.
const LANES: usize = 32;

/// The sum of running sums. A function by itself: were it inlined, the compiler would shape the loop before it after the order of
/// these few sums, and not after the vectors.
#[inline(never)]
fn folded<T: Real>(lanes: &[T; LANES]) -> T {
    let (mut lanes, mut half) = (*lanes, LANES / 2);
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// `x · v`.
#[inline(always)]
pub(super) fn dense_dot<T: Real>(x: &[f32], v: &[T]) -> T {
    let (xs, x_rest) = x.as_chunks::<LANES>();
    let (vs, v_rest) = v.as_chunks::<LANES>();
    let mut lanes = [T::default(); LANES];
    for (x, v) in xs.iter().zip(vs) {
        for lane in 0..LANES {
            lanes[lane] += T::from(x[lane]) * v[lane];
        }
    }
    for ((lane, &x), &v) in lanes.iter_mut().zip(x_rest).zip(v_rest) {
        *lane += T::from(x) * v;
    }
    folded(&lanes)
}

/// `Σ values_s · v[indices_s]` in four running sums.
#[inline(always)]
pub(super) fn sparse_dot<T: Real>(indices: &[u32], values: &[f32], v: &[T]) -> T {
    let (quads, rest) = indices.as_chunks::<4>();
    let (quad_values, rest_values) = values.as_chunks::<4>();
    let mut lanes = [T::default(); 4];
    for (j, x) in quads.iter().zip(quad_values) {
        for lane in 0..4 {
            lanes[lane] += T::from(x[lane]) * v[j[lane] as usize];
        }
    }
    let mut sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for (&j, &x) in rest.iter().zip(rest_values) {
        sum += T::from(x) * v[j as usize];
    }
    sum
}

/// `Σ value · v[at]` in four running sums.
#[inline(always)]
pub(super) fn stored_dot<T: Real>(stored: &[Stored], v: &[T]) -> T {
    let (quads, rest) = stored.as_chunks::<4>();
    let mut lanes = [T::default(); 4];
    for quad in quads {
        for lane in 0..4 {
            lanes[lane] += T::from(quad[lane].value) * v[quad[lane].at as usize];
        }
    }
    let mut sum = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    for stored in rest {
        sum += T::from(stored.value) * v[stored.at as usize];
    }
    sum
}

/// `out += u₀ x₀ + u₁ x₁ + u₂ x₂ + u₃ x₃`.
#[inline(always)]
pub(super) fn add_rows<T: Real>(u: [T; 4], x: [&[f32]; 4], out: &mut [T]) {
    let [a, b, c, d] = x;
    for ((((out, &a), &b), &c), &d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
        *out += (u[0] * T::from(a) + u[1] * T::from(b)) + (u[2] * T::from(c) + u[3] * T::from(d));
    }
}

/// `out += c₀ x₀² + c₁ x₁² + c₂ x₂² + c₃ x₃²`, element by element.
#[inline(always)]
pub(super) fn add_squares(c: [f64; 4], x: [&[f32]; 4], out: &mut [f64]) {
    let [p, q, r, s] = x;
    for ((((out, &p), &q), &r), &s) in out.iter_mut().zip(p).zip(q).zip(r).zip(s) {
        let [p, q, r, s] = [f64::from(p), f64::from(q), f64::from(r), f64::from(s)];
        *out += (c[0] * p * p + c[1] * q * q) + (c[2] * r * r + c[3] * s * s);
    }
}

/// `y += a · x`.
#[inline(always)]
pub(super) fn axpy<T: Real>(a: T, x: &[T], y: &mut [T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}
