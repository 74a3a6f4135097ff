//! Which bytes does a source stand for, whatever lies at its place now? What a lock pinned, if the bytes are kept here.

use super::spec::Place;
use super::{Fetched, Fetcher, Found, Spec, check, head, local, plain};

impl Fetcher {
    /// The files that the pins give for a source, if all of them are kept.
    pub(super) fn pinned(&self, spec: &Spec) -> Option<Vec<Fetched>> {
        let pins = &self.options.pins;
        let kept = |source: &str, sha256: &str| {
            let path = self.keep.kept(sha256)?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            Some(Found { source: source.to_owned(), path, name, sha256: sha256.to_owned(), stamp: None })
        };
        let whole = spec.members.is_empty() || spec.extract;
        match pins.get(&spec.written).filter(|_| whole) {
            Some(Some(sha256)) => return Some(vec![plain(kept(&spec.written, sha256)?).ok()?]),
            Some(None) => return spec.optional.then(Vec::new),
            None if spec.extract => return None,
            None => {}
        }
        let written = match &spec.place {
            Place::Local { path, .. } => path.clone(),
            _ => head(&spec.written),
        };
        let names = local::matching(&written, pins.keys().filter_map(|source| source.split('!').next()))?;
        let mut files = Vec::new();
        for name in names {
            let of = |(source, _): &(&String, &Option<String>)| source.split('!').next() == Some(name.as_str());
            let mut digests: Vec<&String> = pins.iter().filter(of).filter_map(|(_, sha256)| sha256.as_ref()).collect();
            digests.dedup();
            let [sha256] = digests.as_slice() else { return None };
            check(&name, spec.sha256.as_deref(), sha256).ok()?;
            files.extend(self.members(spec, &kept(&name, sha256)?).ok()?);
        }
        (!files.is_empty()).then_some(files)
    }
}
