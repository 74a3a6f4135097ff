//! How is a package had through the user's own pip or npm?
//!
//! The clients bring the user's index, proxy and credentials with them; Fuseline knows none of these. Nothing of a package
//! is run: wheels are only unpacked and npm's scripts are turned off. pip runs an sdist's own setup to learn its
//! metadata, so an sdist is taken only with a pinned sha256.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{FetchError, FetchListener};

/// How often a running client is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// A package to download.
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) sha256: Option<&'a str>,
    /// Its size, if known.
    pub(super) bytes: Option<u64>,
}

/// Downloads a package of the Python index into `folder`; gives the file.
pub(super) fn pip(
    wanted: &Wanted<'_>,
    folder: &Path,
    cancelled: &AtomicBool,
    listener: &dyn FetchListener,
) -> Result<PathBuf, FetchError> {
    let got = subfolder(folder, "got")?;
    let mut arguments: Vec<String> = ["download", "--no-deps", "--disable-pip-version-check", "--no-input"]
        .into_iter()
        .chain(["--progress-bar", "off", "--retries", "2", "--timeout", "15", "--dest"])
        .map(str::to_owned)
        .collect();
    arguments.push(got.display().to_string());
    match wanted.sha256 {
        Some(sha256) => {
            let file = folder.join("requirements.txt");
            let line = format!("{}=={} --hash=sha256:{sha256}\n", wanted.name, wanted.version);
            fs::write(&file, line).map_err(|error| FetchError::io(&file, &error))?;
            arguments.extend(["--require-hashes".to_owned(), "--requirement".to_owned(), file.display().to_string()]);
        }
        None => {
            arguments.extend(["--only-binary", ":all:"].map(str::to_owned));
            arguments.push(format!("{}=={}", wanted.name, wanted.version));
        }
    }
    let clients: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
    run("pip", &clients, &arguments, wanted, folder, cancelled, listener)?;
    only_file("pip", &got)
}

/// Downloads a package of the Node index into `folder`; gives the file.
pub(super) fn npm(
    wanted: &Wanted<'_>,
    folder: &Path,
    cancelled: &AtomicBool,
    listener: &dyn FetchListener,
) -> Result<PathBuf, FetchError> {
    let got = subfolder(folder, "got")?;
    let arguments = [
        "pack".to_owned(),
        "--ignore-scripts".to_owned(),
        "--loglevel=error".to_owned(),
        "--fetch-retries=1".to_owned(),
        "--pack-destination".to_owned(),
        got.display().to_string(),
        format!("{}@{}", wanted.name, wanted.version),
    ];
    let clients: [&[&str]; 1] = if cfg!(windows) { [&["npm.cmd"]] } else { [&["npm"]] };
    run("npm", &clients, &arguments, wanted, folder, cancelled, listener)?;
    only_file("npm", &got)
}

fn subfolder(folder: &Path, name: &str) -> Result<PathBuf, FetchError> {
    let path = folder.join(name);
    fs::create_dir_all(&path).map_err(|error| FetchError::io(&path, &error))?;
    Ok(path)
}

fn only_file(tool: &'static str, folder: &Path) -> Result<PathBuf, FetchError> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|error| FetchError::io(folder, &error))?
        .filter_map(|entry| entry.ok().map(|e| e.path()).filter(|p| p.is_file()))
        .collect();
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file),
        _ => Err(FetchError::Tool {
            tool,
            why: format!("`{tool}` said that it was done, but left no file or several"),
            stderr: Vec::new(),
            offline: false,
        }),
    }
}

/// Runs the first of `clients` that is installed.
fn run(
    tool: &'static str,
    clients: &[&[&str]],
    arguments: &[String],
    wanted: &Wanted<'_>,
    folder: &Path,
    cancelled: &AtomicBool,
    listener: &dyn FetchListener,
) -> Result<(), FetchError> {
    let what = format!("{} {} ({tool})", wanted.name, wanted.version);
    listener.started(&what, wanted.bytes);
    for client in clients {
        let log = folder.join("client.log");
        let Some(mut child) = spawn(client, arguments, folder, &log)? else { continue };
        let status = watch(&mut child, folder, wanted.bytes, cancelled, listener)?;
        if status.success() {
            listener.finished(&what);
            return Ok(());
        }
        let said = fs::read(&log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        if !said.contains("No module named pip") && !is_shim_of_nothing(&status) {
            return Err(failed(tool, wanted, &said));
        }
    }
    Err(FetchError::Tool {
        tool,
        why: format!("`{tool}` is not installed, and {} {} must be had through it", wanted.name, wanted.version),
        stderr: Vec::new(),
        offline: true,
    })
}

/// Version managers leave a command behind that ends so when nothing stands behind it.
fn is_shim_of_nothing(status: &ExitStatus) -> bool {
    status.code() == Some(127)
}

/// Starts a client; `None` if there is no such command. Its temporary files go to our folder, which is removed whatever
/// happens to it.
fn spawn(client: &[&str], arguments: &[String], folder: &Path, log: &Path) -> Result<Option<Child>, FetchError> {
    let Some((command, first)) = client.split_first() else { return Ok(None) };
    let scratch = subfolder(folder, "scratch")?;
    let open = || -> io::Result<(File, File)> {
        let log = File::create(log)?;
        Ok((log.try_clone()?, log))
    };
    let (out, err) = open().map_err(|error| FetchError::io(log, &error))?;
    let spawned = Command::new(command)
        .args(first)
        .args(arguments)
        .current_dir(folder)
        .envs(["TMPDIR", "TMP", "TEMP"].map(|name| (name, &scratch)))
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn();
    match spawned {
        Ok(child) => Ok(Some(child)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(FetchError::Io { path: (*command).to_owned(), why: error.to_string() }),
    }
}

/// Waits for a client and tells how the largest file under its hands grows; ends it when the run is to end.
fn watch(
    child: &mut Child,
    folder: &Path,
    total: Option<u64>,
    cancelled: &AtomicBool,
    listener: &dyn FetchListener,
) -> Result<ExitStatus, FetchError> {
    let mut told = 0_u64;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| FetchError::io(folder, &error))? {
            if let Some(total) = total.filter(|_| status.success()) {
                listener.advanced(total.saturating_sub(told));
            }
            return Ok(status);
        }
        if cancelled.load(Ordering::Relaxed) {
            let _ = child.kill();
            let _ = child.wait();
            return Err(FetchError::Interrupted);
        }
        let now = largest(folder, 6).min(total.unwrap_or(u64::MAX));
        if now > told {
            listener.advanced(now - told);
            told = now;
        }
        std::thread::sleep(LOOK);
    }
}

fn largest(folder: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => largest(&entry.path(), depth - 1),
            Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |m| m.len()),
            _ => 0,
        })
        .max()
        .unwrap_or(0)
}

/// What the clients say when no network answers.
const NO_NETWORK: [&str; 13] = [
    "NewConnectionError",
    "ConnectTimeoutError",
    "ConnectionError",
    "ConnectionResetError",
    "ProxyError",
    "ReadTimeoutError",
    "name resolution",
    "Max retries exceeded",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "ENETUNREACH",
];

fn failed(tool: &'static str, wanted: &Wanted<'_>, said: &str) -> FetchError {
    let offline = NO_NETWORK.iter().any(|words| said.contains(words));
    let what = format!("{}=={}", wanted.name, wanted.version);
    if said.contains("DO NOT MATCH THE HASHES") {
        let got = said.lines().find_map(|line| line.trim().strip_prefix("Got")).unwrap_or("another").trim();
        return FetchError::Digest {
            what,
            expected: wanted.sha256.unwrap_or_default().to_owned(),
            got: got.to_owned(),
        };
    }
    let missing = ["No matching distribution", "E404", "ETARGET"].iter().any(|words| said.contains(words));
    if missing && !offline {
        let within = match (tool, wanted.sha256) {
            ("pip", None) => "the wheels of pip's package index (an sdist must be pinned by its sha256)".to_owned(),
            _ => format!("{tool}'s package index"),
        };
        return FetchError::NotFound { what, within, near: Vec::new() };
    }
    let mut lines: Vec<String> =
        said.lines().map(|line| without_credentials(line.trim())).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(4);
    FetchError::Tool { tool, why: format!("`{tool}` cannot get {what}"), stderr: lines.split_off(from), offline }
}

/// A line without the user part of any address in it.
fn without_credentials(line: &str) -> String {
    line.split(' ')
        .map(|word| match word.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let host = host.rsplit('@').next().unwrap_or(host);
                format!("{scheme}://{host}{path}")
            }
            None => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Silent;

    const WANTED: Wanted<'_> = Wanted { name: "x", version: "1", sha256: Some("ab"), bytes: Some(10) };

    #[test]
    fn what_a_client_says_is_understood() {
        let down = "WARNING: Retrying after NewConnectionError('…')\nERROR: No matching distribution found for x==1";
        assert!(failed("pip", &WANTED, down).is_offline());
        let missing = "ERROR: No matching distribution found for x==1";
        assert!(matches!(failed("pip", &WANTED, missing), FetchError::NotFound { .. }));
        let hash = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM\n  Expected sha256 ab\n       Got        cd\n";
        assert!(matches!(failed("pip", &WANTED, hash), FetchError::Digest { got, .. } if got == "cd"));
        let odd = failed("npm", &WANTED, "1\n2\n3\n\n4\nat https://me:pw@host/path now\n");
        assert!(!odd.is_offline());
        assert!(odd.to_string().ends_with("2 | 3 | 4 | at https://host/path now"), "{odd}");
    }

    #[cfg(unix)]
    #[test]
    fn a_client_is_watched_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let clients: [&[&str]; 2] = [&["no-such-command-anywhere"], &["sh", "-c"]];
        let go = |script: &str, cancelled: &AtomicBool| {
            run("pip", &clients, &[script.to_owned()], &WANTED, dir.path(), cancelled, &Silent)
        };
        assert!(go("echo done > got.txt", &AtomicBool::new(false)).is_ok());
        assert!(dir.path().join("got.txt").is_file());
        assert!(matches!(go("sleep 60", &AtomicBool::new(true)), Err(FetchError::Interrupted)));
        assert!(go("echo 'No module named pip' >&2; exit 1", &AtomicBool::new(false)).unwrap_err().is_offline());
    }
}
