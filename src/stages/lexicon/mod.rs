//! What do a text's words weigh? Features from a table of words and their valence, and VADER's scores.

mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Read;

use arrow::array::StringArray;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fetch::Spec;
use crate::ml::{Block, Dense, VaderScores, ValenceSummary, Valences, spelled, vader};
use crate::problem::Problems;
use crate::stage::{
    Conclusion, Ctx, FileNeed, Files, Form, Mapped, Mapper, Parts, Port, Refusal, RowWise, Scope, Stage, StageError,
    StageKind, Totals, Work, elided,
};
use crate::table::tokens::Tokens;
use crate::table::{features, row_ids, text};

/// The kind `lexicon`.
pub(super) struct Lexicon;

/// Looks up the words of each text in a table of words and numbers, and gives a few dense features. From texts, words are what
/// white space divides, as they are (`:)`) or else without the punctuation around them; from tokens, the tokens as they are. A word is looked up as it is spelled, then in lower case; of phrases of several words the longest counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["source"]))]
pub(super) struct Params {
    /// The table, one word a line: the word, then its number; further columns, such as VADER's ratings, are not read. A source
    /// as in `ingest`: a path, `pypi:NAME@VERSION!path/in/it`, …
    #[schemars(length(min = 1))]
    source: String,
    /// What divides the columns.
    format: Format,
    /// The encoding of both files; a line that it cannot read is an error. VADER's own table of 2014 is `windows-1252`.
    encoding: Option<String>,
    /// Which features.
    features: Chosen,
    /// A table of emoji and the words that they are read as (vaderSentiment's `emoji_utf8_lexicon.txt`). Only emoji of one character
    /// are found, as in vaderSentiment. Needs texts.
    emoji: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// A tab; nothing is quoted. VADER's table is such a one.
    #[default]
    Tsv,
    /// A comma; cells may be quoted.
    Csv,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Chosen {
    /// `hits`, `hit_share` (of all words), `mean`, `min`, `max`, `sum_positive` and `sum_negative` of the numbers found; 0 where
    /// nothing is found.
    #[default]
    Table,
    /// VADER's `pos`, `neg`, `neu` and `compound`, by the rules of vaderSentiment 3.3.2 for English (negation, boosters, capitals,
    /// "but", punctuation), not rounded. Needs texts, best as they were written.
    Vader,
    /// Both.
    Both,
}

const TABLE: [&str; 7] = ["hits", "hit_share", "mean", "min", "max", "sum_positive", "sum_negative"];
const VADER: [&str; 4] = ["pos", "neg", "neu", "compound"];

/// Texts between two looks at whether the run is to end.
const AT_ONCE: usize = 1024;

const LEXICON: &str = "lexicon";
const EMOJI: &str = "emoji";

impl StageKind for Lexicon {
    const KIND: &'static str = "lexicon";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "features from a table of words and their valence; VADER's sentiment scores";
    const EXAMPLE: &'static str = "{ use: lexicon, from: ingest, with: { source: \"pypi:vaderSentiment@3.3.2!vaderSentiment/vader_lexicon.txt\", \
         features: vader } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        let mut problems = Problems::default();
        if params.source.is_empty() {
            let problem = at.problem("missing-param", &["source"], "`lexicon` needs `source`");
            problems.push(problem.help("name a file with a word and a number on each line"));
            return Err(problems);
        }
        let mut parse = |role: &str, param: &str, source: &str| match Spec::parse(source, at.base) {
            Ok(spec) => Some(FileNeed { role: role.to_owned(), spec, param: vec![param.to_owned()] }),
            Err(error) => {
                let problem = at.problem("invalid-param", &[param], error.message);
                problems.push(error.help.into_iter().fold(problem, |problem, help| problem.help(help)));
                None
            }
        };
        let mut files = Vec::from_iter(parse(LEXICON, "source", &params.source));
        files.extend(params.emoji.as_ref().and_then(|emoji| parse(EMOJI, "emoji", emoji)));
        let label = params.encoding.as_deref().unwrap_or("utf-8");
        let Some(encoding) = encoding_rs::Encoding::for_label(label.as_bytes()) else {
            let problem = at.problem("invalid-param", &["encoding"], format!("there is no encoding `{label}`"));
            problems.push(problem.help("write a name of the WHATWG Encoding Standard, such as `windows-1252`"));
            return Err(problems);
        };
        if !problems.0.is_empty() {
            return Err(problems);
        }
        Ok(Work::RowWise(Box::new(Lookup { files, format: params.format, encoding, chosen: params.features })))
    }

    /// Files are known by their digests, so where they lie is left out.
    fn canonical(params: &Params) -> Value {
        let mut canonical = elided(params, &Params::default());
        if let Some(fields) = canonical.as_object_mut() {
            fields.remove("source");
            fields.remove("emoji");
        }
        canonical
    }
}

struct Lookup {
    files: Vec<FileNeed>,
    format: Format,
    encoding: &'static encoding_rs::Encoding,
    chosen: Chosen,
}

impl Stage for Lookup {
    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        let words = self.chosen == Chosen::Table && !self.spells();
        match inputs {
            [Port::Rows] => Ok(Port::Features(Form::Dense)),
            [Port::Tokens] if words => Ok(Port::Features(Form::Dense)),
            _ if words => Err(Refusal {
                input: 0,
                wants: "text or tokens",
                fits: |port| matches!(port, Port::Rows | Port::Tokens),
                help: None,
            }),
            _ => Err(Refusal {
                input: 0,
                wants: "text",
                fits: |port| port == Port::Rows,
                help: Some("VADER's rules read capitals and punctuation, and emoji are spelled in texts".to_owned()),
            }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text", "tokens"]
    }

    fn files(&self) -> Vec<FileNeed> {
        self.files.clone()
    }

    fn advice(&self) -> Vec<String> {
        self.files.iter().filter_map(|need| need.spec.advice()).collect()
    }
}

impl RowWise for Lookup {
    fn open(&self, files: &Files, _: &str) -> Result<Box<dyn Mapper + '_>, StageError> {
        let lines = self.read(files, LEXICON, "source")?;
        let valences = table::valences(&lines, self.format).map_err(|error| error.at_param(&["source"]))?;
        let emoji = match self.spells() {
            true => table::emoji(&self.read(files, EMOJI, "emoji")?).map_err(|error| error.at_param(&["emoji"]))?,
            false => BTreeMap::new(),
        };
        Ok(Box::new(Open { valences, emoji, chosen: self.chosen }))
    }

    fn conclude(&self, totals: &Totals) -> Conclusion {
        let hits = totals.of("hits");
        let conclusion =
            Conclusion::default().fact("hits", hits.sum).fact("rows_without_hits", totals.rows - hits.rows);
        match totals.rows > 0 && hits.sum == 0 {
            true => conclusion.warn("no word of any text stands in the lexicon: is it of the language of the texts?"),
            false => conclusion,
        }
    }
}

impl Lookup {
    /// Are emoji read as words?
    fn spells(&self) -> bool {
        self.files.iter().any(|need| need.role == EMOJI)
    }

    /// The text of a file.
    fn read(&self, files: &Files, role: &str, param: &str) -> Result<String, StageError> {
        let at = |error: StageError| error.at_param(&[param]);
        let found = files.0.iter().find(|(name, _)| name == role).map_or(&[][..], |(_, files)| files.as_slice());
        let [file] = found else {
            return Err(at(StageError::failed(format!("`{param}` must be one file, but is {}", found.len()))));
        };
        let mut bytes = Vec::new();
        let mut reader = file.open().map_err(StageError::caused).map_err(at)?;
        reader.read_to_end(&mut bytes).map_err(StageError::caused).map_err(at)?;
        table::decoded(&bytes, self.encoding).map_err(at)
    }
}

/// A lexicon in memory.
struct Open {
    valences: Valences,
    emoji: BTreeMap<char, String>,
    chosen: Chosen,
}

/// What a row comes to.
struct Row {
    summary: ValenceSummary,
    vader: Option<VaderScores>,
}

impl Open {
    fn names(&self) -> Vec<&'static str> {
        match self.chosen {
            Chosen::Table => TABLE.to_vec(),
            Chosen::Vader => VADER.to_vec(),
            Chosen::Both => TABLE.into_iter().chain(VADER).collect(),
        }
    }

    fn of_text(&self, text: &str) -> Row {
        let text = &spelled(text, &self.emoji);
        let vader = (self.chosen != Chosen::Table).then(|| vader(text, &self.valences));
        Row { summary: self.valences.of_text(text), vader }
    }

    fn values(&self, row: &Row) -> impl Iterator<Item = f32> + use<> {
        let ValenceSummary { hits, words, mean, min, max, sum_positive, sum_negative } = row.summary;
        let share = hits as f64 / words.max(1) as f64;
        let table = [hits as f64, share, mean, min, max, sum_positive, sum_negative];
        let table = (self.chosen != Chosen::Vader).then_some(table);
        let vader = row.vader.map(|VaderScores { pos, neg, neu, compound }| [pos, neg, neu, compound]);
        table.into_iter().flatten().chain(vader.into_iter().flatten()).map(|value| value as f32)
    }

    fn block(&self, ids: &StringArray, rows: &[Row]) -> Result<Mapped, StageError> {
        let cols = self.names().len();
        let values = rows.iter().flat_map(|row| self.values(row)).collect();
        let block = Block::Dense(Dense { rows: rows.len(), cols, values });
        let block = features::to_table(ids, LEXICON, &block).map_err(StageError::caused)?;
        let hits = rows.iter().map(|row| row.summary.hits as u64).collect();
        Ok(Mapped::table(features::block_part(0), block).count("hits", hits))
    }
}

impl Mapper for Open {
    fn map(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Mapped, StageError> {
        if rows.part("tokens").is_some() {
            let table = rows.table("tokens")?;
            let tokens = Tokens::of(&table).map_err(StageError::caused)?;
            let found = along(tokens.len(), ctx, |row| {
                let words: Vec<&str> = tokens.row(row).collect();
                Row { summary: self.valences.of_words(&words), vader: None }
            })?;
            return self.block(tokens.row_ids(), &found);
        }
        let table = rows.table("text")?;
        let texts = text::texts(&table).map_err(StageError::caused)?;
        let found = along(table.num_rows(), ctx, |row| self.of_text(texts.value(row)))?;
        self.block(row_ids(&table).map_err(StageError::caused)?, &found)
    }
}

/// Applies `one` to the number of every row, side by side.
fn along(rows: usize, ctx: &Ctx<'_>, one: impl Fn(usize) -> Row + Sync) -> Result<Vec<Row>, StageError> {
    let mut found = Vec::with_capacity(rows);
    for start in (0..rows).step_by(AT_ONCE) {
        ctx.check()?;
        found.par_extend((start..rows.min(start + AT_ONCE)).into_par_iter().map(&one));
        ctx.progress.progress(found.len() as u64, rows as u64, "texts");
    }
    Ok(found)
}
