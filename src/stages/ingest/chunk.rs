//! How do rows become tables? Some at a time; how many changes nothing.

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};

use crate::stage::{Emit, StageError};
use crate::table;
use crate::table::spans::{Span, Spans};
use crate::table::target::{TargetBuilder, TargetColumns, TargetRow};

/// A chunk is handed on once it has so many rows, or so many bytes of text.
const ROWS: usize = 8 * 1024;
const BYTES: usize = 4 << 20;

/// The tokens of a row, and what is marked among them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentence<'r> {
    pub(super) tokens: &'r [String],
    pub(super) spans: &'r [Span],
}

/// Rows that have not been handed on yet.
pub(super) struct Chunk {
    row_id: StringBuilder,
    text: StringBuilder,
    target: TargetBuilder,
    /// Bytes replaced, if they are counted.
    replaced: Option<Int64Builder>,
    /// Tokens and spans, if some rows are sentences.
    spans: Option<Spans>,
    rows: usize,
    bytes: usize,
}

impl Chunk {
    /// Without rows.
    pub(super) fn new(target: TargetColumns, counts_replaced: Option<Int64Builder>, with_spans: Option<Spans>) -> Self {
        Chunk {
            row_id: StringBuilder::new(),
            text: StringBuilder::new(),
            target: TargetBuilder::new(target),
            replaced: counts_replaced,
            spans: with_spans,
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds a row, of which so many bytes were replaced.
    pub(super) fn push(
        &mut self,
        row_id: &str,
        text: &str,
        target: TargetRow<'_>,
        replaced: i64,
        sentence: Option<Sentence<'_>>,
    ) {
        self.row_id.append_value(row_id);
        self.text.append_value(text);
        self.target.push(target);
        if let Some(counts) = &mut self.replaced {
            counts.append_value(replaced);
        }
        if let Some(all) = &mut self.spans {
            let (tokens, spans) = sentence.map(|s| (s.tokens.to_vec(), s.spans.to_vec())).unwrap_or_default();
            all.row_id.push(row_id.to_owned());
            all.tokens.push(tokens);
            all.spans.push(spans);
        }
        self.rows += 1;
        self.bytes += text.len();
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= ROWS || self.bytes >= BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Hands the rows on.
    pub(super) fn flush(&mut self, to: &mut dyn Emit) -> Result<(), StageError> {
        let row_ids = self.row_id.finish();
        to.emit("text", table::text::of_columns(row_ids.clone(), self.text.finish()).map_err(StageError::caused)?)?;
        to.emit("target", self.target.finish(row_ids.clone()).map_err(StageError::caused)?)?;
        if let Some(counts) = &mut self.replaced {
            let ids: ArrayRef = std::sync::Arc::new(row_ids);
            let counts: ArrayRef = std::sync::Arc::new(counts.finish());
            let columns = [("row_id", ids, false), ("replaced", counts, false)];
            to.emit("notes", RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)?)?;
        }
        if let Some(all) = &mut self.spans {
            to.emit("spans", std::mem::take(all).to_table().map_err(StageError::caused)?)?;
        }
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}
