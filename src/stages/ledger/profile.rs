//! What is known of a text without reading it again? Its lengths, what it is equal to, and perhaps its language.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeBinaryBuilder, RecordBatch, StringArray, UInt32Array, UInt64Array};
use rayon::prelude::*;

use crate::ml::near::{self, Signature, fold, signature};
use crate::stage::{Conclusion, Ctx, Files, Mapped, Mapper, Parts, Port, Refusal, RowWise, Stage, StageError, Totals};
use crate::table::text;

/// One text in so many has its language guessed: a guess takes ten times as long as all else.
const GUESSED: u64 = 8;

/// A language is guessed from so many characters.
const GUESS_CHARACTERS: usize = 1000;

/// Texts between two looks at whether the run is to end.
const AT_ONCE: usize = 1024;

/// Gives `profile` (row_id, characters, words, exact, folded, language?) and `near` (row_id, signature?).
pub(super) struct Profile;

/// What is known of one text.
struct Known {
    characters: u32,
    words: u32,
    exact: u64,
    folded: u64,
    language: Option<&'static str>,
    near: Option<Signature>,
}

impl Known {
    fn of(text: &str) -> Known {
        let words = fold(text);
        let folded = hash(&words);
        let count = if words.is_empty() { 0 } else { words.split(' ').count() };
        Known {
            // a text of white space alone is empty
            characters: if text.trim().is_empty() { 0 } else { text.chars().count() as u32 },
            words: count as u32,
            exact: hash(text),
            folded,
            language: (folded.is_multiple_of(GUESSED) && !words.is_empty()).then(|| language(text)),
            near: signature(&words),
        }
    }
}

/// 64 bits of BLAKE3: among 25 million texts, two unlike ones agree with a chance of one in 60,000.
fn hash(text: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// An ISO 639-3 code; `und` where the guess is unsure.
fn language(text: &str) -> &'static str {
    let end = text.char_indices().nth(GUESS_CHARACTERS).map_or(text.len(), |(at, _)| at);
    let guess = text.get(..end).and_then(whatlang::detect);
    guess.filter(whatlang::Info::is_reliable).map_or("und", |guess| guess.lang().code())
}

impl Stage for Profile {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        match inputs {
            [Port::Rows] => Ok(Port::Rows),
            _ => Err(Refusal { input: 0, wants: "text", fits: |port| port == Port::Rows, help: None }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text"]
    }
}

impl RowWise for Profile {
    fn open(&self, _: &Files, _: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        Ok(Box::new(Profile))
    }

    fn conclude(&self, _: &Totals) -> Conclusion {
        Conclusion::default()
    }
}

impl Mapper for Profile {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        let table = rows.table("text")?;
        let ids = text::row_ids(&table).map_err(StageError::caused)?;
        let texts = text::texts(&table).map_err(StageError::caused)?;
        let mut known: Vec<Known> = Vec::with_capacity(ids.len());
        for start in (0..ids.len()).step_by(AT_ONCE) {
            ctx.check()?;
            let rows = start..ids.len().min(start + AT_ONCE);
            known.par_extend(rows.into_par_iter().map(|row| Known::of(texts.value(row))));
        }
        let ids: ArrayRef = Arc::new(ids.clone());
        let profile: Vec<(&str, ArrayRef, bool)> = vec![
            ("row_id", Arc::clone(&ids), false),
            ("characters", Arc::new(UInt32Array::from_iter_values(known.iter().map(|k| k.characters))), false),
            ("words", Arc::new(UInt32Array::from_iter_values(known.iter().map(|k| k.words))), false),
            ("exact", Arc::new(UInt64Array::from_iter_values(known.iter().map(|k| k.exact))), false),
            ("folded", Arc::new(UInt64Array::from_iter_values(known.iter().map(|k| k.folded))), false),
            ("language", Arc::new(known.iter().map(|k| k.language).collect::<StringArray>()), true),
        ];
        let mut signatures = FixedSizeBinaryBuilder::with_capacity(known.len(), near::SIGNATURE as i32);
        for known in &known {
            match &known.near {
                Some(near) => signatures.append_value(near).map_err(StageError::caused)?,
                None => signatures.append_null(),
            }
        }
        let near: Vec<(&str, ArrayRef, bool)> =
            vec![("row_id", ids, false), ("signature", Arc::new(signatures.finish()), true)];
        let table = |columns| RecordBatch::try_from_iter_with_nullable(columns).map_err(StageError::caused);
        Ok(Mapped {
            tables: vec![("near".to_owned(), table(near)?), ("profile".to_owned(), table(profile)?)],
            counts: Vec::new(),
        })
    }
}
