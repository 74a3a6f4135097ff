//! What does the environment say? Folders, settings, colours: read once, here.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use etcetera::BaseStrategy;

use super::args::{Common, MessageFormat};
use super::console::say;
use super::exit::Exit;
use super::interrupt;
use crate::fetch::{FetchOptions, Fetcher, Secret};
use crate::problem::{Problem, Problems, Style, render, to_json};
use crate::run::{Listener, RunError, RunErrorKind};
use crate::settings::{FILE, Flags, Progress, SetBy, Settings};
use crate::store::{Store, StoreError};
use crate::ui::bars::Bars;
use crate::ui::json::JsonLines;
use crate::ui::plain::Plain;
use crate::ui::{Look, Verbosity};

/// Everything a command needs from outside.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) set_by: SetBy,
    pub(super) cache_dir: PathBuf,
    pub(super) files_dir: PathBuf,
    /// The folder that `--cache-dir` itself names, if it was given.
    pub(super) asked_cache: Option<PathBuf>,
    pub(super) look: Look,
    pub(super) format: MessageFormat,
    pub(super) cancelled: Arc<AtomicBool>,
}

/// How a run is shown while it goes on.
pub(super) enum Display {
    Bars(Bars),
    Plain(Plain<std::io::Stderr>),
    Json(JsonLines<std::io::Stdout>),
}

impl Display {
    /// Who hears the events.
    pub(super) fn listeners(&self) -> Vec<&dyn Listener> {
        match self {
            Display::Bars(bars) => vec![bars],
            Display::Plain(lines) => vec![lines],
            Display::Json(lines) => vec![lines],
        }
    }

    /// Takes away what was drawn, and writes what was held back.
    pub(super) fn clear(&self) {
        match self {
            Display::Bars(bars) => bars.clear(),
            Display::Json(lines) => lines.flush(),
            Display::Plain(_) => {}
        }
    }
}

impl Context {
    /// Reads settings and environment; complains by itself.
    pub(super) fn new(common: &Common) -> Result<Context, Exit> {
        let look = Look { style: style(), verbosity: verbosity(common) };
        let fail = |problems: &Problems| {
            report(problems, look, common.message_format);
            Exit::Usage
        };
        let folders = etcetera::choose_base_strategy().ok();
        let user =
            folders.as_ref().map(|base| base.config_dir().join("fuseline").join(FILE)).filter(|file| file.is_file());
        let flags = Flags {
            threads: common.threads,
            device: common.device.clone(),
            memory: common.memory,
            cache_dir: common.cache_dir.clone(),
            offline: common.offline.then_some(true),
            max_variants: common.max_variants,
            progress: common.progress,
        };
        let loaded = Settings::load(user.as_deref(), project_file().as_deref(), &flags).map_err(|p| fail(&p))?;
        let (settings, set_by) = loaded;
        let cache_dir = settings.cache_dir.clone().or_else(|| folders.map(|base| base.cache_dir().join("fuseline")));
        let Some(cache_dir) = cache_dir else {
            let problem = Problem::error("settings", "there is no home folder to keep a cache in");
            return Err(fail(&problem.help("name a folder with `--cache-dir DIR`").into()));
        };
        let files_dir = settings.files_dir.clone().unwrap_or_else(|| cache_dir.join("files"));
        let cancelled = interrupt::flag();
        let (asked_cache, format) = (common.cache_dir.clone(), common.message_format);
        Ok(Context { settings, set_by, cache_dir, files_dir, asked_cache, look, format, cancelled })
    }

    /// Opens the store.
    pub(super) fn store(&self) -> Result<Arc<Store>, Exit> {
        Store::open(&self.cache_dir).map(Arc::new).map_err(|error| self.store_failed(&error))
    }

    /// Tells what is wrong with the store.
    pub(super) fn store_failed(&self, error: &StoreError) -> Exit {
        let problem = Problem::error("io", format!("the cache in `{}` cannot be used", self.cache_dir.display()));
        self.tell(&problem.because(error.to_string()).help("name another folder with `--cache-dir DIR`").into());
        Exit::Usage
    }

    /// What fetches files, as the settings and the hub's own variables say.
    pub(super) fn fetcher(&self) -> Fetcher {
        Fetcher::new(self.files_dir.clone(), self.fetch_options())
    }

    /// How files are fetched.
    pub(super) fn fetch_options(&self) -> FetchOptions {
        FetchOptions {
            offline: self.settings.offline
                || variable("HF_HUB_OFFLINE")
                    .is_some_and(|value| matches!(value.to_lowercase().as_str(), "1" | "true" | "yes" | "on")),
            hf_endpoint: variable("HF_ENDPOINT"),
            hf_token: variable("HF_TOKEN").map(Secret),
            netrc: variable("NETRC").map(PathBuf::from).or_else(|| Some(etcetera::home_dir().ok()?.join(".netrc"))),
            silence: self.settings.fetch_timeout.map(|time| time.0),
            hf_cache: hub_cache(),
            cancelled: Arc::clone(&self.cancelled),
            pins: std::collections::BTreeMap::new(),
        }
    }

    /// Tells problems in the format asked for.
    pub(super) fn tell(&self, problems: &Problems) {
        report(problems, self.look, self.format);
    }

    /// Tells why a run could not be, and how the command ends.
    pub(super) fn run_failed(&self, error: &RunError) -> Exit {
        self.tell(&Problems::from((*error.problem).clone()));
        match error.kind {
            RunErrorKind::Input => Exit::Usage,
            RunErrorKind::Offline => Exit::Offline,
            RunErrorKind::Integrity => Exit::Integrity,
            RunErrorKind::Storage => Exit::StageFailed,
            RunErrorKind::Interrupted => Exit::Partial,
        }
    }

    /// Where GitHub wants a step's summary.
    pub(super) fn step_summary(&self) -> Option<PathBuf> {
        variable("GITHUB_STEP_SUMMARY").map(PathBuf::from)
    }

    /// The root of the checkout, where the machine that builds says so.
    pub(super) fn checkout(&self) -> Option<PathBuf> {
        ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].into_iter().find_map(variable).map(PathBuf::from)
    }

    /// How a run is shown: bars on a terminal, lines elsewhere, unless the settings say otherwise.
    pub(super) fn display(&self) -> Display {
        if self.format == MessageFormat::Json {
            return Display::Json(JsonLines::new(std::io::stdout()));
        }
        let lines = || Display::Plain(Plain::new(std::io::stderr(), self.look));
        let errors =
            || Display::Plain(Plain::new(std::io::stderr(), Look { verbosity: Verbosity::Quiet, ..self.look }));
        match self.settings.progress {
            _ if self.look.verbosity == Verbosity::Quiet => lines(),
            Progress::None => errors(),
            Progress::Plain => lines(),
            Progress::Bar => Display::Bars(Bars::new(self.look)),
            Progress::Auto if std::io::stderr().is_terminal() && variable("CI").is_none() => {
                Display::Bars(Bars::new(self.look))
            }
            Progress::Auto => lines(),
        }
    }
}

fn report(problems: &Problems, look: Look, format: MessageFormat) {
    match format {
        MessageFormat::Human => say(&render(problems, look.style)),
        MessageFormat::Json => {
            let all = to_json(problems);
            let lines: String = all.as_array().into_iter().flatten().map(|problem| format!("{problem}\n")).collect();
            super::console::out(lines.as_bytes());
        }
    }
}

fn verbosity(common: &Common) -> Verbosity {
    match (common.quiet, common.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    }
}

fn style() -> Style {
    let plain = variable("NO_COLOR").is_some() || variable("TERM").is_some_and(|term| term == "dumb");
    if !plain && std::io::stderr().is_terminal() { Style::Color } else { Style::Plain }
}

/// The nearest settings file, from the working directory upwards.
fn project_file() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().map(|folder| folder.join(FILE)).find(|file| file.is_file())
}

/// Where the hub's own tools keep models: those are taken from there.
fn hub_cache() -> Option<PathBuf> {
    let home = || etcetera::home_dir().ok().map(|home| home.join(".cache/huggingface"));
    let hub = |home: PathBuf| home.join("hub");
    let named = variable("HF_HUB_CACHE").map(PathBuf::from);
    named
        .or_else(|| variable("HF_HOME").map(PathBuf::from).map(hub))
        .or_else(|| home().map(hub))
        .filter(|p| Path::is_dir(p))
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
