//! Where do the numbers lie? On cache lines, in rows padded with zeros to whole steps.
//!
//! The padding is zero and stays zero: a product of zeros adds nothing, and what comes out of padded weights is zero again. So
//! nothing here has a tail.

use std::ops::{Deref, DerefMut};

/// Numbers that are worked on at a stretch; a multiple of every vector's length.
pub(super) const STEP: usize = 32;
/// Numbers on a cache line.
const LINE: usize = 16;

/// The least multiple of [`STEP`] that holds so many.
pub(super) fn padded(count: usize) -> usize {
    count.next_multiple_of(STEP)
}

/// Numbers (f32, or pairs of bf16 as u32) that begin on a cache line.
#[derive(Debug, Default)]
pub(super) struct Aligned<T = f32> {
    values: Vec<T>,
    start: usize,
    length: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// So many zeros.
    pub(super) fn zeros(length: usize) -> Self {
        let mut aligned = Aligned { values: Vec::new(), start: 0, length: 0 };
        aligned.fit(length);
        aligned
    }

    /// Makes place for so many numbers. What was there is kept where the place suffices; new numbers are zero.
    pub(super) fn fit(&mut self, length: usize) {
        if self.values.len() < length + LINE {
            self.values = vec![T::default(); length + LINE];
            // `usize::MAX` where it cannot be known: then any place serves
            self.start = self.values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        }
        self.length = length;
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.values[self.start..self.start + self.length]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values[self.start..self.start + self.length]
    }
}

/// A matrix by rows, each on cache lines of its own and padded with zeros.
#[derive(Debug, Default)]
pub(super) struct Rows {
    values: Aligned,
    width: usize,
    stride: usize,
}

impl Rows {
    /// Takes the shape `count × width`. The numbers are whatever was there, but zero in the padding.
    pub(super) fn shape(&mut self, count: usize, width: usize) {
        let lines = padded(width) / LINE;
        // an odd number of lines, so that neighbouring rows do not crowd the same sets of the cache
        let stride = (lines | 1) * LINE;
        if (width, stride) != (self.width, self.stride) {
            self.values = Aligned::default();
            (self.width, self.stride) = (width, stride);
        }
        self.values.fit(count * stride);
    }

    /// Numbers from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// A row with its padding.
    pub(super) fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.stride..][..padded(self.width)]
    }

    /// A row with its padding.
    pub(super) fn row_mut(&mut self, at: usize) -> &mut [f32] {
        &mut self.values[at * self.stride..][..padded(self.width)]
    }

    /// All numbers from a row on.
    pub(super) fn rest(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..]
    }

    /// All numbers from a row on.
    pub(super) fn rest_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride..]
    }
}
