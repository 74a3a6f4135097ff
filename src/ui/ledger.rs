//! What are the rows like, in a terminal? The findings, some rows that show them, and the tables of the data ledger.

use super::table::align;
use crate::problem::visible;
use crate::record::{DataSummary, Example, caption, tables};

/// Characters of an example's text.
const SHOWN: usize = 80;

/// The ledger of one frame.
pub fn ledger(data: &DataSummary) -> String {
    let mut text = format!("{}\n", caption(data));
    for finding in &data.findings {
        text.push_str(&format!("- {}\n", visible(&finding.message)));
        let examples = finding.examples.as_ref().and_then(|key| data.ledger.examples.get(key));
        for example in examples.into_iter().flatten().take(3) {
            text.push_str(&format!("    {}\n", shown(example)));
        }
    }
    for table in tables(data) {
        let mut rows = vec![table.head];
        rows.extend(table.rows);
        rows.iter_mut().flatten().for_each(|cell| *cell = visible(cell));
        text.push_str(&format!("\n{}\n{}", table.title, align(&rows)));
    }
    text
}

/// A row to look at, on one line.
pub fn shown(example: &Example) -> String {
    let labelled = |row: &str, label: &Option<String>| match label {
        Some(label) => format!("{} ({})", visible(row), visible(label)),
        None => visible(row),
    };
    let rows =
        format!("{} = {}", labelled(&example.row_id, &example.label), labelled(&example.other, &example.other_label));
    let text = example.text.as_deref().map(|text| {
        let plain: String = visible(text).chars().take(SHOWN).collect();
        let more = if text.chars().count() > SHOWN { "…" } else { "" };
        format!(": {plain}{more}")
    });
    rows + &text.unwrap_or_default()
}
