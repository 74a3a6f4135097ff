//! How do files become rows that are nothing but text: each file one, or each line?

use std::borrow::Cow;
use std::io::Read;

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::encoding::{Wrong, decode, detect};
use super::lines::{LONGEST, fetch_failed, unreadable};
use super::rows::{At, Collector, Next, Opened, Row, Seen};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Options of `lines`, where each line is one row, and of `files` and `mail`, where each file is. Columns are what is read (`lines` and `files`: `text`;
/// `mail`: `subject`, `from`, `to`, `cc`, `date`, `headers`, `body`, `html`, `attachments`, `content_type`) and, of the file's name: `path` (from the last folder that the source names, or within the archive), `name`, `folder` (the folder that it is in).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::stages) struct Named {
    /// A regular expression for `path`; what its named groups match are columns too: `(?P<label>spam|ham)-\d+`.
    pub pattern: Option<Pattern>,
}

/// A regular expression as written.
#[derive(Debug, Clone)]
pub(in crate::stages) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pattern = Regex::new(&text).map_err(|error| {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            de::Error::custom(format!("{text:?} is no regular expression: {last}"))
        })?;
        match pattern.capture_names().flatten().next() {
            Some(_) => Ok(Pattern(pattern)),
            None => Err(de::Error::custom(format!("{text:?} has no named group; write one as `(?P<label>…)`"))),
        }
    }
}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Reads a file as a row.
pub(super) fn read(options: &Named, file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let bytes = content(file)?;
    let (text, found, wrong) = decode(&bytes, rows.encoding()).map_err(|error| unreadable(&file.source, 1, &error))?;
    let looks = wrong.first().map(|_| detect(&bytes, true).encoding);
    rows.reading(Opened { source: file.source.clone(), found, looks });
    let columns = Columns::of(options, file, &["text"], rows)?;
    let next = columns.take(&[Some(&text)], 1, &wrong, rows)?;
    Ok(Seen { rows: 1, next })
}

/// Reads each line of a file as the text of a row.
pub(super) fn read_lines(options: &Named, file: &Fetched, rows: &mut Collector<'_>) -> Result<Seen, StageError> {
    let columns = Columns::of(options, file, &["text"], rows)?;
    let mut lines = rows.open(file)?;
    let mut seen = Seen::default();
    while seen.next == Next::Read && lines.next()? {
        if lines.text().trim().is_empty() {
            rows.blank()?;
            continue;
        }
        seen.rows += 1;
        if !lines.wrong.is_empty() {
            rows.looks_like(lines.looks());
        }
        seen.next = columns.take(&[Some(lines.text())], lines.line, &lines.wrong, rows)?;
    }
    Ok(seen)
}

/// All bytes of a file that is one row.
pub(super) fn content(file: &Fetched) -> Result<Vec<u8>, StageError> {
    if file.inside().is_some() {
        return Err(StageError::failed(format!("`{}` is an archive", file.source))
            .help(format!("name the files in it: `{}!**`", file.source))
            .at_param(&["source"]));
    }
    let mut bytes = Vec::new();
    let stream = file.open().map_err(fetch_failed)?;
    stream.take(LONGEST as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&file.source, 1, &error))?;
    if bytes.len() > LONGEST {
        let message = format!("`{}` is longer than {} MiB, too long for a row", file.source, LONGEST >> 20);
        return Err(StageError::failed(message).help("see whether the file is what `format` says"));
    }
    Ok(bytes)
}

/// The columns of a file's rows: what is read of it, and what its name says.
pub(super) struct Columns<'a> {
    source: &'a str,
    /// What the name says, after the columns that are read.
    named: Vec<Option<String>>,
    /// How many columns are read.
    read: usize,
    /// Where each wanted column stands.
    places: Vec<usize>,
    /// Why the file's rows cannot be.
    wrong: Option<String>,
}

impl<'a> Columns<'a> {
    /// The columns of a file of which those called `read` are read.
    pub(super) fn of(
        options: &Named,
        file: &'a Fetched,
        read: &[&str],
        rows: &mut Collector<'_>,
    ) -> Result<Self, StageError> {
        let path = file.place.as_str();
        let mut above = path.rsplit('/');
        let mut names: Vec<String> = read.iter().chain(&["path", "name", "folder"]).map(|&n| n.to_owned()).collect();
        let mut named = vec![Some(path.to_owned()), above.next().map(str::to_owned), above.next().map(str::to_owned)];
        let mut wrong = None;
        if let Some(Pattern(pattern)) = &options.pattern {
            let groups = pattern.captures(path);
            for name in pattern.capture_names().flatten() {
                names.push(name.to_owned());
                named.push(groups.as_ref().and_then(|groups| Some(groups.name(name)?.as_str().to_owned())));
            }
            wrong = groups.is_none().then(|| format!("`pattern` does not match its path `{path}`"));
        }
        let places = rows.find(&file.source, &names)?;
        Ok(Columns { source: &file.source, named, read: read.len(), places, wrong })
    }

    /// Takes a row with the cells that were read.
    pub(super) fn take(
        &self,
        read: &[Option<&str>],
        line: u64,
        wrong: &[Wrong],
        rows: &mut Collector<'_>,
    ) -> Result<Next, StageError> {
        let at = At { source: self.source, unit: "line", number: line };
        let show = || read.iter().find_map(|cell| *cell).unwrap_or_default().to_owned();
        if let Some(message) = &self.wrong {
            return rows.refuse(at.error(None, message, &show()).at_param(&["format"]));
        }
        let cell = |&place: &usize| match place.checked_sub(self.read) {
            None => read.get(place).copied().flatten(),
            Some(place) => self.named.get(place).and_then(Option::as_deref),
        };
        let cells: Vec<Option<&str>> = self.places.iter().map(cell).collect();
        rows.take(&Row { at, cells: &cells, show: &show, wrong, sentence: None })
    }
}
