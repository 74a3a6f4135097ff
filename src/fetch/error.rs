//! Why can a file not be had, and what can be done about it?

/// Why a file cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// Not here, and the network may not be asked.
    #[error("`{what}` is not on this machine, and fetching is turned off")]
    Offline {
        /// The source.
        what: String,
    },
    /// A host does not answer.
    #[error("`{host}` cannot be reached: {why}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the connection said.
        why: String,
    },
    /// A host refuses.
    #[error("`{url}` was answered with status {status}")]
    Status {
        /// What was asked for; without credentials.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// A host sends from one address to the next and never to a file.
    #[error("`{url}` leads from one address to the next and to no file")]
    Redirects {
        /// What was asked for; without credentials.
        url: String,
    },
    /// The bytes are not those that were asked for.
    #[error("`{what}` has the wrong content: sha256 {expected} was expected, {got} came")]
    Digest {
        /// The source.
        what: String,
        /// The pinned sha256.
        expected: String,
        /// The sha256 of what came.
        got: String,
    },
    /// A file is no longer what it was when the run began.
    #[error("`{what}` {}", changed_in_words(.now))]
    Changed {
        /// The source.
        what: String,
        /// Its sha256 then and now; nothing if it is gone.
        now: Option<(String, String)>,
    },
    /// There is no such file.
    #[error("`{what}` was not found{}", if .within.is_empty() { String::new() } else { format!(" in {}", .within) })]
    NotFound {
        /// What was looked for.
        what: String,
        /// The archive, folder or host that was searched, as it is to be read; empty where that says nothing.
        within: String,
        /// What is there instead, nearest first.
        near: Vec<String>,
    },
    /// The user's package client is missing or failed.
    #[error("{why}{}", if .stderr.is_empty() { String::new() } else { format!(": {}", .stderr.join(" | ")) })]
    Tool {
        /// `pip` or `npm`.
        tool: &'static str,
        /// What happened, in one line.
        why: String,
        /// The last lines that the client wrote.
        stderr: Vec<String>,
        /// True if the client is missing, or says that it cannot reach its registry.
        offline: bool,
    },
    /// A file or folder cannot be read or written.
    #[error("`{path}`: {why}")]
    Io {
        /// The file or folder.
        path: String,
        /// What the system said.
        why: String,
    },
    /// An archive is damaged or of an unknown form.
    #[error("`{what}` cannot be unpacked: {why}")]
    Archive {
        /// The archive.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something is refused because it could do harm.
    #[error("`{what}` is refused: {why}")]
    Refused {
        /// The file or member.
        what: String,
        /// The danger.
        why: String,
    },
    /// Every place that should hold a file failed.
    #[error("`{what}` cannot be had from any of its {} places: {}", .tried.len(), tried_in_words(.tried))]
    Places {
        /// The source.
        what: String,
        /// Each place and why it failed, in the order tried.
        tried: Vec<(String, FetchError)>,
    },
    /// The run was asked to end.
    #[error("interrupted")]
    Interrupted,
}

fn changed_in_words(now: &Option<(String, String)>) -> String {
    let short = |sha256: &str| sha256.chars().take(12).collect::<String>();
    match now {
        None => "vanished during the run".to_owned(),
        Some((old, new)) => format!("changed during the run: sha256 {}… → {}…", short(old), short(new)),
    }
}

fn tried_in_words(tried: &[(String, FetchError)]) -> String {
    tried.iter().map(|(_, error)| error.to_string()).collect::<Vec<_>>().join("; ")
}

impl FetchError {
    /// True if a network or a client of it would have helped, so that the same command may work later or elsewhere.
    pub fn is_offline(&self) -> bool {
        match self {
            FetchError::Offline { .. } | FetchError::Unreachable { .. } => true,
            FetchError::Status { status, .. } => *status >= 500 || *status == 429,
            FetchError::Tool { offline, .. } => *offline,
            FetchError::Places { tried, .. } => tried.iter().any(|(_, error)| error.is_offline()),
            _ => false,
        }
    }

    /// What to do, most useful first.
    pub fn help(&self) -> Vec<String> {
        match self {
            FetchError::Offline { .. } => {
                vec!["run `fuseline fetch FILE` once on a machine with a network, without `--offline`".to_owned()]
            }
            FetchError::Unreachable { host, .. } => {
                vec![format!(
                    "see whether `{host}` can be reached from here (a proxy?), then run the same command again"
                )]
            }
            FetchError::Status { status: 401 | 403, .. } => {
                vec!["it may need an access token: for the hub HF_TOKEN in the environment, for other hosts an entry in ~/.netrc".to_owned()]
            }
            FetchError::Status { .. } => vec!["try again later".to_owned()],
            FetchError::Redirects { .. } => vec!["name the address of the file itself".to_owned()],
            FetchError::Digest { .. } => {
                vec!["nothing was kept; if the file was changed on purpose, pin its new sha256".to_owned()]
            }
            FetchError::Changed { .. } => {
                vec!["nothing of it was kept; run again once nobody writes to the file any more".to_owned()]
            }
            FetchError::NotFound { near, .. } => near_in_words(near),
            FetchError::Tool { tool, offline: true, .. } => {
                vec![format!("`{tool}` must be installed and able to reach its package index")]
            }
            FetchError::Tool { tool, .. } => {
                vec![format!("ask `{tool}` for the same package by hand to see all it says")]
            }
            FetchError::Refused { .. } => vec!["unpack it yourself and name the file on disk".to_owned()],
            FetchError::Archive { .. } => vec!["fetch or copy the archive again".to_owned()],
            FetchError::Places { tried, .. } => {
                let mut all: Vec<String> = Vec::new();
                for help in tried.iter().flat_map(|(_, error)| error.help()) {
                    if !all.contains(&help) {
                        all.push(help);
                    }
                }
                all
            }
            FetchError::Io { .. } | FetchError::Interrupted => Vec::new(),
        }
    }

    /// An I/O error at a path.
    pub(super) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        FetchError::Io { path: path.display().to_string(), why: error.to_string() }
    }
}

fn near_in_words(near: &[String]) -> Vec<String> {
    match near {
        [] => Vec::new(),
        [one] => vec![format!("did you mean `{one}`?")],
        many => vec![format!("nearest: {}", many.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "))],
    }
}

/// The (at most five) names nearest to `wanted`, nearest first; those that share nothing with it are left out.
pub(super) fn nearest(wanted: &str, names: impl IntoIterator<Item = String>) -> Vec<String> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let target = last(wanted);
    let mut scored: Vec<(f64, String)> = names
        .into_iter()
        .map(|name| {
            let plain = last(&name);
            let inside =
                !target.is_empty() && (plain.contains(&target) || target.contains(&plain)) && !plain.is_empty();
            let like = strsim::normalized_damerau_levenshtein(&target, &plain);
            (if inside { like.max(0.6) } else { like }, name)
        })
        .filter(|(like, _)| *like >= 0.4)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    scored.truncate(5);
    scored.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_come_first() {
        let names = ["a/movies.txt", "a/tweets.txt", "a/movie.txt", "zzz"].map(str::to_owned);
        assert_eq!(nearest("x/movie.txt", names), ["a/movie.txt", "a/movies.txt", "a/tweets.txt"]);
        assert_eq!(nearest("movie", ["qqqq".to_owned()]), Vec::<String>::new());
    }

    #[test]
    fn offline_is_seen_through_all_places() {
        let refused = FetchError::Status { url: "u".into(), status: 404 };
        let down = FetchError::Unreachable { host: "h".into(), why: "w".into() };
        let places = |tried: Vec<FetchError>| FetchError::Places {
            what: "x".into(),
            tried: tried.into_iter().map(|e| ("p".to_owned(), e)).collect(),
        };
        assert!(places(vec![refused.clone(), down]).is_offline());
        assert!(!places(vec![refused]).is_offline());
    }
}
