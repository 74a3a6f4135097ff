//! HOW to run? Threads, folders, progress: nothing here changes a result or enters a key.
//!
//! Layers (figment): defaults < user file < project file < environment (`FUSELINE_…`) < flags.

mod amounts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Yaml};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::{Origin, Problem, Problems, suggest};

pub use amounts::{Memory, Time};

/// The name of a settings file: in the project (the working directory or a folder above it) and in the user's configuration folder.
pub const FILE: &str = "fuseline.yaml";

/// More threads than any machine needs would only take its memory.
const MOST_THREADS: usize = 512;

/// The settings that environment variables may give, after `FUSELINE_`.
const NAMES: [&str; 11] = [
    "threads",
    "device",
    "memory",
    "cache_dir",
    "files_dir",
    "offline",
    "fetch_timeout",
    "max_variants",
    "progress",
    "timeout",
    "retries",
];

/// How to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Worker threads; 0 takes as many as the machine has.
    pub threads: usize,
    /// Where transformers are computed: `cpu`, `cuda:0` or `metal` (as far as the program was built with them); `auto`: on the first
    /// that is there of `cuda:0`, `metal` and `cpu`.
    pub device: String,
    /// Memory that units running at once may together be taken to need: `8GB`, or a share of the machine's: `50%`. One unit
    /// always may run.
    pub memory: Memory,
    /// Where artifacts are kept; the user's cache folder if left out.
    pub cache_dir: Option<PathBuf>,
    /// Where fetched data and models are kept; `files` in the cache folder if left out.
    pub files_dir: Option<PathBuf>,
    /// Never ask the network.
    #[serde(deserialize_with = "switch")]
    pub offline: bool,
    /// How long a server that something is fetched from may say nothing; 30s if left out.
    pub fetch_timeout: Option<Time>,
    /// A pipeline with more variants than this is refused before anything runs; 0 takes any number.
    pub max_variants: usize,
    /// How progress is shown.
    pub progress: Progress,
    /// How long a unit may run: `90s`, `10m`, `1h 30m`; as long as it takes if left out.
    pub timeout: Option<Time>,
    /// How often a unit that failed is tried again.
    pub retries: u32,
    /// Other limits for some stages, by their ids.
    pub limits: BTreeMap<String, StageLimits>,
}

/// Limits of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StageLimits {
    /// How long each of its units may run.
    pub timeout: Option<Time>,
    /// How often each of its units is tried again.
    pub retries: Option<u32>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Bars.
    Bar,
    /// Lines.
    Plain,
    /// Nothing.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            threads: 0,
            device: "auto".to_owned(),
            memory: Memory::Share(75),
            cache_dir: None,
            files_dir: None,
            offline: false,
            fetch_timeout: None,
            max_variants: crate::pipeline::MOST_VARIANTS,
            progress: Progress::Auto,
            timeout: None,
            retries: 0,
            limits: BTreeMap::new(),
        }
    }
}

/// Settings that flags give; `None` leaves a setting to the layers below.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Flags {
    /// `--threads`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// `--device`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// `--memory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// `--cache-dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// `--offline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline: Option<bool>,
    /// `--max-variants`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_variants: Option<usize>,
    /// `--progress`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// Who gave those settings that messages may have to name.
#[derive(Debug, Clone)]
pub struct SetBy {
    /// Where `timeout` was set.
    pub timeout: Option<Origin>,
    /// Where the timeouts of stages were set, by stage.
    pub limits: BTreeMap<String, Origin>,
}

impl Settings {
    /// Reads all layers. `user` and `project` are the settings files, where there are any.
    pub fn load(user: Option<&Path>, project: Option<&Path>, flags: &Flags) -> Result<(Settings, SetBy), Problems> {
        let mut layers = Figment::from(Serialized::defaults(Settings::default()));
        for file in [user, project].into_iter().flatten() {
            layers = layers.merge(Yaml::file_exact(file));
        }
        layers = layers.merge(Env::prefixed("FUSELINE_").only(&NAMES)).merge(Serialized::defaults(flags));
        let mut settings: Settings = layers.extract().map_err(problems)?;
        if settings.threads > MOST_THREADS {
            let problem = Problem::error(
                "settings",
                format!("`threads` must be at most {MOST_THREADS}, but is {}", settings.threads),
            );
            return Err(problem.help("leave it out to take as many as the machine has").into());
        }
        // A folder that a settings file names lies beside that file.
        for (name, folder) in [("cache_dir", &mut settings.cache_dir), ("files_dir", &mut settings.files_dir)] {
            let source =
                layers.find_metadata(name).and_then(|metadata| metadata.source.as_ref()).and_then(|s| s.file_path());
            if let (Some(file), Some(folder)) = (source, folder.as_mut()) {
                *folder = file.parent().unwrap_or(Path::new(".")).join(&*folder);
            }
        }
        let named = |name: &str| layers.find_metadata(name).and_then(|metadata| origin(metadata, name));
        let stages = settings.limits.keys().map(|stage| (stage, format!("limits.{stage}.timeout")));
        let limits = stages.filter_map(|(stage, name)| Some((stage.clone(), named(&name)?))).collect();
        let timeout = named("timeout");
        Ok((settings, SetBy { timeout, limits }))
    }

    /// Worker threads: what was asked for, or as many as the machine has.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        }
    }
}

fn problems(error: figment::Error) -> Problems {
    let mut problems = Problems::default();
    for error in error {
        let path = error.path.join(".");
        let mut problem = match &error.kind {
            figment::error::Kind::UnknownField(name, known) => {
                let mut problem = Problem::error("settings", format!("there is no setting `{name}`"));
                if let Some(near) = suggest(name, known.iter().copied()) {
                    problem = problem.help(format!("did you mean `{near}`?"));
                }
                problem.note(format!("the settings are {}", known.join(", ")))
            }
            figment::error::Kind::InvalidType(found, wanted) => Problem::error(
                "settings",
                format!("setting `{path}` must be {}, but is {}", words(wanted), value(found)),
            ),
            figment::error::Kind::Message(said) if !path.is_empty() => {
                Problem::error("settings", format!("setting `{path}` {said}"))
            }
            kind if path.is_empty() => Problem::error("settings", format!("the settings cannot be read: {kind}")),
            kind => Problem::error("settings", format!("setting `{path}` cannot be read: {kind}")),
        };
        if let Some(metadata) = &error.metadata {
            problem = problem.at(origin(metadata, &path));
        }
        problems.push(problem);
    }
    problems
}

/// Which file or variable gave a setting.
fn origin(metadata: &figment::Metadata, path: &str) -> Option<Origin> {
    match metadata.source.as_ref().and_then(|source| source.file_path()) {
        Some(file) => Some(Origin::WholeFile { file: file.display().to_string().into() }),
        None if metadata.name.contains("environment") => {
            Some(Origin::Env { name: format!("FUSELINE_{}", path.to_uppercase()).into() })
        }
        None => None,
    }
}

/// What a setting must be, without Rust's names of types.
fn words(wanted: &str) -> &str {
    match wanted {
        "usize" | "u64" | "u32" => "a whole number",
        "a boolean" | "bool" => "`true` or `false`",
        other => other,
    }
}

fn value(found: &figment::error::Actual) -> String {
    use figment::error::Actual;
    match found {
        Actual::Str(text) => format!("`{text}`"),
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(number) => format!("`{number}`"),
        Actual::Signed(number) => format!("`{number}`"),
        Actual::Float(number) => format!("`{number}`"),
        other => other.to_string(),
    }
}

/// `true` and `false`, or as environment variables have it, 1 and 0.
fn switch<'de, D: serde::Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    struct Switch;
    impl serde::de::Visitor<'_> for Switch {
        type Value = bool;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a boolean")
        }

        fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }

        fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<bool, E> {
            match value {
                0 | 1 => Ok(value == 1),
                other => Err(E::invalid_type(serde::de::Unexpected::Unsigned(other), &self)),
            }
        }
    }
    from.deserialize_any(Switch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_files_and_folders_lie_beside_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, "threads: 3\ncache_dir: cache\nprogress: plain\n").unwrap();
        let flags = Flags { threads: Some(1), ..Flags::default() };
        let settings = Settings::load(None, Some(&file), &flags).unwrap().0;
        assert_eq!(settings.threads(), 1);
        assert_eq!(settings.cache_dir, Some(folder.path().join("cache")));
        assert_eq!(settings.progress, Progress::Plain);
    }

    #[test]
    fn limits_know_where_they_come_from() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let text = "memory: 2GB\ntimeout: 1h 30m\nlimits: { vectors: { timeout: 10m, retries: 2 } }\n";
        std::fs::write(&file, text).unwrap();
        let (settings, set_by) = Settings::load(None, Some(&file), &Flags::default()).unwrap();
        assert_eq!(settings.memory, Memory::Bytes(2_000_000_000));
        assert_eq!(settings.timeout.map(|time| time.0.as_secs()), Some(5400));
        assert_eq!(settings.limits["vectors"].retries, Some(2));
        let at = Origin::WholeFile { file: file.display().to_string().into() };
        assert_eq!((set_by.timeout, set_by.limits.get("vectors")), (Some(at.clone()), Some(&at)));
        std::fs::write(&file, "timeout: soon\n").unwrap();
        let text = Settings::load(None, Some(&file), &Flags::default()).unwrap_err().to_string();
        assert!(text.contains("setting `timeout` must be a time such as `90s`"), "{text}");
    }

    #[test]
    fn an_unknown_setting_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, "thread: 3\n").unwrap();
        let text = Settings::load(None, Some(&file), &Flags::default()).unwrap_err().to_string();
        assert!(text.contains("no setting `thread`") && text.contains("did you mean `threads`?"), "{text}");
        assert!(text.contains(FILE), "{text}");
    }
}
