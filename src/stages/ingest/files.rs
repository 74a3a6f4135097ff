//! How does each file become one row?

use std::borrow::Cow;
use std::io::Read;

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::lines::{LONGEST, fetch_failed, unreadable};
use super::rows::{At, Collector, Next};
use crate::fetch::Fetched;
use crate::stage::StageError;

/// Options of `files` and `mail`, where each file is one row. Columns are what is read of the file (`files`: `text`; `mail`: `subject`, `body`, …)
/// and, of its name: `path` (from the last folder that the source names, or within the archive), `name`, `folder` (the folder that it is in).
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
pub(super) fn read(options: &Named, file: &Fetched, rows: &mut Collector<'_>) -> Result<Next, StageError> {
    let bytes = content(file)?;
    let at = At { source: &file.source, unit: "line", number: 1 };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let number = bytes.iter().take(error.valid_up_to()).filter(|&&byte| byte == b'\n').count() as u64 + 1;
            let message = format!("byte {} of the file is not UTF-8", error.valid_up_to() + 1);
            let refused = At { number, ..at }.error(None, &message, &String::from_utf8_lossy(bytes));
            return rows
                .refuse(refused.help("write the file anew as UTF-8, for instance with `iconv -f latin1 -t utf8`"));
        }
    };
    row(options, file, &[("text", Some(text.to_owned()))], rows)
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
        return Err(StageError::failed(format!(
            "`{}` is longer than {} MiB, too long for a row",
            file.source,
            LONGEST >> 20
        )));
    }
    Ok(bytes)
}

/// Takes a row with columns that were read of a file, to which those of its name come.
pub(super) fn row(
    options: &Named,
    file: &Fetched,
    read: &[(&str, Option<String>)],
    rows: &mut Collector<'_>,
) -> Result<Next, StageError> {
    let at = At { source: &file.source, unit: "line", number: 1 };
    let path = file.place.as_str();
    let show = || read.iter().find_map(|(_, cell)| cell.clone()).unwrap_or_default();
    let mut has: Vec<(&str, Option<String>)> = read.to_vec();
    let mut above = path.rsplit('/');
    has.push(("path", Some(path.to_owned())));
    has.push(("name", above.next().map(str::to_owned)));
    has.push(("folder", above.next().map(str::to_owned)));
    if let Some(Pattern(pattern)) = &options.pattern {
        let Some(groups) = pattern.captures(path) else {
            let message = format!("`pattern` does not match its path `{path}`");
            return rows.refuse(at.error(None, &message, &show()).at_param(&["format"]));
        };
        for name in pattern.capture_names().flatten() {
            has.push((name, groups.name(name).map(|group| group.as_str().to_owned())));
        }
    }
    let names: Vec<String> = has.iter().map(|(name, _)| (*name).to_owned()).collect();
    let places = rows.wanted.find(&file.source, &names)?;
    let cells: Vec<Option<&str>> =
        places.iter().map(|&place| has.get(place).and_then(|(_, cell)| cell.as_deref())).collect();
    rows.push(at, &cells, &show)
}
