//! How are dense matrices multiplied? By candle, on one thread.

use candle_core::{Device, Error, Tensor};

use super::super::linear::FitError;

/// Keeps every product of this process on its caller's thread. Its bits are the same either way, but a product inside a fold must not call
/// for threads of its own.
pub(super) fn stay_on_one_thread() {
    gemm::set_threading_threshold(usize::MAX);
}

/// A matrix of `values.len() / cols` rows, row-major.
pub(super) fn matrix(values: Vec<f32>, cols: usize) -> Result<Tensor, FitError> {
    let rows = values.len().checked_div(cols).unwrap_or_default();
    Tensor::from_vec(values, (rows, cols), &Device::Cpu).map_err(refused)
}

/// The product, row-major.
pub(super) fn product(left: &Tensor, right: &Tensor) -> Result<Vec<f32>, FitError> {
    values(&left.matmul(right).map_err(refused)?)
}

/// What the matrix holds, row-major.
pub(super) fn values(matrix: &Tensor) -> Result<Vec<f32>, FitError> {
    matrix.flatten_all().and_then(|values| values.to_vec1()).map_err(refused)
}

/// The matrix with rows and columns exchanged.
pub(super) fn turned(matrix: &Tensor) -> Result<Tensor, FitError> {
    matrix.t().map_err(refused)
}

fn refused(error: Error) -> FitError {
    FitError::Product { message: error.to_string() }
}
