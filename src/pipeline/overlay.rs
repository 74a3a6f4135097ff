//! What do a file, the files that it extends, and the flags say together, and which of them said it?
//!
//! Later layers win: base files (in the order of `extends`) < the file < `--set`. Maps are merged key by key and
//! everything else is replaced. Three places are replaced as a whole, because a mixture would mean nothing: `with` of a
//! stage whose `use` changes, a choice between alternatives (`estimator: { linear_svc: … }`) that chooses another one, and
//! an axis of the matrix. figment does the merging; the layers remember the places.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::value::{Dict, Empty, Map, Num, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};
use rustc_hash::FxHashSet;
use serde_json::Value as Json;

use super::document::Document;
use super::kinds::Kinds;
use crate::problem::{Origin, Problem, Problems};

/// A chain of `extends` is not longer than this.
const LONGEST: usize = 32;

/// The merged layers.
#[derive(Debug)]
pub(super) struct Overlay {
    layers: Vec<Layer>,
    figment: Figment,
    value: Json,
}

#[derive(Debug)]
enum Layer {
    File(Document),
    Flag { text: Arc<str>, path: Vec<String> },
}

/// One layer's values, as figment wants them.
struct Values(Dict);

impl Provider for Values {
    fn metadata(&self) -> Metadata {
        Metadata::named("pipeline")
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.0.clone())]))
    }
}

impl Overlay {
    /// Reads a file and all that it extends.
    pub(super) fn load(file: &Path, kinds: &Kinds) -> Result<Overlay, Problems> {
        let mut overlay =
            Overlay { layers: Vec::new(), figment: Figment::new(), value: Json::Object(serde_json::Map::new()) };
        overlay.add_file(file, None, kinds, &mut Vec::new())?;
        Ok(overlay)
    }

    fn add_file(
        &mut self,
        file: &Path,
        asked_by: Option<Origin>,
        kinds: &Kinds,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Result<(), Problems> {
        let document = Document::read(file, asked_by.clone())?;
        let identity = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let again = chain.iter().any(|(seen, _)| *seen == identity);
        chain.push((identity, document.name().to_string()));
        if again || chain.len() > LONGEST {
            let names: Vec<String> = chain.iter().map(|(_, name)| format!("`{name}`")).collect();
            return Err(Problem::error("extends-cycle", format!("files extend each other: {}", names.join(" → ")))
                .at(asked_by)
                .into());
        }
        for (base, at) in bases(&document)? {
            self.add_file(&base, at, kinds, chain)?;
        }
        chain.pop();
        let mut values = document.values.clone();
        values.remove("extends");
        let upper = json(&Value::from(values.clone()));
        for path in self.afresh(&upper, kinds) {
            self.merge_at(&path, Value::from(Empty::Unit));
        }
        self.merge(values);
        self.layers.push(Layer::File(document));
        Ok(())
    }

    /// The files of all layers.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::File(document) => Some(document.path.as_path()),
            Layer::Flag { .. } => None,
        })
    }

    /// Puts a flag's value above all else; `path` is the way from the top of the document.
    pub(super) fn set(&mut self, text: Arc<str>, path: Vec<String>, value: &serde_yaml::Value) {
        let value = Value::serialize(value).unwrap_or_else(|_| Value::from(Empty::Unit));
        let is_list = |n: usize| self.at_owned(path.get(..n).unwrap_or_default()).is_some_and(Json::is_array);
        match (0..path.len()).find(|n| is_list(*n)) {
            Some(n) => {
                let (way, rest) = path.split_at(n);
                let mut list = self.at_owned(way).cloned().unwrap_or(Json::Null);
                put(&mut list, rest, json(&value));
                self.merge_at(way, Value::serialize(&list).unwrap_or(value));
            }
            None => {
                self.merge_at(&path, Value::from(Empty::Unit));
                self.merge_at(&path, value);
            }
        }
        self.layers.push(Layer::Flag { text, path });
    }

    fn merge_at(&mut self, path: &[String], value: Value) {
        let nested = path.iter().rev().fold(value, |value, key| Value::from(Dict::from([(key.clone(), value)])));
        if let Value::Dict(_, values) = nested {
            self.merge(values);
        }
    }

    fn merge(&mut self, values: Dict) {
        self.figment = std::mem::take(&mut self.figment).merge(Values(values));
        if let Ok(value) = self.figment.find_value("") {
            self.value = json(&value);
        }
    }

    /// The places that `upper` replaces as a whole.
    fn afresh(&self, upper: &Json, kinds: &Kinds) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        let entries = |value: &Json, key: &str| value.get(key).and_then(Json::as_object).cloned().unwrap_or_default();
        let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        for name in entries(upper, "matrix").keys().filter(|name| self.at(&["matrix", name]).is_some()) {
            found.push(path(&["matrix", name]));
        }
        for (id, stage) in entries(upper, "stages") {
            let Some(below) = self.at(&["stages", &id]) else { continue };
            let word = |stage: &Json| stage.get("use").and_then(Json::as_str).map(str::to_owned);
            let (before, after) = (word(below), word(&stage).or_else(|| word(below)));
            if before != after {
                found.push(path(&["stages", &id, "with"]));
                continue;
            }
            if let (Some(schema), Some(old), Some(new)) =
                (after.and_then(|kind| kinds.schema(&kind)), below.get("with"), stage.get("with"))
            {
                let mut ways = Vec::new();
                changed_choices(
                    old,
                    new,
                    &mut Vec::new(),
                    &mut |way, one, other| schema.excludes(way, one, other),
                    &mut ways,
                );
                found.extend(
                    ways.into_iter().map(|way| path(&["stages", &id, "with"]).into_iter().chain(way).collect()),
                );
            }
        }
        found
    }

    /// The merged value at `path`.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Json> {
        path.iter().try_fold(&self.value, |value, key| inner(value, key))
    }

    fn at_owned(&self, path: &[String]) -> Option<&Json> {
        path.iter().try_fold(&self.value, |value, key| inner(value, key))
    }

    /// The main file's name as typed.
    pub(super) fn whole(&self) -> Option<Origin> {
        self.documents().last().map(|document| Origin::WholeFile { file: document.name().clone() })
    }

    fn documents(&self) -> impl Iterator<Item = &Document> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::File(document) => Some(document),
            Layer::Flag { .. } => None,
        })
    }

    /// Who set the value at `path`; where nobody did, the key of the nearest enclosing place.
    pub(super) fn origin(&self, path: &[&str]) -> Option<Origin> {
        self.search(path, &self.layers, |document, path| document.value_origin(path))
    }

    /// Who wrote the last key of `path`; where nobody did, the key of the nearest enclosing place.
    pub(super) fn key_origin(&self, path: &[&str]) -> Option<Origin> {
        self.search(path, &self.layers, |document, path| document.key_origin(path))
    }

    fn search(
        &self,
        path: &[&str],
        layers: &[Layer],
        exact: fn(&Document, &[&str]) -> Option<Origin>,
    ) -> Option<Origin> {
        for shorter in (1..=path.len()).rev() {
            let way = path.get(..shorter)?;
            for (index, layer) in layers.iter().enumerate().rev() {
                let found = match layer {
                    Layer::File(document) if shorter == path.len() => exact(document, way),
                    Layer::File(document) => document.key_origin(way),
                    Layer::Flag { text, path } if leads_to(path, way) => {
                        let below = layers.get(..index).unwrap_or_default();
                        let set: Vec<&str> = path.iter().map(String::as_str).collect();
                        Some(Origin::Flag { text: text.clone(), overrides: exactly(below, &set).map(Box::new) })
                    }
                    Layer::Flag { .. } => None,
                };
                if found.is_some() {
                    return found;
                }
            }
        }
        self.whole()
    }

    /// The keys of the merged map at `path`: base files' first, each in the order of its text.
    pub(super) fn keys(&self, path: &[&str]) -> Vec<String> {
        let Some(Json::Object(fields)) = self.at(path) else {
            return Vec::new();
        };
        let mut seen: FxHashSet<&str> = FxHashSet::default();
        let mut keys: Vec<String> = Vec::new();
        let written = self.documents().flat_map(|document| document.keys(path)).filter(|key| fields.contains_key(*key));
        for key in written.chain(fields.keys().map(String::as_str)) {
            if seen.insert(key) {
                keys.push(key.to_owned());
            }
        }
        keys
    }

    /// The merged document as YAML, keys in the order of the files.
    pub(super) fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.ordered(&self.value, &mut Vec::new())).unwrap_or_default()
    }

    fn ordered(&self, value: &Json, path: &mut Vec<String>) -> serde_yaml::Value {
        match value {
            Json::Object(fields) => {
                let way: Vec<&str> = path.iter().map(String::as_str).collect();
                let mut map = serde_yaml::Mapping::new();
                for key in self.keys(&way) {
                    if let Some(value) = fields.get(&key) {
                        path.push(key.clone());
                        map.insert(key.into(), self.ordered(value, path));
                        path.pop();
                    }
                }
                serde_yaml::Value::Mapping(map)
            }
            Json::Array(items) => {
                let mut list = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    list.push(self.ordered(item, path));
                    path.pop();
                }
                serde_yaml::Value::Sequence(list)
            }
            leaf => serde_yaml::to_value(leaf).unwrap_or(serde_yaml::Value::Null),
        }
    }
}

/// Who set exactly `path`, if anyone did.
fn exactly(layers: &[Layer], path: &[&str]) -> Option<Origin> {
    layers.iter().enumerate().rev().find_map(|(index, layer)| match layer {
        Layer::File(document) => document.value_origin(path),
        Layer::Flag { text, path: set } if leads_to(set, path) => {
            let overrides = exactly(layers.get(..index).unwrap_or_default(), path).map(Box::new);
            Some(Origin::Flag { text: text.clone(), overrides })
        }
        Layer::Flag { .. } => None,
    })
}

fn leads_to(set: &[String], path: &[&str]) -> bool {
    set.len() <= path.len() && set.iter().zip(path).all(|(a, b)| a == b)
}

/// The files that a document extends, each with the place that names it.
fn bases(document: &Document) -> Result<Vec<(PathBuf, Option<Origin>)>, Problems> {
    let folder = document.path.parent().unwrap_or(Path::new(""));
    let wrong = |path: &[&str]| {
        Problem::error("wrong-type", "`extends` must be the name of a file, or a list of names")
            .at(document.value_origin(path))
    };
    let named = |value: &Value, path: &[&str]| match value.as_str() {
        Some(name) if !name.is_empty() => Ok((folder.join(name), document.value_origin(path))),
        _ => Err(Problems::from(wrong(path))),
    };
    match document.values.get("extends") {
        None | Some(Value::Empty(..)) => Ok(Vec::new()),
        Some(Value::Array(_, items)) => {
            items.iter().enumerate().map(|(index, item)| named(item, &["extends", &index.to_string()])).collect()
        }
        Some(other) => Ok(vec![named(other, &["extends"])?]),
    }
}

/// The ways to maps with one key each, where the keys are different alternatives of one choice.
fn changed_choices(
    old: &Json,
    new: &Json,
    way: &mut Vec<String>,
    excludes: &mut dyn FnMut(&[String], &str, &str) -> bool,
    found: &mut Vec<Vec<String>>,
) {
    let (Json::Object(old), Json::Object(new)) = (old, new) else { return };
    if let (1, 1, Some(one), Some(other)) = (old.len(), new.len(), old.keys().next(), new.keys().next())
        && excludes(way, one, other)
    {
        found.push(way.clone());
        return;
    }
    for (key, new) in new {
        if let Some(old) = old.get(key) {
            way.push(key.clone());
            changed_choices(old, new, way, excludes, found);
            way.pop();
        }
    }
}

/// Sets the value at `path`, making maps on the way; an index beyond a list's end is left alone.
pub(super) fn put(value: &mut Json, path: &[String], new: Json) {
    let Some((key, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    if let Json::Array(items) = value {
        if let Some(item) = key.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
            put(item, rest, new);
        }
        return;
    }
    if !value.is_object() {
        *value = Json::Object(serde_json::Map::new());
    }
    if let Json::Object(fields) = value {
        put(fields.entry(key.clone()).or_insert(Json::Null), rest, new);
    }
}

fn inner<'a>(value: &'a Json, key: &str) -> Option<&'a Json> {
    match value {
        Json::Object(fields) => fields.get(key),
        Json::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// figment's value as JSON.
fn json(value: &Value) -> Json {
    match value {
        Value::String(_, text) => Json::from(text.as_str()),
        Value::Char(_, letter) => Json::from(letter.to_string()),
        Value::Bool(_, truth) => Json::from(*truth),
        Value::Num(_, Num::F64(number)) => Json::from(*number),
        Value::Num(_, Num::F32(number)) => Json::from(*number),
        Value::Num(_, number) => match (number.to_u128(), number.to_i128()) {
            (Some(n), _) => u64::try_from(n).map_or(Json::Null, Json::from),
            (_, Some(n)) => i64::try_from(n).map_or(Json::Null, Json::from),
            _ => Json::Null,
        },
        Value::Empty(..) => Json::Null,
        Value::Dict(_, fields) => Json::Object(fields.iter().map(|(key, value)| (key.clone(), json(value))).collect()),
        Value::Array(_, items) => Json::Array(items.iter().map(json).collect()),
    }
}
