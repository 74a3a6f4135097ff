//! How do data and numbers become characters that are safe to print in HTML and in Markdown?

use unicode_normalization::char::is_combining_mark;

/// A piece of a sentence that both renderers can set.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Span {
    /// Our own words.
    Text(String),
    /// A figure that matters.
    Strong(String),
    /// A name from the pipeline or the data.
    Name(String),
    /// An identifier.
    Code(String),
}

/// A sentence or paragraph.
pub(super) type Line = Vec<Span>;

/// A message as a sentence: what stands in backticks becomes [`Span::Code`].
pub(super) fn message(words: &str) -> Line {
    let pieces: Vec<&str> = words.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return vec![text(words)];
    }
    let spans = pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty());
    spans.map(|(i, piece)| if i % 2 == 1 { Span::Code((*piece).to_owned()) } else { text(*piece) }).collect()
}

/// Our own words, as a [`Span`].
pub(super) fn text(words: impl Into<String>) -> Span {
    Span::Text(words.into())
}

/// A sentence without its marks.
#[cfg(test)]
pub(super) fn plain(line: &Line) -> String {
    line.iter()
        .map(|span| match span {
            Span::Text(s) | Span::Strong(s) | Span::Name(s) | Span::Code(s) => s.as_str(),
        })
        .collect()
}

/// A character as a reader should see it.
enum Shown {
    Plain(char),
    Newline,
    /// A character that shows nothing, or moves others about: its name instead.
    Mark(String),
}

/// The characters of a text, those that hide given names.
fn shown(text: &str) -> Vec<Shown> {
    let mut out = Vec::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins = |x: Option<char>| x.is_some_and(|x| !x.is_ascii() && !hides(x));
        out.push(match c {
            '\r' if chars.peek() == Some(&'\n') => continue,
            '\n' => Shown::Newline,
            '\t' => Shown::Plain(c),
            '\0'..='\x1f' => Shown::Mark(char::from_u32(0x2400 + u32::from(c)).map(String::from).unwrap_or_default()),
            '\x7f' => Shown::Mark("\u{2421}".to_owned()),
            // between letters of scripts that join, and inside emoji, a joiner is part of the spelling
            '\u{200c}' | '\u{200d}' if joins(before) && joins(chars.peek().copied()) => Shown::Plain(c),
            _ if hides(c) => Shown::Mark(format!("U+{:04X}", u32::from(c))),
            _ => Shown::Plain(c),
        });
        before = Some(c);
    }
    out
}

/// True for characters that show nothing or reorder their neighbours.
fn hides(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text for an HTML element or a quoted attribute.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for piece in shown(text) {
        match piece {
            Shown::Plain(c) => push_html(&mut out, c),
            Shown::Newline => out.push('\n'),
            Shown::Mark(name) => push_mark(&mut out, &name),
        }
    }
    out
}

/// Text for an HTML element, with hidden characters set apart.
pub(super) fn html_rich(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for piece in shown(text) {
        match piece {
            Shown::Plain(c) => push_html(&mut out, c),
            Shown::Newline => out.push('\n'),
            Shown::Mark(name) => out.push_str(&format!("<span class=\"mark\">{name}</span>")),
        }
    }
    out
}

fn push_html(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        c => out.push(c),
    }
}

/// A hidden character's name; control pictures stand for themselves.
fn push_mark(out: &mut String, name: &str) {
    if name.starts_with("U+") {
        out.push_str(&format!("⟨{name}⟩"));
    } else {
        out.push_str(name);
    }
}

/// Text on one line of Markdown, none of it taken for markup: safe at the start of a line, in a table and in a sentence.
pub(super) fn markdown(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for piece in shown(text) {
        match piece {
            Shown::Plain(c) if c.is_whitespace() => line.push(' '),
            Shown::Plain(c) => line.push(c),
            Shown::Newline => line.push_str(" ↵ "),
            Shown::Mark(name) => push_mark(&mut line, &name),
        }
    }
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    let mut out = String::with_capacity(line.len() + 8);
    let mut only_digits = true;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let special = match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '@' => true,
            '#' | '+' | '-' | '=' => out.is_empty(),
            '.' | ')' if only_digits && !out.is_empty() => chars.peek().is_none_or(|next| *next == ' '),
            // GitHub makes links of these
            '.' => out.ends_with("www") || out.ends_with("WWW"),
            ':' => chars.peek() == Some(&'/'),
            _ => false,
        };
        if special {
            out.push('\\');
        }
        only_digits &= c.is_ascii_digit();
        out.push(c);
    }
    out
}

/// An identifier as Markdown code; not for tables, where a pipe would end the cell.
pub(super) fn markdown_code(text: &str) -> String {
    let line: String = shown(text)
        .into_iter()
        .map(|piece| match piece {
            Shown::Plain(c) if c.is_whitespace() => " ".to_owned(),
            Shown::Plain(c) => c.to_string(),
            Shown::Newline => " ↵ ".to_owned(),
            Shown::Mark(name) => format!("⟨{name}⟩"),
        })
        .collect();
    if line.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let fence = fence(&line, 1);
    if line.contains('`') { format!("{fence} {line} {fence}") } else { format!("{fence}{line}{fence}") }
}

/// A run of backticks that `text` does not contain, of at least `least`.
pub(super) fn fence(text: &str, least: usize) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(least.max(longest + 1))
}

/// The beginning of a text, and how many characters were cut off its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clipped {
    /// What is left.
    pub(super) text: String,
    /// Characters cut off.
    pub(super) cut: usize,
}

/// Cuts a text down to about `limit` characters and 12 lines, never between a letter and its marks.
pub(super) fn clip(text: &str, limit: usize) -> Clipped {
    let mut kept = String::new();
    let mut lines = 0;
    for (n, c) in text.chars().enumerate() {
        lines += usize::from(c == '\n');
        if (n >= limit && !(is_combining_mark(c) && n < limit + 16)) || lines >= 12 {
            break;
        }
        kept.push(c);
    }
    let cut = text.chars().count() - kept.chars().count();
    Clipped { text: kept, cut }
}

/// A short form of a name for a drawing: at most `limit` characters, with an ellipsis where some are missing.
pub(super) fn short(name: &str, limit: usize) -> String {
    let clipped = clip(name, limit.saturating_sub(1));
    if clipped.cut <= 1 { name.to_owned() } else { format!("{}…", clipped.text.trim_end()) }
}

/// A score with four decimals, fewer for large values; a dash where it is undefined.
pub(super) fn score(value: f64) -> String {
    if !value.is_finite() {
        return if value == f64::INFINITY { "∞".to_owned() } else { "–".to_owned() };
    }
    let decimals = match value.abs() {
        x if x < 10.0 => 4,
        x if x < 100.0 => 3,
        x if x < 1000.0 => 2,
        _ => 1,
    };
    fixed(value, decimals)
}

/// [`score`] of a value that may be missing.
pub(super) fn score_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), score)
}

/// A number with `decimals` decimals, a true minus sign and no negative zero.
pub(super) fn fixed(value: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", value.abs());
    let negative = value < 0.0 && digits.bytes().any(|b| (b'1'..=b'9').contains(&b));
    if negative { format!("\u{2212}{digits}") } else { digits }
}

/// A count, with commas between thousands.
pub(super) fn count(n: u64) -> String {
    crate::record::number(n)
}

/// A count with its noun: `1 row`, `2 rows`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A share of a whole in per cent; a dash where the whole is nothing.
pub(super) fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".to_owned(),
        whole => format!("{}%", fixed(100.0 * part as f64 / whole as f64, 1)),
    }
}

/// A stretch of time for people.
pub(super) fn seconds(s: f64) -> String {
    if !s.is_finite() || s < 0.0 {
        return "–".to_owned();
    }
    if s < 0.0005 {
        return "0 s".to_owned();
    }
    if s < 0.0995 {
        return format!("{s:.3} s");
    }
    if s < 0.995 {
        return format!("{s:.2} s");
    }
    if s < 9.95 {
        return format!("{s:.1} s");
    }
    let whole = s.round().min(1e15) as u64;
    match whole {
        0..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_takes_no_markup_from_data() {
        assert_eq!(html("<b a='1' b=\"2\">&amp;"), "&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;amp;");
        assert_eq!(html_rich("a\u{202e}<"), "a<span class=\"mark\">U+202E</span>&lt;");
    }

    #[test]
    fn what_hides_is_named() {
        assert_eq!(html("a\0b\x1bc\u{7f}\u{85}d\u{200b}e\u{feff}"), "a␀b␛c␡⟨U+0085⟩d⟨U+200B⟩e⟨U+FEFF⟩");
        assert_eq!(html("one\r\ntwo\tthree\r"), "one\ntwo\tthree␍");
        // a joiner inside an emoji or a word of a joining script stays, elsewhere it shows
        assert_eq!(html("👩\u{200d}🔬 a\u{200d}b می\u{200c}خواهم"), "👩\u{200d}🔬 a⟨U+200D⟩b می\u{200c}خواهم");
    }

    #[test]
    fn markdown_takes_no_markup_from_data() {
        assert_eq!(markdown("# a | b\n* `c` [d](e) _f_"), r"\# a \| b ↵ \* \`c\` \[d\](e) \_f\_");
        assert_eq!(markdown("12. x 12. y"), r"12\. x 12. y");
        assert_eq!(
            (markdown("0.8107"), markdown("...and"), markdown("7)")),
            ("0.8107".into(), "...and".into(), r"7\)".into())
        );
        assert_eq!(markdown("    code"), "code");
        assert_eq!(
            markdown("http://x www.y.z a@b <i> ~~s~~ $x$ &lt;"),
            r"http\://x www\.y.z a\@b \<i\> \~\~s\~\~ \$x\$ \&lt;"
        );
        assert_eq!(markdown("- x"), r"\- x");
        assert_eq!(markdown("well-known"), "well-known");
        assert_eq!(markdown_code("a``b"), "``` a``b ```");
        assert_eq!(markdown_code("row|1"), "`row|1`");
    }

    #[test]
    fn clipping_counts_what_it_cut_and_keeps_letters_whole() {
        assert_eq!(clip("abc", 3), Clipped { text: "abc".into(), cut: 0 });
        assert_eq!(clip("abcdef", 3), Clipped { text: "abc".into(), cut: 3 });
        assert_eq!(clip("abe\u{301}f", 3), Clipped { text: "abe\u{301}".into(), cut: 1 });
        assert_eq!(clip(&"x\n".repeat(20), 500).cut, 40 - 23);
        assert_eq!(short("card_payment_fee_charged", 12), "card_paymen…");
        assert_eq!(short("exactly-12-c", 12), "exactly-12-c");
    }

    #[test]
    fn backticks_in_messages_become_code() {
        let line = message("`clean`: cut `a`");
        assert_eq!(line, [Span::Code("clean".into()), text(": cut "), Span::Code("a".into())]);
        assert_eq!(message("a ` b"), [text("a ` b")]);
    }

    #[test]
    fn numbers_have_sensible_digits() {
        assert_eq!(score(0.813_52), "0.8135");
        assert_eq!(score(-0.000_01), "0.0000");
        assert_eq!(score(-0.25), "−0.2500");
        assert_eq!(score(123.456), "123.46");
        assert_eq!(score(f64::NAN), "–");
        assert_eq!(score(f64::INFINITY), "∞");
        assert_eq!((count(7), count(9999), count(10_605)), ("7".into(), "9,999".into(), "10,605".into()));
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(0, 0), "–");
        let times = [0.0, 0.002, 0.31, 4.23, 38.4, 200.0, 3840.0, 7500.0, f64::NAN];
        let shown = ["0 s", "0.002 s", "0.31 s", "4.2 s", "38 s", "3 min 20 s", "64 min 00 s", "2 h 05 min", "–"];
        assert_eq!(times.map(seconds), shown);
    }
}
