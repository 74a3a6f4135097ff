//! What is the text in some HTML?

use std::borrow::Cow;
use std::convert::Infallible;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Error as HtmlError, Span, Tokenizer};

/// Tags that divide text: a space stands where they stood.
const BLOCKS: [&[u8]; 41] = [
    b"address",
    b"article",
    b"aside",
    b"blockquote",
    b"body",
    b"br",
    b"caption",
    b"center",
    b"dd",
    b"details",
    b"dialog",
    b"div",
    b"dl",
    b"dt",
    b"fieldset",
    b"figcaption",
    b"figure",
    b"footer",
    b"form",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"header",
    b"hr",
    b"html",
    b"li",
    b"main",
    b"nav",
    b"ol",
    b"option",
    b"p",
    b"pre",
    b"section",
    b"table",
    b"td",
    b"th",
    b"tr",
    b"ul",
];

/// The text of some markup. A tag that the text ends in was none and stays.
pub(super) fn strip(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '&']) {
        return Cow::Borrowed(text);
    }
    let mut out = Stripped::default();
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, span: Span<usize>| -> Option<Infallible> {
        out.event(&event, span);
        None
    });
    emitter.naively_switch_states(true);
    let Ok(()) = Tokenizer::new_with_emitter(text, emitter).finish();
    let Stripped { mut kept, unclosed, closed_at, .. } = out;
    // a tag that the text ends in was none: what follows its `<` is text
    if unclosed {
        let rest = text.get(closed_at..).unwrap_or_default();
        let opens = rest.char_indices().find(|&(at, c)| {
            let next = rest.get(at + 1..).and_then(|after| after.chars().next());
            c == '<' && next.is_some_and(|n| n.is_ascii_alphabetic() || n == '/')
        });
        if let Some(lost) = opens.and_then(|(at, _)| rest.get(at..)) {
            kept.extend_from_slice(lost.as_bytes());
        }
    }
    Cow::Owned(String::from_utf8_lossy(&kept).into_owned())
}

/// The text with its entities unescaped once, and nothing else changed.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('&');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        // what may be an entity: the tokenizer would read markup in what follows, and make one of two line ends
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(piece.len());
        let end = end + usize::from(piece.get(end..).is_some_and(|rest| rest.starts_with(';')));
        let (entity, rest) = piece.split_at(end);
        out.push_str(&strip(&format!("&{entity}")));
        out.push_str(rest);
    }
    Cow::Owned(out)
}

#[derive(Default)]
struct Stripped {
    kept: Vec<u8>,
    /// Inside `script` or `style`.
    hidden: bool,
    /// The text ended inside a tag.
    unclosed: bool,
    /// Where the last tag or comment ended.
    closed_at: usize,
}

impl Stripped {
    fn event(&mut self, event: &CallbackEvent<'_>, span: Span<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.hidden = matches!(*name, b"script" | b"style");
                self.divide(name);
            }
            CallbackEvent::EndTag { name } => {
                self.hidden = false;
                self.divide(name);
                self.closed_at = span.end;
            }
            CallbackEvent::CloseStartTag { .. } | CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } => {
                self.closed_at = span.end;
            }
            CallbackEvent::String { value } if !self.hidden => self.kept.extend_from_slice(value),
            CallbackEvent::Error(HtmlError::EofInTag) => self.unclosed = true,
            _ => {}
        }
    }

    fn divide(&mut self, name: &[u8]) {
        if BLOCKS.contains(&name) {
            self.kept.push(b' ');
        }
    }
}
