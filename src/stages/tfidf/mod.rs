//! How much weight has each term? Learns a vocabulary and its inverse document frequencies from training rows.

mod learned;
mod params;
#[cfg(test)]
mod tests;

use arrow::array::{Array, RecordBatch};
use serde_json::Value;

use crate::ml::{
    Analyzed, Analyzer, Block, CountedRow, CountedRows, Csr, HashedCounts, HashedWeights, Hashing, TermCounts,
    TfidfError, TfidfParams, TokenRows, Vocabulary,
};
use crate::problem::Problems;
use crate::stage::{
    ApplyTo, Arity, ByRow, Ctx, Derived, Form, Learner, Numeric, OpenRows, Output, Parts, Port, Refusal, Scope, Stage,
    StageError, StageKind, TrainRows, Work, elided,
};
use crate::table::tokens::Tokens;
use crate::table::{features, row_ids, text};
use learned::{hashed_of, hashed_table, vocabulary_of, vocabulary_table};
use params::{Params, param_of};

/// The kind `tfidf`.
pub(super) struct Tfidf;

impl StageKind for Tfidf {
    const KIND: &'static str = "tfidf";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "term weights (TF-IDF, counts or hashed terms), learned from training rows";
    const EXAMPLE: &'static str = "{ use: tfidf, from: tokenize, with: { ngram_range: [1, 2], min_df: 2 } }";
    type Params = Params;

    fn build(params: Params, at: &Scope<'_>) -> Result<Work, Problems> {
        Ok(Work::Learner(Box::new(Weights::of(&params, at)?)))
    }

    fn canonical(params: &Params) -> Value {
        elided(&Params { tokens: params.tokens.named(), ..params.clone() }, &Params::default())
    }
}

struct Weights {
    params: TfidfParams,
    hashing: Option<Hashing>,
    /// Finds the tokens of texts.
    analyzer: Analyzer,
    /// Its parameters as a key sees them.
    said: String,
    /// Whether any of them is not the default.
    told: bool,
}

impl Stage for Weights {
    fn numeric(&self) -> Numeric {
        Numeric::Libm
    }

    fn arity(&self) -> Arity {
        Arity::One
    }

    fn port(&self, inputs: &[Port]) -> Result<Port, Refusal> {
        let fits: fn(Port) -> bool = |port| matches!(port, Port::Rows | Port::Tokens);
        match inputs {
            [Port::Tokens] if self.told => Err(Refusal {
                input: 0,
                wants: "text, since it is told what `tokens` are",
                fits: |port| port == Port::Rows,
                help: Some("remove `tokens`, which have been found already".to_owned()),
            }),
            [Port::Rows | Port::Tokens] => Ok(Port::Features(Form::Sparse)),
            _ => Err(Refusal { input: 0, wants: "text or tokens", fits, help: None }),
        }
    }

    fn reads(&self, _: usize) -> &'static [&'static str] {
        &["text", "tokens"]
    }
}

impl Learner for Weights {
    fn supervised(&self) -> bool {
        false
    }

    fn applies_to(&self) -> ApplyTo {
        ApplyTo::All
    }

    fn fit(&self, train: &TrainRows, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        self.learned(train.input(), ctx)
    }

    fn apply(&self, learned: &Parts, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let known = learned.table("vocabulary")?;
        let weights = match self.hashing {
            None => vocabulary_of(&known)?.transform(&self.counted(rows, ctx)?, &self.params),
            Some(hashing) => hashed_of(&known)?.transform(&self.hashed(rows, hashing, ctx)?, hashing, &self.params),
        };
        let output = output(&*rows.table(self.reads_of(rows))?, weights.map_err(failed)?)?;
        Ok(match learned.part("vocabulary").filter(|_| self.hashing.is_none()) {
            Some(names) => output.same(features::names_part(0), names),
            None => output,
        })
    }
}

/// The block of weighed rows; `table` has their ids.
fn output(table: &RecordBatch, weights: Csr) -> Result<Output, StageError> {
    let empty = (0..weights.rows()).filter(|&row| weights.row(row).0.is_empty()).count();
    let ids = row_ids(table).map_err(StageError::caused)?;
    let block = features::into_table(ids, "tfidf", Block::Sparse(weights)).map_err(StageError::caused)?;
    Ok(Output::new().table(features::block_part(0), block).fact("rows_without_terms", empty))
}

impl Weights {
    fn of(params: &Params, at: &Scope<'_>) -> Result<Weights, Problems> {
        match (params.weighing(at), params.analyzer(at), params.hashing(at)) {
            (Ok(weighing), Ok(analyzer), Ok(hashing)) => {
                let said = params.tokens.canonical();
                let told = said.as_object().is_some_and(|said| !said.is_empty());
                Ok(Weights { params: weighing, hashing, analyzer, said: said.to_string(), told })
            }
            (weighing, analyzer, hashing) => {
                let all = [weighing.err(), analyzer.err(), hashing.err()];
                Err(Problems(all.into_iter().flatten().flat_map(|problems| problems.0).collect()))
            }
        }
    }

    /// What training rows teach.
    fn learned(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Output, StageError> {
        ctx.check()?;
        let Some(hashing) = self.hashing else {
            let counted = self.counted(rows, ctx)?;
            let vocabulary = Vocabulary::fit(&counted, &self.params).map_err(failed)?;
            let terms = vocabulary.terms.len();
            let output = Output::new().table("vocabulary", vocabulary_table(&vocabulary)?);
            return Ok(output.rows(counted.rows()).fact("terms", terms));
        };
        // what is learned of hashed terms is their idf alone
        if !self.params.use_idf {
            let weights = HashedWeights { document_frequency: Vec::new(), idf: None };
            return Ok(Output::new().table("vocabulary", hashed_table(&weights)?));
        }
        let counted = self.hashed(rows, hashing, ctx)?;
        let weights = HashedWeights::fit(&counted, hashing, &self.params).map_err(failed)?;
        Ok(Output::new().table("vocabulary", hashed_table(&weights)?).rows(counted.rows()))
    }

    /// The part that has the rows.
    fn reads_of(&self, rows: &Parts) -> &'static str {
        if rows.part("tokens").is_some() { "tokens" } else { "text" }
    }

    /// The rows with their terms counted. Terms are counted once for all folds, row by row.
    fn counted(&self, rows: &Parts, ctx: &Ctx<'_>) -> Result<Counted<TermCounts>, StageError> {
        let range = self.params.ngram_range;
        self.by_row(rows, &format!("{range:?}"), ctx, |rows, threads| {
            TermCounts::of(rows, range, threads).map_err(failed)
        })
    }

    /// The same with columns for terms.
    fn hashed(&self, rows: &Parts, hashing: Hashing, ctx: &Ctx<'_>) -> Result<Counted<HashedCounts>, StageError> {
        let range = self.params.ngram_range;
        self.by_row(rows, &format!("{range:?} {hashing:?}"), ctx, |rows, threads| {
            Ok(HashedCounts::of(rows, range, hashing, threads))
        })
    }

    /// What `count` makes of the tokens of all rows. Several units may wait for it on the pool's threads, so it has threads of its
    /// own, as many as the pool.
    fn by_row<T: ByRow>(
        &self,
        rows: &Parts,
        what: &str,
        ctx: &Ctx<'_>,
        count: impl Fn(&Rows<'_>, usize) -> Result<T, StageError>,
    ) -> Result<Counted<T>, StageError> {
        let threads = rayon::current_num_threads();
        let (part, what) = match self.reads_of(rows) {
            "tokens" => ("tokens", what.to_owned()),
            part => (part, format!("{what} {}", self.said)),
        };
        let counted = |table: &RecordBatch| {
            let counted = match part {
                "tokens" => {
                    let tokens = Tokens::of(table).map_err(StageError::caused)?;
                    count(&Rows { source: Source::Tokens(tokens), ctx }, threads)
                }
                _ => {
                    let texts = text::texts(table).map_err(StageError::caused)?;
                    let texts: Vec<&str> = (0..texts.len()).map(|row| texts.value(row)).collect();
                    let analyzed = Analyzed { analyzer: &self.analyzer, texts: &texts };
                    count(&Rows { source: Source::Texts(analyzed), ctx }, threads)
                }
            };
            // rows that were read after the run was to end have no tokens
            ctx.check()?;
            counted
        };
        rows.by_row(part, &what, counted).map(Counted)
    }
}

/// Counted rows that the stage may see.
struct Counted<T>(OpenRows<T>);

impl<T: for<'a> ByRow<Row<'a> = CountedRow<'a>>> CountedRows for Counted<T> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        self.0.row(row)
    }
}

impl Derived for TermCounts {
    fn bytes(&self) -> usize {
        TermCounts::bytes(self)
    }
}

impl ByRow for TermCounts {
    type Row<'a> = CountedRow<'a>;

    fn rows(&self) -> usize {
        CountedRows::rows(self)
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        CountedRows::row(self, row)
    }
}

impl Derived for HashedCounts {
    fn bytes(&self) -> usize {
        HashedCounts::bytes(self)
    }
}

impl ByRow for HashedCounts {
    type Row<'a> = CountedRow<'a>;

    fn rows(&self) -> usize {
        CountedRows::rows(self)
    }

    fn row(&self, row: usize) -> CountedRow<'_> {
        CountedRows::row(self, row)
    }
}

fn failed(error: TfidfError) -> StageError {
    if let TfidfError::MinAboveMax { min, max, rows } = error
        && max >= rows as f64
    {
        let failure = StageError::failed(format!("`min_df` asks for {min} rows, but there are {rows} training rows"));
        return failure.at_param(&["min_df"]).help("lower `min_df`");
    }
    let failure = StageError::failed(error.to_string()).at_param(&param_of(&error));
    match error {
        TfidfError::NothingLeft { .. } => failure.help("lower `min_df` or raise `max_df`"),
        TfidfError::EmptyVocabulary { .. } => failure.help("look at the tokens with `fuseline show`"),
        _ => failure,
    }
}

/// The rows of a table, until the run is to end.
struct Rows<'t> {
    source: Source<'t>,
    ctx: &'t Ctx<'t>,
}

enum Source<'t> {
    Tokens(Tokens<'t>),
    Texts(Analyzed<'t, &'t str>),
}

impl TokenRows for Rows<'_> {
    fn rows(&self) -> usize {
        match &self.source {
            Source::Tokens(tokens) => tokens.len(),
            Source::Texts(texts) => texts.rows(),
        }
    }

    fn each_token(&self, row: usize, scratch: &mut String, each: &mut impl FnMut(&str)) {
        match &self.source {
            _ if self.ctx.is_cancelled() => {}
            Source::Tokens(tokens) => tokens.row(row).for_each(each),
            Source::Texts(texts) => texts.each_token(row, scratch, each),
        }
    }
}
