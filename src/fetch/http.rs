//! How is a file had from a web server, and from the model hub?

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::keep::{CopyEnd, hash};
use super::spec::is_commit;
use super::{FetchError, FetchListener};

/// Where the model hub is, unless the settings say otherwise.
const HUB: &str = "https://huggingface.co";
/// A host that cannot be connected to in this time is out of reach.
const CONNECT: Duration = Duration::from_secs(5);
/// A host that says nothing for this long has gone.
const SILENCE: Duration = Duration::from_secs(30);

/// A client that remembers which hosts are out of reach.
pub(super) struct Web {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    down: Mutex<BTreeSet<String>>,
}

/// A download: where it lies and what it is.
pub(super) struct Download {
    /// The file.
    pub(super) path: PathBuf,
    /// Its sha256.
    pub(super) sha256: String,
}

impl Web {
    pub(super) fn new(endpoint: Option<String>, token: Option<String>) -> Self {
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(SILENCE))
            .timeout_per_read(Some(SILENCE))
            .http_status_as_error(true)
            .user_agent(concat!("fuseline/", env!("CARGO_PKG_VERSION")))
            .build();
        let endpoint = endpoint.filter(|e| !e.is_empty()).unwrap_or_else(|| HUB.to_owned());
        Web {
            agent: config.new_agent(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.filter(|t| !t.is_empty()),
            down: Mutex::default(),
        }
    }

    /// The address of a file of a hub repository.
    pub(super) fn hub_url(&self, repo: &str, revision: &str, file: &str) -> String {
        let file: String = file.split('/').map(percent).collect::<Vec<_>>().join("/");
        format!("{}/{repo}/resolve/{}/{file}", self.endpoint, percent(revision))
    }

    /// Downloads into `folder`.
    pub(super) fn download(
        &self,
        url: &str,
        folder: &Path,
        what: &str,
        cancelled: &AtomicBool,
        listener: &dyn FetchListener,
    ) -> Result<Download, FetchError> {
        let host = host(url);
        let down = |why: String| {
            self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
            FetchError::Unreachable { host: host.clone(), why }
        };
        if self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&host) {
            return Err(FetchError::Unreachable { host, why: "it did not answer a moment ago".to_owned() });
        }
        let mut request = self.agent.get(url);
        if let Some(token) = self.token.as_ref().filter(|_| self.is_hub(url)) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::StatusCode(404)) => {
                return Err(FetchError::NotFound {
                    what: what.to_owned(),
                    within: format!("`{host}`"),
                    near: Vec::new(),
                });
            }
            Err(ureq::Error::StatusCode(status)) => {
                let url = url.split('?').next().unwrap_or(url).to_owned();
                return Err(FetchError::Status { url, status });
            }
            Err(error) => return Err(down(error.to_string())),
        };
        let size = response.body().content_length();
        listener.started(what, size);
        let path = folder.join("download");
        let mut file = File::create(&path).map_err(|error| FetchError::io(&path, &error))?;
        let body = response.body_mut().as_reader();
        let (sha256, bytes) = match hash(body, &mut file, cancelled, &mut |more| listener.advanced(more)) {
            Ok(done) => done,
            Err(CopyEnd::Io(error)) if error.raw_os_error().is_some_and(|_| file.sync_all().is_err()) => {
                return Err(FetchError::io(&path, &error));
            }
            Err(CopyEnd::Io(error)) => {
                return Err(FetchError::Unreachable { host, why: format!("the download broke off: {error}") });
            }
            Err(CopyEnd::Interrupted) => return Err(FetchError::Interrupted),
        };
        if let Some(size) = size.filter(|&size| size != bytes) {
            let why = format!("the download broke off after {bytes} of {size} bytes");
            return Err(FetchError::Unreachable { host, why });
        }
        listener.finished(what);
        Ok(Download { path, sha256 })
    }

    /// The token goes to the hub alone, and never in the clear to another machine.
    fn is_hub(&self, url: &str) -> bool {
        let inside = url.strip_prefix(&self.endpoint).is_some_and(|rest| rest.starts_with('/'));
        inside && (url.starts_with("https://") || host(url).starts_with("localhost") || host(url).starts_with("127."))
    }
}

/// Where the hub's own client would have put a file, if it is there.
pub(super) fn in_hub_cache(cache: &Path, repo: &str, revision: &str, file: &str) -> Option<PathBuf> {
    let (kind, name) = match repo.strip_prefix("datasets/") {
        Some(name) => ("datasets", name),
        None => ("models", repo),
    };
    let folder = cache.join(format!("{kind}--{}", name.replace('/', "--")));
    let commit = if is_commit(revision) {
        revision.to_owned()
    } else {
        std::fs::read_to_string(folder.join("refs").join(revision)).ok()?.trim().to_owned()
    };
    if !is_commit(&commit) {
        return None;
    }
    let path = folder.join("snapshots").join(commit).join(file);
    path.is_file().then_some(path)
}

/// Host and port of an address.
fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest).to_lowercase()
}

fn percent(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::fetch::Silent;

    /// Answers each request in turn; gives its address and, at the end, what it was asked.
    fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let handle = std::thread::spawn(move || {
            answers
                .into_iter()
                .map(|answer| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut asked = vec![0; 4096];
                    let count = stream.read(&mut asked).unwrap();
                    stream.write_all(answer.as_bytes()).unwrap();
                    String::from_utf8_lossy(&asked[..count]).to_lowercase()
                })
                .collect()
        });
        (address, handle)
    }

    fn ok(body: &str, length: usize) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    }

    #[test]
    fn a_file_of_the_hub_comes_with_the_token_and_others_without() {
        let dir = tempfile::tempdir().unwrap();
        let (hub, asked) = server(vec![ok("hello", 5)]);
        let (other, others) = server(vec![ok("hello", 5)]);
        let web = Web::new(Some(format!("{hub}/")), Some("sekret".to_owned()));
        let url = web.hub_url("org/name", "abc", "a b/c.txt");
        assert_eq!(url, format!("{hub}/org/name/resolve/abc/a%20b/c.txt"));
        let never = AtomicBool::new(false);
        let got = web.download(&url, dir.path(), "x", &never, &Silent).unwrap();
        assert_eq!(got.sha256, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        web.download(&format!("{other}/x"), dir.path(), "x", &never, &Silent).unwrap();
        assert!(asked.join().unwrap()[0].contains("bearer sekret"));
        assert!(!others.join().unwrap()[0].contains("sekret"));
    }

    #[test]
    fn failures_are_told_apart_and_a_dead_host_is_asked_once() {
        let dir = tempfile::tempdir().unwrap();
        let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
        let refused = gone.replace("404 Not Found", "403 Forbidden");
        let (address, handle) = server(vec![gone, refused, ok("hel", 5)]);
        let web = Web::new(None, None);
        let never = AtomicBool::new(false);
        let ask = |url: &str| web.download(url, dir.path(), "x", &never, &Silent).map(|d| d.sha256);
        assert!(matches!(ask(&format!("{address}/a")), Err(FetchError::NotFound { .. })));
        assert!(matches!(ask(&format!("{address}/a")), Err(FetchError::Status { status: 403, .. })));
        let short = ask(&format!("{address}/a")).unwrap_err();
        assert!(short.is_offline() && short.to_string().contains("broke off"), "{short}");
        handle.join().unwrap();
        let first = ask(&format!("{address}/a")).unwrap_err();
        let second = ask(&format!("{address}/b")).unwrap_err();
        assert!(first.is_offline() && second.to_string().contains("a moment ago"), "{first} {second}");
    }

    #[test]
    fn the_hub_clients_own_cache_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let commit = "a".repeat(40);
        let folder = dir.path().join("models--org--name");
        std::fs::create_dir_all(folder.join("snapshots").join(&commit)).unwrap();
        std::fs::create_dir_all(folder.join("refs")).unwrap();
        std::fs::write(folder.join("refs/main"), &commit).unwrap();
        std::fs::write(folder.join("snapshots").join(&commit).join("c.json"), "{}").unwrap();
        assert!(in_hub_cache(dir.path(), "org/name", "main", "c.json").is_some());
        assert!(in_hub_cache(dir.path(), "org/name", &commit, "c.json").is_some());
        assert!(in_hub_cache(dir.path(), "org/name", "other", "c.json").is_none());
        assert!(in_hub_cache(dir.path(), "org/name", &commit, "d.json").is_none());
    }
}
