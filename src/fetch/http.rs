//! How is a file had from a web server, and from the model hub?

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::config::RedirectAuthHeaders;
use ureq::http::{HeaderMap, Response};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};

use super::keep::{CopyEnd, hash};
use super::part::{About, Part};
use super::spec::is_commit;
use super::{FetchError, FetchListener, FetchOptions, Secret, heedful, netrc};

/// Where the model hub is, unless the settings say otherwise.
const HUB: &str = "https://huggingface.co";
/// A host that cannot be connected to in this time is out of reach.
const CONNECT: Duration = Duration::from_secs(5);
/// A host that says nothing for this long has gone, unless the settings say otherwise.
const SILENCE: Duration = Duration::from_secs(30);
/// How often something is asked for that comes to nothing.
const TRIES: u32 = 4;
/// How long to wait before the second try; each further one waits twice as long.
const WAIT: Duration = Duration::from_millis(500);
/// However long a server asks to be left alone, no wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A client that remembers which hosts are out of reach.
pub(super) struct Web {
    agent: Agent,
    endpoint: String,
    token: Option<Secret>,
    netrc: Option<PathBuf>,
    down: Mutex<BTreeSet<String>>,
}

/// What to download.
pub(super) struct Wanted<'a> {
    pub(super) url: &'a str,
    /// For people.
    pub(super) what: &'a str,
    /// The sha256 that it must have.
    pub(super) sha256: Option<&'a str>,
}

/// Why a try came to nothing.
struct Failed {
    error: FetchError,
    again: Again,
}

/// Whether another try may help.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    No,
    /// After a while, or after as long as the server says.
    Later(Option<Duration>),
    /// At once, from the beginning.
    Anew,
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Self {
        Failed { error, again: Again::No }
    }
}

impl Web {
    pub(super) fn new(options: &FetchOptions) -> Self {
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::PlatformVerifier).build();
        let silence = options.silence.unwrap_or(SILENCE);
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_resolve(Some(CONNECT.min(silence)))
            .timeout_connect(Some(CONNECT.min(silence)))
            .timeout_recv_response(Some(silence))
            .timeout_per_read(Some(silence))
            .http_status_as_error(false)
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("fuseline/", env!("CARGO_PKG_VERSION")))
            .build();
        let endpoint = options.hf_endpoint.clone().filter(|e| !e.is_empty()).unwrap_or_else(|| HUB.to_owned());
        Web {
            agent: config.new_agent(),
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: options.hf_token.clone().filter(|token| !token.0.is_empty()),
            netrc: options.netrc.clone(),
            down: Mutex::default(),
        }
    }

    /// The address of a file of a hub repository.
    pub(super) fn hub_url(&self, repo: &str, revision: &str, file: &str) -> String {
        let file: String = file.split('/').map(percent).collect::<Vec<_>>().join("/");
        format!("{}/{repo}/resolve/{}/{file}", self.endpoint, percent(revision))
    }

    /// Downloads into a part and gives the sha256. What has come stays there if it is not all.
    pub(super) fn download(
        &self,
        wanted: &Wanted<'_>,
        part: &Part,
        cancelled: &AtomicBool,
        listener: &dyn FetchListener,
    ) -> Result<String, FetchError> {
        let mut heard = Heard { listener, what: wanted.what, started: false, told: 0 };
        let (mut tries, mut wait, mut furthest) = (0, WAIT, 0);
        loop {
            let failed = match self.ask(wanted, part, cancelled, &mut heard) {
                Ok(sha256) => return Ok(sha256),
                Err(failed) => failed,
            };
            // a try that brought something on is not counted
            tries = if heard.told > furthest { 1 } else { tries + 1 };
            furthest = heard.told;
            match failed.again {
                Again::No => return Err(failed.error),
                _ if tries >= TRIES => return Err(failed.error),
                Again::Anew => part.clear(),
                Again::Later(asked) => {
                    rest(asked.unwrap_or(wait).min(LONGEST_WAIT), cancelled)?;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    fn ask(
        &self,
        wanted: &Wanted<'_>,
        part: &Part,
        cancelled: &AtomicBool,
        heard: &mut Heard<'_>,
    ) -> Result<String, Failed> {
        let url = wanted.url;
        let host = host(url);
        if self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&host) {
            let why = "it did not answer a moment ago".to_owned();
            return Err(FetchError::Unreachable { host, why }.into());
        }
        let before = part.so_far(url, wanted.sha256.is_some());
        let mut request = self.agent.get(url);
        if let Some(secret) = self.authorization(url) {
            request = request.header("authorization", secret.0);
        }
        if let Some((bytes, about)) = &before {
            request = request.header("range", format!("bytes={bytes}-"));
            if let Some(validator) = &about.validator {
                request = request.header("if-range", validator);
            }
        }
        let response = match heedful::call(move || request.call(), cancelled)? {
            Ok(response) => response,
            Err(ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed) => {
                return Err(FetchError::Redirects { url: bare(url) }.into());
            }
            Err(error) => {
                self.down.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
                return Err(FetchError::Unreachable { host, why: error.to_string() }.into());
            }
        };
        let from = match (response.status().as_u16(), &before) {
            (206, Some((bytes, _))) if starts_at(response.headers(), *bytes) => *bytes,
            (206 | 416, _) => {
                let error = FetchError::Status { url: bare(url), status: response.status().as_u16() };
                return Err(Failed { error, again: Again::Anew });
            }
            (200..=299, _) => 0,
            (status, _) => return Err(refused(wanted, &host, status, response.headers())),
        };
        let sha256 = take(wanted, part, from, response, cancelled, heard)?;
        match wanted.sha256 {
            Some(expected) if expected != sha256 => {
                // where two servers' halves were put together, the whole may still be right
                let again = if from > 0 { Again::Anew } else { Again::No };
                let (what, expected) = (wanted.what.to_owned(), expected.to_owned());
                part.clear();
                Err(Failed { error: FetchError::Digest { what, expected, got: sha256 }, again })
            }
            _ => Ok(sha256),
        }
    }

    /// What says who asks: the hub's token for the hub, what netrc has for any other host. Never in the clear to another machine.
    fn authorization(&self, url: &str) -> Option<Secret> {
        let name = host_name(url);
        let local = name == "localhost" || name.starts_with("127.") || name == "[::1]";
        if !url.starts_with("https://") && !local {
            return None;
        }
        let is_hub = url.strip_prefix(&self.endpoint).is_some_and(|rest| rest.starts_with('/'));
        match &self.token {
            Some(token) if is_hub => Some(Secret(format!("Bearer {}", token.0))),
            _ => netrc::authorization(self.netrc.as_deref()?, &name),
        }
    }
}

/// Takes the body of an answer that begins at byte `from`; gives the sha256 of the whole.
fn take(
    wanted: &Wanted<'_>,
    part: &Part,
    from: u64,
    response: Response<Body>,
    cancelled: &AtomicBool,
    heard: &mut Heard<'_>,
) -> Result<String, Failed> {
    let size = response.body().content_length();
    let about = About { url: wanted.url.to_owned(), validator: validator(response.headers()) };
    let path = part.path();
    let mut file = part.file(from, &about)?;
    heard.begins(size.map(|size| size + from));
    let mut total = from;
    heard.has(total);
    let body = heedful::Coming::new(response.into_body().into_reader(), cancelled);
    let body = body.map_err(|error| FetchError::io(&path, &error))?;
    let broken = |why: String| {
        let error = FetchError::Unreachable { host: host(wanted.url), why: format!("the download broke off {why}") };
        Failed { error, again: Again::Later(None) }
    };
    let mut more = |bytes| {
        total += bytes;
        heard.has(total);
    };
    let (sha256, bytes) = match hash(body, &mut file, cancelled, &mut more) {
        Ok(done) => done,
        Err(CopyEnd::Interrupted) => return Err(FetchError::Interrupted.into()),
        Err(CopyEnd::Io(error)) if error.raw_os_error().is_some() && file.sync_all().is_err() => {
            return Err(FetchError::io(&path, &error).into());
        }
        Err(CopyEnd::Io(error)) if error.kind() == std::io::ErrorKind::StorageFull => {
            return Err(FetchError::io(&path, &error).into());
        }
        Err(CopyEnd::Io(error)) => return Err(broken(format!("after {total} bytes: {error}"))),
    };
    if let Some(size) = size.filter(|&size| size != bytes) {
        return Err(broken(format!("after {} of {} bytes", from + bytes, from + size)));
    }
    heard.listener.finished(wanted.what);
    if from == 0 {
        return Ok(sha256);
    }
    let whole = File::open(&path).map_err(|error| FetchError::io(&path, &error))?;
    let whole = hash(whole, &mut std::io::sink(), cancelled, &mut |_| ()).map_err(|end| end.at(&path))?;
    Ok(whole.0)
}

/// Tells a listener how far a download is, over all its tries.
struct Heard<'a> {
    listener: &'a dyn FetchListener,
    what: &'a str,
    started: bool,
    told: u64,
}

impl Heard<'_> {
    fn begins(&mut self, size: Option<u64>) {
        if !std::mem::replace(&mut self.started, true) {
            self.listener.started(self.what, size);
        }
    }

    fn has(&mut self, bytes: u64) {
        if let Some(more) = bytes.checked_sub(self.told).filter(|&more| more > 0) {
            self.listener.advanced(more);
            self.told = bytes;
        }
    }
}

/// An answer that is no file.
fn refused(wanted: &Wanted<'_>, host: &str, status: u16, headers: &HeaderMap) -> Failed {
    if status == 404 {
        let within = format!("`{host}`");
        return FetchError::NotFound { what: wanted.what.to_owned(), within, near: Vec::new() }.into();
    }
    let again = match status {
        429 | 500 | 502 | 503 | 504 => {
            let seconds = headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            Again::Later(seconds.map(Duration::from_secs))
        }
        _ => Again::No,
    };
    Failed { error: FetchError::Status { url: bare(wanted.url), status }, again }
}

/// Waits, unless the run is to end.
fn rest(how_long: Duration, cancelled: &AtomicBool) -> Result<(), FetchError> {
    const LOOK: Duration = Duration::from_millis(50);
    let mut left = how_long;
    while !left.is_zero() {
        if cancelled.load(Ordering::Relaxed) {
            return Err(FetchError::Interrupted);
        }
        let now = left.min(LOOK);
        std::thread::sleep(now);
        left -= now;
    }
    Ok(())
}

/// What tells one state of a file from another, if the server says it: `Last-Modified`, or an `ETag` that is not weak.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text("etag").filter(|etag| etag.starts_with('"')).or_else(|| text("last-modified"))
}

/// True if the answer's bytes go on from byte `from`.
fn starts_at(headers: &HeaderMap, from: u64) -> bool {
    let range = headers.get("content-range").and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.trim().starts_with(&format!("bytes {from}-")))
}

/// An address without its query, which may hold a key.
fn bare(url: &str) -> String {
    url.split('?').next().unwrap_or(url).to_owned()
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

/// The host of an address, without a port.
fn host_name(url: &str) -> String {
    let host = host(url);
    match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name.to_owned(),
        _ => host,
    }
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
#[path = "http_tests.rs"]
mod tests;
