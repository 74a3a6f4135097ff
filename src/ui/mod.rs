//! What does a person see of a run? Listeners to run events, and the summary table.
//!
//! [`bars`] on a terminal (what they show is on a [`board`]), [`plain`] lines elsewhere, [`json`] lines for machines, all with
//! the same [`speed`]; [`trace`]
//! remembers a run for its trace and its [`timeline`]; [`table`] is what comes at the end; [`ledger`] what the rows are like.
//! Everything is written to a stream that `cli` hands in.

pub mod bars;
mod board;
pub mod json;
pub mod ledger;
pub mod plain;
mod speed;
pub mod table;
mod timeline;
pub mod trace;

use crate::problem::Style;

/// How much a person wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors alone.
    Quiet,
    /// What ran, and the results.
    Normal,
    /// What was reused as well.
    Verbose,
}

/// How messages look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// With colour or without.
    pub style: Style,
    /// How much.
    pub verbosity: Verbosity,
}

/// `41.2 s`, `2 min 5 s`, `1 h 2 min`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.0995 => format!("{:.0} ms", s * 1000.0),
        s if s < 99.95 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {} s", (s / 60.0) as u64, (s % 60.0) as u64),
        s => format!("{} h {} min", (s / 3600.0) as u64, (s % 3600.0 / 60.0) as u64),
    }
}

/// `10,568`.
pub fn count(number: u64) -> String {
    crate::record::number(number)
}

/// `1 row`, `10,568 rows`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `83.5 MB` (powers of 1000).
pub fn bytes(number: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{number} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1234), "1,234");
        assert_eq!(count(10_605_000), "10,605,000");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(83_506_384), "83.5 MB");
        assert_eq!(duration(0.012), "12 ms");
        assert_eq!(duration(41.24), "41.2 s");
        assert_eq!(duration(125.0), "2 min 5 s");
        assert_eq!(duration(3_720.0), "1 h 2 min");
    }
}
