//! How does text stay text, whatever it holds? One function for each form that it may stand in.

/// Text with everything written out that a program would obey, or that a person would not see: control characters and line
/// breaks, marks that turn the direction of text, characters without a width, and what XML 1.0 has no place for.
pub fn shown(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Text in XML 1.0, in an element or in an attribute.
pub fn xml(text: &str) -> String {
    let mut out = String::new();
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            _ => out.push(c),
        }
    }
    out
}

/// JSON, with what a person would not see in it written out; it means the same.
pub fn json(text: &str) -> String {
    let mut units = [0; 2];
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Line breaks between values are no text.
        if c.is_ascii() || !is_hidden(c) {
            out.push(c);
        } else {
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

/// Text in Markdown, in a cell of a table too: every mark that could mean something is an entity, which no Markdown obeys.
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in shown(text).chars() {
        match c {
            _ if c.is_alphanumeric()
                || matches!(c, ' ' | '.' | ',' | ';' | '(' | ')' | '/' | '%' | '-' | '=' | '+' | '→' | '…' | '–') =>
            {
                out.push(c);
            }
            _ if c.is_ascii() => out.push_str(&format!("&#{};", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

/// A name in Markdown, as code: there a name that begins with `@` calls nobody.
pub fn markdown_code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<code>{}</code>", markdown(text)) }
}

/// A sentence in Markdown, in which names stand in backticks.
pub fn markdown_sentence(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    // A name that has a backtick in it leaves them odd: then all is one piece.
    if pieces.len().is_multiple_of(2) {
        return markdown_code(text);
    }
    let one = |(at, piece): (usize, &&str)| if at % 2 == 1 { markdown_code(piece) } else { markdown(piece) };
    pieces.iter().enumerate().map(one).collect()
}

/// The message of one of GitHub's workflow commands.
pub fn command_message(text: &str) -> String {
    shown(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of one of GitHub's workflow commands.
pub fn command_property(text: &str) -> String {
    command_message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "a\x1b[2J\n::error::x %0A <script>|`*_[l](u)@you \u{202e}\u{200b}\u{e0041}\u{fffe}\0&\"'";

    #[test]
    fn nothing_hidden_is_left() {
        let all = shown(NASTY);
        assert!(all.chars().all(|c| !is_hidden(c)), "{all}");
        assert!(all.contains("\\u{1b}[2J\\n") && all.contains("\\u{202e}") && all.contains("\\u{e0041}"), "{all}");
    }

    #[test]
    fn xml_has_no_marks_of_its_own() {
        let text = xml(NASTY);
        assert!(!text.contains(['<', '>', '"', '\'']), "{text}");
        assert!(text.contains("&lt;script&gt;") && text.contains("&amp;"), "{text}");
    }

    #[test]
    fn markdown_has_no_marks_of_its_own() {
        let text = markdown(NASTY);
        assert!(!text.contains(['<', '>', '|', '`', '*', '_', '[', ']', '@', ':', '!', '\\', '"']), "{text}");
        assert_eq!(markdown_sentence("`a|b` went"), "<code>a&#124;b</code> went");
        assert_eq!(markdown_sentence("`a`b` went").matches("<code>").count(), 1);
    }

    #[test]
    fn commands_stay_on_their_line() {
        let message = command_message(NASTY);
        assert!(!message.contains(['\n', '\r']) && message.contains("%250A"), "{message}");
        assert!(!command_property("a:b,c\nd").contains([':', ',', '\n']));
    }
}
