//! How do weights follow their gradient? Adam (Kingma and Ba, 2015), with the corrections for its first steps in the step's length.

use rayon::prelude::*;

use super::Mlp;

/// Running means of some parameters' gradient and of its square.
pub(super) struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

/// One step's numbers.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    rate: f32,
    keep: f32,
    keep_square: f32,
    epsilon: f32,
}

/// About how many parameters go together.
const TOGETHER: usize = 1 << 14;
const LANES: usize = 8;

impl Pace {
    /// Of step `step`, from 1.
    pub(super) fn of(mlp: &Mlp, step: u64) -> Pace {
        let (one, two) = (1.0 - mlp.beta_1.powf(step as f64), 1.0 - mlp.beta_2.powf(step as f64));
        Pace {
            rate: (mlp.learning_rate_init * two.sqrt() / one) as f32,
            keep: mlp.beta_1 as f32,
            keep_square: mlp.beta_2 as f32,
            epsilon: mlp.epsilon as f32,
        }
    }

    /// Moves one parameter by its slope.
    #[inline(always)]
    fn step(self, value: &mut f32, first: &mut f32, second: &mut f32, slope: f32) {
        *first = self.keep * *first + (1.0 - self.keep) * slope;
        *second = self.keep_square * *second + (1.0 - self.keep_square) * (slope * slope);
        *value -= self.rate * *first / (second.sqrt() + self.epsilon);
    }
}

impl Moments {
    /// Zeros, for `count` parameters.
    pub(super) fn new(count: usize) -> Moments {
        Moments { first: vec![0.0; count], second: vec![0.0; count] }
    }

    /// Moves the weights of a layer (rows of `width`) by their gradient, which `gradient` gives row by row (`None`: zero), and by
    /// `penalty` times themselves. Returns the sum of their squares before. Rows go in parallel on rayon's current pool, in portions that do
    /// not depend on it.
    pub(super) fn follow<'g>(
        &mut self,
        weights: &mut [f32],
        width: usize,
        gradient: impl Fn(usize) -> Option<&'g [f32]> + Sync,
        penalty: f32,
        pace: Pace,
    ) -> f64 {
        let (none, rows) = (vec![0.0; width], TOGETHER.div_ceil(width));
        let portion = |at: usize, weights: &mut [f32], first: &mut [f32], second: &mut [f32]| {
            let moments = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
            let mut squares = 0.0;
            for (row, (weights, (first, second))) in weights.chunks_exact_mut(width).zip(moments).enumerate() {
                let slopes = gradient(at * rows + row).unwrap_or(&none);
                squares += f64::from(follow_row(weights, first, second, slopes, penalty, pace));
            }
            squares
        };
        if weights.len() <= rows * width {
            return portion(0, weights, &mut self.first, &mut self.second);
        }
        let size = rows * width;
        let moments = self.first.par_chunks_mut(size).zip(self.second.par_chunks_mut(size));
        let squares = weights.par_chunks_mut(size).zip(moments).enumerate();
        let squares = squares.map(|(at, (weights, (first, second)))| portion(at, weights, first, second));
        squares.collect::<Vec<f64>>().iter().sum()
    }

    /// Moves biases by their gradient; they are not penalised.
    pub(super) fn follow_bias(&mut self, bias: &mut [f32], gradient: &[f32], pace: Pace) {
        follow_row(bias, &mut self.first, &mut self.second, gradient, 0.0, pace);
    }
}

/// Moves some weights; the sum of their squares before.
fn follow_row(
    weights: &mut [f32],
    first: &mut [f32],
    second: &mut [f32],
    slopes: &[f32],
    penalty: f32,
    pace: Pace,
) -> f32 {
    let (weights, last) = weights.as_chunks_mut::<LANES>();
    let (first, last_first) = first.as_chunks_mut::<LANES>();
    let (second, last_second) = second.as_chunks_mut::<LANES>();
    let (slopes, last_slopes) = slopes.as_chunks::<LANES>();
    let mut squares = [0.0; LANES];
    for ((w, g), (m, v)) in weights.iter_mut().zip(slopes).zip(first.iter_mut().zip(second)) {
        for lane in 0..LANES {
            squares[lane] += w[lane] * w[lane];
            let slope = g[lane] + penalty * w[lane];
            pace.step(&mut w[lane], &mut m[lane], &mut v[lane], slope);
        }
    }
    for ((w, g), (m, v)) in last.iter_mut().zip(last_slopes).zip(last_first.iter_mut().zip(last_second)) {
        squares[0] += *w * *w;
        let slope = g + penalty * *w;
        pace.step(w, m, v, slope);
    }
    squares.iter().sum()
}
