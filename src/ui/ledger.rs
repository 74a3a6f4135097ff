//! What are the rows like, in a terminal? The findings, some rows that show them, and the tables of the data ledger.

use super::table::align;
use crate::record::{DataSummary, Example, caption, tables};

/// Characters of an example's text.
const SHOWN: usize = 80;

/// The ledger of one frame.
pub fn ledger(data: &DataSummary) -> String {
    let mut text = format!("{}\n", caption(data));
    for finding in &data.findings {
        text.push_str(&format!("- {}\n", finding.message));
        let examples = finding.examples.as_ref().and_then(|key| data.ledger.examples.get(key));
        for example in examples.into_iter().flatten().take(3) {
            text.push_str(&format!("    {}\n", shown(example)));
        }
    }
    for table in tables(data) {
        let mut rows = vec![table.head];
        rows.extend(table.rows);
        text.push_str(&format!("\n{}\n{}", table.title, align(&rows)));
    }
    text
}

/// A row to look at, on one line.
pub fn shown(example: &Example) -> String {
    let labelled = |row: &str, label: &Option<String>| match label {
        Some(label) => format!("{row} ({label})"),
        None => row.to_owned(),
    };
    let rows =
        format!("{} = {}", labelled(&example.row_id, &example.label), labelled(&example.other, &example.other_label));
    let text = example.text.as_deref().map(|text| {
        let plain: String = text.chars().flat_map(visible).take(SHOWN).collect();
        let more = if text.chars().count() > SHOWN { "…" } else { "" };
        format!(": {plain}{more}")
    });
    rows + &text.unwrap_or_default()
}

/// Control characters made visible.
fn visible(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}
