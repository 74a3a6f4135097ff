//! `fuseline schema`: JSON schemas and the manual, all made from the types that read the files.

use std::path::Path;

use schemars::{SchemaGenerator, schema_for};
use serde_json::Value;

use super::args::SchemaKind;
use super::console::{out, say};
use super::context::Context;
use super::exit::Exit;
use crate::bundle::Bundle;
use crate::emit::Report;
use crate::gate::Baseline;
use crate::pipeline;
use crate::record::Summary;
use crate::settings::Settings;
use crate::stage::Kind;
use crate::stages::STAGES;
use crate::ui::json::Line;

/// Runs the command.
pub(super) fn schema(_: &Context, which: SchemaKind, folder: Option<&Path>) -> Exit {
    let Some(folder) = folder else {
        let name = match which {
            SchemaKind::Pipeline => "pipeline",
            SchemaKind::Summary => "summary",
            SchemaKind::Settings => "settings",
            SchemaKind::Events => "events",
            SchemaKind::Bundle => "bundle",
            SchemaKind::Baseline => "baseline",
            SchemaKind::Gate => "gate",
        };
        let wanted = format!("{name}.schema.json");
        let found = schemas().into_iter().find(|(file, _)| *file == wanted);
        return found.map_or(Exit::Usage, |(_, text)| out(text.as_bytes()));
    };
    let write = || {
        std::fs::create_dir_all(folder)?;
        schemas().into_iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
    };
    match write() {
        Ok(()) => Exit::Success,
        Err(error) => {
            say(&format!("error: cannot write to `{}`: {error}", folder.display()));
            Exit::Usage
        }
    }
}

/// Every schema: file name and text.
pub fn schemas() -> Vec<(String, String)> {
    let text = |schema: &Value| serde_json::to_string_pretty(schema).map(|text| text + "\n").unwrap_or_default();
    vec![
        ("pipeline.schema.json".to_owned(), text(&pipeline::schema(STAGES))),
        ("summary.schema.json".to_owned(), text(schema_for!(Summary).as_value())),
        ("settings.schema.json".to_owned(), text(schema_for!(Settings).as_value())),
        ("events.schema.json".to_owned(), text(schema_for!(Line<'static>).as_value())),
        ("bundle.schema.json".to_owned(), text(schema_for!(Bundle).as_value())),
        ("baseline.schema.json".to_owned(), text(schema_for!(Baseline).as_value())),
        ("gate.schema.json".to_owned(), text(schema_for!(Report).as_value())),
    ]
}

/// The manual of all kinds, in Markdown: `docs/stages.md`.
pub fn stages_page() -> String {
    let mut page = "# Stages\n\nMade by `fuseline explain`; the same text, kind by kind. Do not edit: a test compares it with the code.\n".to_owned();
    for kind in STAGES {
        page.push_str(&format!("\n## {}\n\n```text\n{}```\n", kind.name, kind_page(kind)));
    }
    page
}

/// What a kind does, takes and looks like.
pub(super) fn kind_page(kind: &Kind) -> String {
    let mut generator = SchemaGenerator::default();
    let schema = (kind.schema)(&mut generator);
    let definitions = generator.take_definitions(true);
    let root = schema.as_value();
    let mut page = format!("{}: {}\n", kind.name, kind.summary);
    if let Some(text) = root.get("description").and_then(Value::as_str) {
        page.push_str(&format!("\n{}\n", wrapped(text, "", 100)));
    }
    page.push_str("\nparameters\n");
    let mut parameters = Parameters { definitions: &definitions, text: String::new() };
    parameters.object(root, 1);
    page.push_str(&parameters.text);
    page.push_str(&format!("\nexample\n  {}\n", kind.example));
    page
}

struct Parameters<'a> {
    definitions: &'a serde_json::Map<String, Value>,
    text: String,
}

impl Parameters<'_> {
    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|way| way.rsplit('/').next());
        name.and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }

    fn object(&mut self, schema: &Value, depth: usize) {
        let schema = self.resolved(schema).clone();
        let Some(fields) = schema.get("properties").and_then(Value::as_object) else {
            self.text.push_str(&format!("{}none\n", "  ".repeat(depth)));
            return;
        };
        for (name, field) in fields {
            let names = schema.get("required").and_then(Value::as_array);
            let required = names.is_some_and(|names| names.iter().any(|known| known == name));
            self.field(name, field, required, depth);
        }
    }

    fn field(&mut self, name: &str, field: &Value, required: bool, depth: usize) {
        let indent = "  ".repeat(depth);
        let target = self.essence(field).clone();
        let mut line = format!("{indent}{name}: {}", self.words(&target));
        let empty = |value: &Value| {
            value.is_null()
                || value.as_str() == Some("")
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(|fields| fields.values().any(Value::is_null))
        };
        if required {
            line.push_str(" [required]");
        } else if let Some(default) = field.get("default").filter(|value| !empty(value)) {
            line.push_str(&format!(" [default: {default}]"));
        }
        self.text.push_str(&line);
        self.text.push('\n');
        let own = field.get("description").or_else(|| target.get("description"));
        if let Some(text) = own.and_then(Value::as_str) {
            self.text.push_str(&wrapped(text, &format!("{indent}    "), 100));
            self.text.push('\n');
        }
        for choice in choices(&target) {
            self.choice(choice, depth + 2);
        }
        if target.get("properties").is_some() && depth < 4 {
            self.object(&target, depth + 2);
        }
    }

    /// One of several forms that a value may take.
    fn choice(&mut self, choice: &Value, depth: usize) {
        let indent = "  ".repeat(depth);
        let text = choice.get("description").and_then(Value::as_str).unwrap_or_default();
        if let Some(word) = choice.get("const") {
            let line = format!("{}: {text}", word.as_str().unwrap_or_default());
            self.line(line.trim_end_matches(": "), &indent);
        } else if let Some((name, inner)) = tagged(choice) {
            self.line(&format!("{{ {name}: … }} {text}"), &indent);
            if depth < 5 && self.resolved(inner).get("properties").is_some() {
                self.object(inner, depth + 2);
            }
        } else if choice.get("properties").is_some() {
            self.line(&format!("a map: {text}"), &indent);
            self.object(choice, depth + 2);
        }
    }

    /// What a form is; further lines of it stand further in.
    fn line(&mut self, text: &str, indent: &str) {
        let further = format!("{indent}    ");
        let lines = wrapped(text, &further, 100);
        self.text.push_str(indent);
        self.text.push_str(lines.trim_start());
        self.text.push('\n');
    }

    /// A schema without its wrapping for `null`.
    fn essence<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let schema = self.resolved(schema);
        let options = schema.get("anyOf").and_then(Value::as_array);
        let real: Vec<&Value> =
            options.into_iter().flatten().filter(|o| o.get("type") != Some(&Value::from("null"))).collect();
        match real.as_slice() {
            [only] => self.resolved(only),
            _ => schema,
        }
    }

    /// What a value may be, in words.
    fn words(&self, schema: &Value) -> String {
        let simple = |name: &str| match name {
            "integer" => "a whole number",
            "number" => "a number",
            "string" => "text",
            "boolean" => "true or false",
            "array" => "a list",
            "object" => "a map",
            _ => "",
        };
        let kinds: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![simple(name)],
            Some(Value::Array(names)) => {
                names.iter().filter_map(Value::as_str).map(simple).filter(|w| !w.is_empty()).collect()
            }
            _ if choices(schema).next().is_some() => {
                let words: Vec<String> = choices(schema).map(|choice| self.alternative(choice)).collect();
                return words.join(" | ");
            }
            _ => Vec::new(),
        };
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<String> =
                words.iter().map(|word| word.as_str().map_or(word.to_string(), str::to_owned)).collect();
            return words.join(" | ");
        }
        if kinds.is_empty() { "any value".to_owned() } else { kinds.join(" or ") }
    }

    fn alternative(&self, choice: &Value) -> String {
        if let Some(word) = choice.get("const") {
            return word.as_str().map_or(word.to_string(), str::to_owned);
        }
        match tagged(choice) {
            Some((name, _)) => format!("{{ {name}: … }}"),
            None => self.words(self.resolved(choice)),
        }
    }
}

/// The name and contents of a choice that is a map with one key.
fn tagged(choice: &Value) -> Option<(&String, &Value)> {
    let fields = choice.get("properties").and_then(Value::as_object)?;
    fields.iter().next().filter(|_| fields.len() == 1 && choice.get("required").is_some())
}

fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["oneOf", "anyOf"].into_iter().filter_map(|name| schema.get(name).and_then(Value::as_array));
    lists.flatten().filter(|choice| choice.get("type") != Some(&Value::from("null")))
}

/// Text in lines of at most `width` characters, each after `indent`.
fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 0 && indent.len() + last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}
