//! How much of each text will the model not see? Its tokenizer alone says.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};

use super::params::Level;
use super::{Given, failed, needs, read};
use crate::fetch;
use crate::model::{EncodeOptions, TextCutter};
use crate::stage::{
    Conclusion, Ctx, FileNeed, Files, Mapped, Mapper, Parts, Port, Refusal, RowWise, Stage, StageError, Totals,
};

/// Gives `notes` (row_id, tokens_lost).
pub(super) struct Survey {
    pub(super) files: Vec<(String, fetch::Spec)>,
    pub(super) level: Level,
    pub(super) options: EncodeOptions,
}

impl Stage for Survey {
    fn port(&self, _: &[Port]) -> Result<Port, Refusal> {
        Ok(Port::Rows)
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        Given::parts(self.level)
    }

    fn files(&self) -> Vec<FileNeed> {
        needs(&self.files)
    }
}

impl RowWise for Survey {
    fn open(&self, files: &Files, _: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        let cutter = TextCutter::load(&read(files)?).map_err(failed)?;
        Ok(Box::new(Open { cutter, level: self.level, options: &self.options }))
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        let lost = totals.of("tokens_lost");
        Conclusion::default().fact("truncated_rows", lost.rows).fact("tokens_lost", lost.sum)
    }
}

struct Open<'s> {
    cutter: TextCutter,
    level: Level,
    options: &'s EncodeOptions,
}

impl Mapper for Open<'_> {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        ctx.check()?;
        let table = Given::table(self.level, rows)?;
        let (ids, given) = Given::of(self.level, &table)?;
        let stop = &|| ctx.is_cancelled();
        let lost = match &given {
            Given::Texts(texts) => self.cutter.tokens_lost(texts, self.options, stop),
            Given::Tokens(rows) => self.cutter.tokens_lost_of_tokens(rows, self.options, stop),
        };
        let lost = lost.map_err(failed)?;
        let counts = Int64Array::from_iter_values(lost.iter().map(|lost| *lost as i64));
        let columns: [(&str, ArrayRef, bool); 2] =
            [("row_id", Arc::new(ids.clone()), false), ("tokens_lost", Arc::new(counts), false)];
        let notes = RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused)?;
        Ok(Mapped::table("notes", notes).count("tokens_lost", lost))
    }
}
