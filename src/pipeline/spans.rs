//! Where in the text does each key and value of a YAML document stand?
//!
//! serde_yaml reads values but knows no places and keeps the last of two equal keys; this second, marked parse finds both.
//! Aliases stand for what they name, and `<<` brings in the keys of other maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScanError, Span};

/// Deeper nesting than this is refused, so that nothing below needs to fear for the stack.
const DEEPEST: usize = 64;

/// A place: line and column from 1, in characters; length 0 where the value has no text of its own on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    mark: Mark,
    height: usize,
    content: Arc<Content>,
}

#[derive(Debug)]
enum Content {
    Scalar,
    List(Vec<Node>),
    Map(Vec<(String, Mark, Node)>),
}

/// What is wrong with the text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not YAML, or YAML that a pipeline has no use for.
    Syntax { message: String, mark: Mark, help: Option<&'static str> },
    /// A key that its map has already.
    Duplicate { key: String, first: Mark, second: Mark },
    /// No value at all.
    Empty,
}

impl Node {
    /// The place of the value at `path`; the key's place where the value has none on one line.
    pub(super) fn value(&self, path: &[&str]) -> Option<Mark> {
        let (key, node) = self.find(path)?;
        if node.mark.length == 0 { key.or(Some(node.mark)) } else { Some(node.mark) }
    }

    /// The place of the last key of `path`; an item of a list has none but its own.
    pub(super) fn key(&self, path: &[&str]) -> Option<Mark> {
        let (key, node) = self.find(path)?;
        key.or(Some(node.mark))
    }

    /// The keys of the map at `path`, in the order of the text; those that `<<` brings in last.
    pub(super) fn keys(&self, path: &[&str]) -> Vec<&str> {
        self.find(path).map(|(_, node)| node.own_keys()).unwrap_or_default()
    }

    fn own_keys(&self) -> Vec<&str> {
        let Content::Map(entries) = self.content.as_ref() else {
            return Vec::new();
        };
        let mut keys: Vec<&str> =
            entries.iter().map(|(name, _, _)| name.as_str()).filter(|name| *name != "<<").collect();
        for key in self.merged().flat_map(Node::own_keys) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    fn find(&self, path: &[&str]) -> Option<(Option<Mark>, &Node)> {
        let Some((first, rest)) = path.split_first() else {
            return Some((None, self));
        };
        let (key, child) = self.child(first)?;
        if rest.is_empty() { Some((key, child)) } else { child.find(rest) }
    }

    fn child(&self, name: &str) -> Option<(Option<Mark>, &Node)> {
        match self.content.as_ref() {
            Content::Scalar => None,
            Content::List(items) => items.get(name.parse::<usize>().ok()?).map(|item| (None, item)),
            Content::Map(entries) => entries
                .iter()
                .find(|(key, _, _)| key == name)
                .map(|(_, mark, node)| (Some(*mark), node))
                .or_else(|| self.merged().find_map(|node| node.child(name))),
        }
    }

    /// The maps under `<<`.
    fn merged(&self) -> impl Iterator<Item = &Node> {
        let entries = match self.content.as_ref() {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter(|(key, _, _)| key == "<<").flat_map(|(_, _, node)| match node.content.as_ref() {
            Content::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        })
    }
}

/// Reads the text: one document, no tags, no doubled keys.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(syntax(&error, text)),
        };
        if let Err(fault) = step {
            builder.faults.push(fault);
            return Err(builder.faults);
        }
    }
    match builder.root {
        Some(root) if builder.faults.is_empty() => Ok(root),
        Some(_) => Err(builder.faults),
        None => Err(vec![Fault::Empty]),
    }
}

/// A list or map that is not closed yet.
struct Open {
    mark: Mark,
    start: Marker,
    anchor: usize,
    key: Option<(String, Mark)>,
    seen: BTreeMap<String, Mark>,
    content: Content,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Node>,
    documents: usize,
    faults: Vec<Fault>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let mark = mark(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(fault("a second document begins here", mark, Some("keep one pipeline in a file")));
                }
            }
            Event::Scalar(_, _, _, Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag)) => {
                let message = format!("the tag `{tag}` has no meaning here");
                return Err(fault(message, mark, Some("quote the value if it is text, or leave the tag out")));
            }
            Event::Scalar(text, _, anchor, None) => {
                if let Some(open) = self.awaiting_key() {
                    let name = text.into_owned();
                    let first = open.seen.get(&name).copied();
                    open.seen.entry(name.clone()).or_insert(mark);
                    open.key = Some((name.clone(), mark));
                    if let Some(first) = first {
                        self.faults.push(Fault::Duplicate { key: name, first, second: mark });
                    }
                } else {
                    self.add(Node { mark, height: 1, content: Arc::new(Content::Scalar) }, anchor)?;
                }
            }
            Event::SequenceStart(anchor, None) => self.begin(Content::List(Vec::new()), span, anchor)?,
            Event::MappingStart(anchor, None) => self.begin(Content::Map(Vec::new()), span, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => self.end(span)?,
            Event::Alias(anchor) => {
                self.refuse_as_key(mark)?;
                let Some(target) = self.anchors.get(&anchor) else {
                    return Err(fault("this alias names a value that contains it", mark, None));
                };
                let node = Node { mark, ..target.clone() };
                self.add(node, 0)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn awaiting_key(&mut self) -> Option<&mut Open> {
        self.open.last_mut().filter(|open| matches!(open.content, Content::Map(_)) && open.key.is_none())
    }

    fn refuse_as_key(&mut self, mark: Mark) -> Result<(), Fault> {
        match self.awaiting_key() {
            Some(_) => Err(fault("a key must be a word", mark, Some("quote a value that begins with `{`, `[` or `*`"))),
            None => Ok(()),
        }
    }

    fn begin(&mut self, content: Content, span: Span, anchor: usize) -> Result<(), Fault> {
        let mark = mark(span);
        self.refuse_as_key(mark)?;
        if self.open.len() >= DEEPEST {
            return Err(fault(format!("nested deeper than {DEEPEST} levels"), mark, None));
        }
        self.open.push(Open { mark, start: span.start, anchor, key: None, seen: BTreeMap::new(), content });
        Ok(())
    }

    fn end(&mut self, span: Span) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let one_line = open.start.line() == span.end.line() && span.end.index() > open.start.index();
        let length = if one_line && !span.is_empty() { span.end.index() - open.start.index() } else { 0 };
        let height = match &open.content {
            Content::Scalar => 0,
            Content::List(items) => items.iter().map(|node| node.height).max().unwrap_or(0),
            Content::Map(entries) => entries.iter().map(|(_, _, node)| node.height).max().unwrap_or(0),
        };
        let node = Node { mark: Mark { length, ..open.mark }, height: height + 1, content: Arc::new(open.content) };
        self.add(node, open.anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if node.height > DEEPEST {
            return Err(fault(format!("nested deeper than {DEEPEST} levels"), node.mark, None));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(open) => match &mut open.content {
                Content::List(items) => items.push(node),
                Content::Map(entries) => {
                    if let Some((name, mark)) = open.key.take() {
                        entries.push((name, mark, node));
                    }
                }
                Content::Scalar => {}
            },
        }
        Ok(())
    }
}

fn mark(span: Span) -> Mark {
    let length = if span.start.line() == span.end.line() { span.len() } else { usize::from(!span.is_empty()) };
    Mark { line: span.start.line(), column: span.start.col() + 1, length }
}

fn fault(message: impl Into<String>, mark: Mark, help: Option<&'static str>) -> Fault {
    Fault::Syntax { message: message.into(), mark, help }
}

/// The parser's complaint; tabs in the indentation are named, since nobody sees them.
fn syntax(error: &ScanError, text: &str) -> Fault {
    let at = Mark { line: error.marker().line().max(1), column: error.marker().col() + 1, length: 1 };
    let indent = |line: usize| -> Option<usize> {
        let text = text.lines().nth(line.checked_sub(1)?)?;
        text.chars().take_while(|c| c.is_whitespace()).position(|c| c == '\t')
    };
    for line in [at.line, at.line.saturating_sub(1)] {
        if let Some(column) = indent(line) {
            let mark = Mark { line, column: column + 1, length: 1 };
            return fault("a tab cannot indent YAML", mark, Some("indent with spaces"));
        }
    }
    let info = error.info();
    let help = if info.contains("mapping values are not allowed") || info.contains("':'") {
        Some("check the indentation, and quote text that holds `: `")
    } else if info.contains("flow") || info.contains("bracket") {
        Some("close every `[` and `{`, and put a comma between items")
    } else if info.contains("quoted") {
        Some("close the quotes")
    } else {
        None
    };
    fault(format!("this is not YAML: {info}"), at, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &[&str]) -> (usize, usize, usize) {
        let mark = parse(text).unwrap().value(path).unwrap();
        (mark.line, mark.column, mark.length)
    }

    fn faults(text: &str) -> Vec<Fault> {
        parse(text).unwrap_err()
    }

    #[test]
    fn values_have_places() {
        let text = "a: 1\nb:\n  c: { d: [x, 'yz'] }\n  é: ü\ne:\n";
        assert_eq!(at(text, &["a"]), (1, 4, 1));
        assert_eq!(at(text, &["b"]), (2, 1, 1));
        assert_eq!(at(text, &["b", "c"]), (3, 6, 16));
        assert_eq!(at(text, &["b", "c", "d", "1"]), (3, 15, 4));
        assert_eq!(at(text, &["b", "é"]), (4, 6, 1));
        assert_eq!(at(text, &["e"]), (5, 1, 1));
        let key = parse(text).unwrap().key(&["b", "c", "d"]).unwrap();
        assert_eq!((key.line, key.column, key.length), (3, 8, 1));
    }

    #[test]
    fn aliases_and_merge_keys_lead_to_what_they_name() {
        let text = "base: &b { x: 1, y: 2 }\nother:\n  <<: *b\n  y: 3\nagain: *b\n";
        assert_eq!(at(text, &["other", "x"]), (1, 15, 1));
        assert_eq!(at(text, &["other", "y"]), (4, 6, 1));
        assert_eq!(at(text, &["again", "y"]), (1, 21, 1));
        assert_eq!(parse(text).unwrap().keys(&["other"]), ["y", "x"]);
    }

    #[test]
    fn doubled_keys_are_found_at_the_second_in_any_map() {
        let found = faults("a: 1\nb: { c: 1, d: 2, c: 3 }\na: 2\n");
        let seconds: Vec<(usize, usize)> = found
            .iter()
            .map(|fault| match fault {
                Fault::Duplicate { second, .. } => (second.line, second.column),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seconds, [(2, 18), (3, 1)]);
    }

    #[test]
    fn faults_have_places() {
        for (text, line, word) in [
            ("a:\n\tb: 1\n", 2, "tab"),
            ("a: [1, 2\nb: 3\n", 2, "not YAML"),
            ("a: b: c\n", 1, "not YAML"),
            ("a: 1\n---\nb: 2\n", 2, "second document"),
            ("a: !thing 1\n", 1, "tag"),
            ("? [a, b]\n: 1\n", 1, "key"),
            ("a: &x [*x]\n", 1, "contains it"),
            ("a: \"x\n", 1, "not YAML"),
        ] {
            match faults(text).first().unwrap() {
                Fault::Syntax { message, mark, .. } => {
                    assert!(message.contains(word), "{text:?}: {message}");
                    assert_eq!(mark.line, line, "{text:?}: {message}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
        for text in ["", "# nothing\n", "\n\n"] {
            assert_eq!(faults(text), [Fault::Empty], "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(faults(&deep).first(), Some(Fault::Syntax { .. })));
        let mut chain = String::from("a0: &a0 [x]\n");
        for i in 1..200 {
            chain.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        }
        assert!(matches!(faults(&chain).first(), Some(Fault::Syntax { .. })));
    }
}
