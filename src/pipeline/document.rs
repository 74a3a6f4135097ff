//! What does one YAML file say, and where?

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Value};

use super::spans::{self, Fault, Mark, Node};
use crate::problem::{Origin, Problem, Problems};

/// A pipeline file is not larger than this many bytes.
const LARGEST: u64 = 4 << 20;

/// One file: its values and their places.
#[derive(Debug)]
pub(super) struct Document {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) values: Dict,
    text: Text,
    tree: Node,
}

/// A file's name and lines.
#[derive(Debug)]
struct Text {
    name: Arc<str>,
    lines: Vec<Arc<str>>,
}

impl Document {
    /// Reads the file; `asked_by` is the place that named it, if a file did.
    pub(super) fn read(path: &Path, asked_by: Option<Origin>) -> Result<Document, Problems> {
        let name: Arc<str> = path.display().to_string().into();
        let whole = Origin::WholeFile { file: name.clone() };
        let unreadable = |why: String| {
            Problem::error("io", format!("cannot read `{name}`"))
                .at(asked_by.clone().or(Some(whole.clone())))
                .because(why)
        };
        let size = fs::metadata(path).map_err(|error| unreadable(spoken(&error)))?.len();
        if size > LARGEST {
            return Err(unreadable(format!("it is larger than {} MiB", LARGEST >> 20))
                .help("is this a pipeline file?")
                .into());
        }
        let bytes = fs::read(path).map_err(|error| unreadable(spoken(&error)))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            unreadable(format!("byte {} is not UTF-8", error.utf8_error().valid_up_to())).help("save the file as UTF-8")
        })?;
        Document::parse(path, &text)
    }

    /// Reads text that stands for the file at `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Document, Problems> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let place = Text {
            name: path.display().to_string().into(),
            lines: text.split('\n').map(|line| Arc::from(line.trim_end_matches('\r'))).collect(),
        };
        let tree = spans::parse(text)
            .map_err(|faults| Problems(faults.into_iter().map(|fault| place.problem(fault)).collect()))?;
        let value: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| place.serde(&error))?;
        let mut problems = Problems::default();
        let mut reader = Reader { tree: &tree, text: &place, problems: &mut problems };
        let value = reader.value(&value, &mut Vec::new());
        match value {
            Value::Dict(_, values) if problems.0.is_empty() => {
                Ok(Document { path: path.to_owned(), values, text: place, tree })
            }
            Value::Dict(..) => Err(problems),
            _ => Err(Problem::error("wrong-type", "a pipeline file must be a map of keys and values")
                .at(tree.value(&[]).map(|mark| place.origin(mark)))
                .help("it begins with `name: …` and `stages:`")
                .into()),
        }
    }

    /// The file's name as a person would type it.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.text.name
    }

    /// The place of the value at `path`.
    pub(super) fn value_origin(&self, path: &[&str]) -> Option<Origin> {
        self.tree.value(path).map(|mark| self.text.origin(mark))
    }

    /// The place of the last key of `path`.
    pub(super) fn key_origin(&self, path: &[&str]) -> Option<Origin> {
        self.tree.key(path).map(|mark| self.text.origin(mark))
    }

    /// The keys of the map at `path`, in the order of the text.
    pub(super) fn keys(&self, path: &[&str]) -> Vec<&str> {
        self.tree.keys(path)
    }
}

impl Text {
    fn origin(&self, mark: Mark) -> Origin {
        Origin::File {
            file: self.name.clone(),
            line: mark.line,
            column: mark.column,
            length: mark.length.max(1),
            text: self.lines.get(mark.line.saturating_sub(1)).cloned().unwrap_or_else(|| "".into()),
        }
    }

    fn problem(&self, fault: Fault) -> Problem {
        match fault {
            Fault::Syntax { message, mark, help } => {
                let problem = Problem::error("yaml", message).at(self.origin(mark));
                match help {
                    Some(help) => problem.help(help),
                    None => problem,
                }
            }
            Fault::Duplicate { key, first, second } => {
                Problem::error("duplicate-key", format!("`{key}` is set twice in one map"))
                    .at(self.origin(second))
                    .help("keep one of the two")
                    .note(format!("it is first set at {}:{}:{}", self.name, first.line, first.column))
            }
            Fault::Empty => Problem::error("empty-file", format!("`{}` says nothing", self.name))
                .at(Origin::WholeFile { file: self.name.clone() })
                .help("a pipeline has at least `name: …` and `stages: …`"),
        }
    }

    fn serde(&self, error: &serde_yaml::Error) -> Problem {
        let place = error.location().map(|at| self.origin(Mark { line: at.line(), column: at.column(), length: 1 }));
        let whole = Origin::WholeFile { file: self.name.clone() };
        Problem::error("yaml", format!("this is not YAML: {error}")).at(place.unwrap_or(whole))
    }
}

/// Turns serde_yaml's values into figment's, with `<<` worked in and keys as text.
struct Reader<'a> {
    tree: &'a Node,
    text: &'a Text,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn value(&mut self, value: &serde_yaml::Value, path: &mut Vec<String>) -> Value {
        use serde_yaml::Value as Yaml;
        match value {
            Yaml::Null => Value::from(figment::value::Empty::Unit),
            Yaml::Bool(truth) => Value::from(*truth),
            Yaml::String(text) => Value::from(text.as_str()),
            Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(n), _, _) => Value::from(n),
                (_, Some(n), _) => Value::from(n),
                (_, _, Some(n)) if n.is_finite() => Value::from(n),
                _ => {
                    self.complain(path, "wrong-type", "a number must be finite".to_owned());
                    Value::from(0_u64)
                }
            },
            Yaml::Sequence(items) => {
                let item = |(index, item): (usize, &Yaml)| {
                    path.push(index.to_string());
                    let value = self.value(item, path);
                    path.pop();
                    value
                };
                Value::from(items.iter().enumerate().map(item).collect::<Vec<Value>>())
            }
            Yaml::Mapping(entries) => Value::from(self.map(entries, path)),
            Yaml::Tagged(tagged) => self.value(&tagged.value, path),
        }
    }

    fn map(&mut self, entries: &serde_yaml::Mapping, path: &mut Vec<String>) -> Dict {
        use serde_yaml::Value as Yaml;
        let mut dict = Dict::new();
        for (key, value) in entries {
            let name = key_text(key);
            path.push(name.clone());
            if name == "<<" {
                let maps: &[Yaml] = match value {
                    Yaml::Sequence(items) => items,
                    other => std::slice::from_ref(other),
                };
                for map in maps {
                    match self.value(map, path) {
                        Value::Dict(_, more) => {
                            for (name, value) in more {
                                if !entries.contains_key(name.as_str()) {
                                    dict.entry(name).or_insert(value);
                                }
                            }
                        }
                        _ => self.complain(path, "yaml", "`<<` takes a map, or a list of maps".to_owned()),
                    }
                }
            } else {
                let value = self.value(value, path);
                dict.insert(name, value);
            }
            path.pop();
        }
        dict
    }

    fn complain(&mut self, path: &[String], code: &'static str, message: String) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let place = self.tree.value(&path).map(|mark| self.text.origin(mark));
        self.problems.push(Problem::error(code, message).at(place));
    }
}

fn key_text(key: &serde_yaml::Value) -> String {
    match key {
        serde_yaml::Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other).map(|text| text.trim_end().to_owned()).unwrap_or_default(),
    }
}

fn spoken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Style, render};

    fn parse(text: &str) -> Result<Document, Problems> {
        Document::parse(Path::new("p.yaml"), text)
    }

    #[test]
    fn merge_keys_bring_values_in_and_own_keys_win() {
        let document = parse("b: &b { x: 1, y: 2 }\no: { <<: *b, y: 3 }\nl: { <<: [*b, { z: 4, x: 9 }] }\n").unwrap();
        let find = |path: &str| Value::from(document.values.clone()).find(path).and_then(|v| v.to_u128());
        assert_eq!([find("o.x"), find("o.y"), find("l.x"), find("l.z")], [Some(1), Some(3), Some(1), Some(4)]);
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
        let document = parse("\u{feff}a: 1\r\nb: x\r\n").unwrap();
        match document.value_origin(&["b"]) {
            Some(Origin::File { line: 2, column: 4, length: 1, text, .. }) => assert_eq!(text.as_ref(), "b: x"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn broken_files_are_refused_with_a_place() {
        for (text, expected) in [
            ("a: .nan\n", "error[wrong-type]: a number must be finite\n  --> p.yaml:1:4\n"),
            ("- a\n", "error[wrong-type]: a pipeline file must be a map"),
            ("a: { <<: 3 }\n", "error[yaml]: `<<` takes a map, or a list of maps\n  --> p.yaml:1:10\n"),
            ("", "error[empty-file]: `p.yaml` says nothing\n  --> p.yaml\n"),
            ("a: 1\na: 2\n", "error[duplicate-key]: `a` is set twice in one map\n  --> p.yaml:2:1\n"),
        ] {
            let shown = render(&parse(text).unwrap_err(), Style::Plain);
            assert!(shown.starts_with(expected), "{text:?}:\n{shown}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let shown = render(&Document::read(Path::new("no/such.yaml"), None).unwrap_err(), Style::Plain);
        assert_eq!(
            shown,
            "error[io]: cannot read `no/such.yaml`\n  --> no/such.yaml\n   caused by: there is no such file\n"
        );
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")));
        }
        assert!(parse(&bomb).is_err());
    }
}
