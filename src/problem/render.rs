//! What does a person, or a program, read of a problem?

use serde_json::{Value, json};
use unicode_width::UnicodeWidthChar;

use super::{Origin, Problem, Problems, Severity};

/// No more problems than this are written out at once.
const MOST: usize = 20;
/// A snippet's line is cut to about this many columns.
const WIDEST: usize = 140;
/// What a tab becomes in a snippet.
const TAB: &str = "    ";

/// With or without terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With ANSI colours.
    Color,
}

/// The problems as text for people, a blank line between them, the first 20 at most.
///
/// Control characters and terminal escapes in anything quoted are made visible.
pub fn render(problems: &Problems, style: Style) -> String {
    let mut shown: Vec<String> = problems.0.iter().take(MOST).map(|problem| one(problem, style)).collect();
    if let Some(more) = problems.0.len().checked_sub(MOST).filter(|more| *more > 0) {
        shown.push(format!("… and {more} more\n"));
    }
    shown.join("\n")
}

/// The problems as a JSON list: one object per problem with `severity`, `code`, `message`, `origin`, `causes`, `help`, `notes`.
pub fn to_json(problems: &Problems) -> Value {
    let object = |problem: &Problem| {
        json!({
            "severity": word(problem.severity),
            "code": problem.code,
            "message": problem.message,
            "origin": problem.origin.as_ref().map(origin_json),
            "causes": problem.causes,
            "help": problem.help,
            "notes": problem.notes,
        })
    };
    Value::Array(problems.0.iter().map(object).collect())
}

fn origin_json(origin: &Origin) -> Value {
    match origin {
        Origin::File { file, line, column, length, .. } => {
            json!({ "file": file.as_ref(), "line": line, "column": column, "length": length })
        }
        Origin::WholeFile { file } => json!({ "file": file.as_ref() }),
        Origin::Flag { text, overrides } => {
            json!({ "flag": text.as_ref(), "overrides": overrides.as_deref().map(origin_json) })
        }
        Origin::Env { name } => json!({ "env": name.as_ref() }),
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The ANSI codes used.
#[derive(Clone, Copy)]
enum Paint {
    Red,
    Yellow,
    Blue,
    Bold,
}

fn paint(style: Style, paint: Paint, text: &str) -> String {
    let code = match paint {
        Paint::Red => "1;31",
        Paint::Yellow => "1;33",
        Paint::Blue => "1;34",
        Paint::Bold => "1",
    };
    match style {
        Style::Plain => text.to_owned(),
        Style::Color => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}

fn one(problem: &Problem, style: Style) -> String {
    let color = match problem.severity {
        Severity::Error => Paint::Red,
        Severity::Warning => Paint::Yellow,
    };
    let head = format!("{}[{}]", word(problem.severity), problem.code);
    let message = format!(": {}", visible(&problem.message));
    let mut out = format!("{}{}\n", paint(style, color, &head), paint(style, Paint::Bold, &message));
    let gutter = match &problem.origin {
        Some(Origin::File { line, .. }) => line.to_string().len().max(2),
        _ => 2,
    };
    if let Some(origin) = &problem.origin {
        place(&mut out, origin, gutter, color, style);
    }
    let pad = " ".repeat(gutter + 1);
    for (mark, texts) in [("caused by:", &problem.causes), ("= help:", &problem.help), ("= note:", &problem.notes)] {
        for text in texts {
            let mut lines = text.lines();
            out.push_str(&format!(
                "{pad}{} {}\n",
                paint(style, Paint::Blue, mark),
                visible(lines.next().unwrap_or_default())
            ));
            for line in lines {
                out.push_str(&format!("{pad}{} {}\n", " ".repeat(mark.len()), visible(line)));
            }
        }
    }
    out
}

fn place(out: &mut String, origin: &Origin, gutter: usize, color: Paint, style: Style) {
    let pad = " ".repeat(gutter);
    match origin {
        Origin::File { line, column, length, text, .. } => {
            let arrow = paint(style, Paint::Blue, "-->");
            out.push_str(&format!("{pad}{arrow} {}\n", address(origin)));
            let bar = paint(style, Paint::Blue, "|");
            let number = paint(style, Paint::Blue, &format!("{line:>gutter$}"));
            let (shown, before, under) = snippet(text, *column, *length);
            let carets = paint(style, color, &"^".repeat(under));
            out.push_str(&format!("{pad} {bar}\n{number} {bar} {shown}\n{pad} {bar} {}{carets}\n", " ".repeat(before)));
        }
        Origin::WholeFile { .. } => {
            out.push_str(&format!("{pad}{} {}\n", paint(style, Paint::Blue, "-->"), address(origin)));
        }
        Origin::Flag { overrides, .. } => {
            let over = overrides.as_deref().map(|o| format!(" (overrides {})", address(o))).unwrap_or_default();
            out.push_str(&format!("{pad} {} {}{over}\n", paint(style, Paint::Blue, "= set by:"), address(origin)));
        }
        Origin::Env { .. } => {
            out.push_str(&format!("{pad} {} {}\n", paint(style, Paint::Blue, "= set by:"), address(origin)));
        }
    }
}

/// A place in one line: `FILE:LINE:COLUMN`, the flag, the variable.
fn address(origin: &Origin) -> String {
    match origin {
        Origin::File { file, line, column, .. } => format!("{}:{line}:{column}", visible(file)),
        Origin::WholeFile { file } => visible(file),
        Origin::Flag { text, .. } => visible(text),
        Origin::Env { name } => format!("environment variable {}", visible(name)),
    }
}

/// The line as shown, the columns before the carets, and the number of carets.
fn snippet(text: &str, column: usize, length: usize) -> (String, usize, usize) {
    let cells: Vec<(String, usize)> = text.trim_end().chars().map(cell).collect();
    let from = column.saturating_sub(1).min(cells.len());
    let to = from.saturating_add(length).min(cells.len());
    let width = |range: std::ops::Range<usize>| -> usize {
        cells.iter().take(range.end).skip(range.start).map(|(_, w)| w).sum()
    };
    let glue = |range: std::ops::Range<usize>| -> String {
        cells.iter().take(range.end).skip(range.start).map(|(shown, _)| shown.as_str()).collect()
    };
    if width(0..cells.len()) <= WIDEST {
        return (glue(0..cells.len()), width(0..from), width(from..to).max(1));
    }
    let mut first = from;
    while first > 0 && width(first - 1..from) <= WIDEST / 3 {
        first -= 1;
    }
    let mut last = first;
    while last < cells.len() && width(first..last + 1) <= WIDEST {
        last += 1;
    }
    let (lead, tail) = (if first > 0 { "…" } else { "" }, if last < cells.len() { "…" } else { "" });
    let shown = format!("{lead}{}{tail}", glue(first..last));
    (shown, width(first..from) + usize::from(first > 0), width(from..to.min(last)).max(1))
}

/// How a character is shown in a snippet, and how many columns that takes.
fn cell(c: char) -> (String, usize) {
    if c == '\t' {
        return (TAB.to_owned(), TAB.len());
    }
    if is_hidden(c) {
        let shown = c.escape_default().to_string();
        let width = shown.len();
        return (shown, width);
    }
    (c.to_string(), c.width().unwrap_or(0))
}

/// Characters that a terminal obeys instead of showing: controls, and those that turn the direction of text.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with everything written out that a terminal would obey, or a build's log: `##[group]` and `##vso[…]` wherever they stand
/// (GitHub, Azure, TeamCity), `::error::` where the text begins, since it may begin a line.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let start = text.len() - text.trim_start().len();
    for (at, c) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        let command = match c {
            '#' => rest
                .strip_prefix("##")
                .is_some_and(|rest| rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).starts_with('[')),
            ':' => at == start && rest.starts_with("::"),
            _ => false,
        };
        match c {
            _ if command => shown.extend(c.escape_unicode()),
            _ if is_hidden(c) => shown.extend(c.escape_default()),
            _ => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize, length: usize, text: &str) -> Origin {
        Origin::File { file: "pipelines/spam.yaml".into(), line, column, length, text: text.into() }
    }

    fn plain(problem: Problem) -> String {
        render(&problem.into(), Style::Plain)
    }

    #[test]
    fn no_text_commands_a_build() {
        for (text, shown) in [
            ("a ##[group]b", "a \\u{23}#[group]b"),
            ("##vso[task.setvariable]", "\\u{23}#vso[task.setvariable]"),
            ("###[error]", "#\\u{23}#[error]"),
            (" ::error::x", " \\u{3a}:error::x"),
            ("std::vec ## [b] #[c] ##", "std::vec ## [b] #[c] ##"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_place_with_help_and_note() {
        let problem = Problem::error("unknown-param", "`tfidf` has no parameter `ngram`")
            .at(place(14, 13, 5, "    with: { ngram: [1, 2] }"))
            .note("`tfidf` takes max_df, min_df")
            .help("did you mean `ngram_range`?");
        let expected = "\
error[unknown-param]: `tfidf` has no parameter `ngram`
  --> pipelines/spam.yaml:14:13
   |
14 |     with: { ngram: [1, 2] }
   |             ^^^^^
   = help: did you mean `ngram_range`?
   = note: `tfidf` takes max_df, min_df
";
        assert_eq!(plain(problem), expected);
    }

    #[test]
    fn a_flag_that_overrides_a_place() {
        let overrides = Some(Box::new(place(25, 12, 1, "c: 1")));
        let flag = Origin::Flag { text: "--set model.c=-1".into(), overrides };
        let problem = Problem::error("out-of-range", "`c` must be above 0, but is -1").at(flag);
        let expected = "error[out-of-range]: `c` must be above 0, but is -1\n   \
                        = set by: --set model.c=-1 (overrides pipelines/spam.yaml:25:12)\n";
        assert_eq!(plain(problem), expected);
    }

    #[test]
    fn causes_come_before_help() {
        let problem =
            Problem::error("stage-failed", "`tfidf` failed").help("lower `min_df`").because("no term\nis left");
        let expected = "error[stage-failed]: `tfidf` failed\n   caused by: no term\n              is left\n   = help: lower `min_df`\n";
        assert_eq!(plain(problem), expected);
    }

    #[test]
    fn wide_characters_and_tabs_keep_carets_in_place() {
        let text = plain(Problem::error("yaml", "x").at(place(123, 5, 2, "\t漢字:字字")));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "error[yaml]: x",
                "   --> pipelines/spam.yaml:123:5",
                "    |",
                "123 |     漢字:字字",
                "    |          ^^^^"
            ]
        );
    }

    #[test]
    fn terminal_escapes_are_written_out() {
        let shown = plain(Problem::error("yaml", "a\x1b[2Jb\nc").at(place(1, 3, 1, "\x1b]0;x\u{202e}y")));
        assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}'), "{shown}");
        assert!(shown.contains("a\\u{1b}[2Jb\\nc"), "{shown}");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let line = format!("{}needle{}", "a".repeat(5000), "b".repeat(5000));
        let shown = plain(Problem::error("yaml", "x").at(place(7, 5001, 6, &line)));
        let rows: Vec<&str> = shown.lines().collect();
        assert!(rows[3].chars().count() < 150, "{shown}");
        let at = rows[3].split("needle").next().unwrap().chars().count();
        assert_eq!(rows[4].split('^').next().unwrap().chars().count(), at);
        assert!(rows[4].ends_with("^^^^^^"));
    }

    #[test]
    fn places_beyond_the_line_are_shown_at_its_end() {
        assert!(plain(Problem::error("yaml", "x").at(place(1, 99, 9, "ab"))).ends_with("   |   ^\n"));
    }

    #[test]
    fn no_more_than_twenty() {
        let many = Problems((0..23).map(|i| Problem::error("yaml", i.to_string())).collect());
        let shown = render(&many, Style::Plain);
        assert_eq!(shown.matches("error[").count(), 20);
        assert!(shown.ends_with("\n… and 3 more\n"), "{shown}");
    }

    #[test]
    fn color_adds_nothing_but_colors() {
        let problems: Problems = Problem::warning("yaml", "x").at(place(3, 1, 1, "abc")).help("h").into();
        let colored = render(&problems, Style::Color);
        let mut bare = String::new();
        let mut rest = colored.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            bare.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        bare.push_str(rest);
        assert_ne!(colored, bare);
        assert_eq!(bare, render(&problems, Style::Plain));
    }

    #[test]
    fn json_has_one_object_per_problem() {
        let flag = Origin::Flag { text: "--set a=1".into(), overrides: Some(Box::new(place(2, 3, 1, "x"))) };
        let problems = Problems(vec![Problem::error("yaml", "x").at(flag).help("h"), Problem::warning("io", "y")]);
        let lines = to_json(&problems);
        assert_eq!(lines.as_array().unwrap().len(), 2);
        assert_eq!(lines[0]["origin"]["overrides"]["line"], 2);
        assert_eq!(lines[0]["help"][0], "h");
        assert_eq!(lines[1]["severity"], "warning");
        assert_eq!(lines[1]["origin"], Value::Null);
    }
}
