//! Are members found, and is harm refused?

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::SimpleFileOptions;

use super::*;

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // written by hand: the builder refuses names with `..`
        header.as_old_mut().name.iter_mut().zip(name.bytes()).for_each(|(slot, byte)| *slot = byte);
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "d/link", "/etc/passwd").unwrap();
    builder.into_inner().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let method = if name.contains("stored") { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    writer.finish().unwrap().into_inner()
}

struct OnDisk(tempfile::TempDir, &'static str, u64);

impl OnDisk {
    fn new(name: &'static str, bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), bytes).unwrap();
        OnDisk(dir, name, bytes.len() as u64)
    }

    fn read(&self, members: &[&str]) -> Result<String, FetchError> {
        let path = self.0.path().join(self.1);
        let outer = Outer { path: &path, name: self.1, source: self.1, bytes: self.2 };
        let members: Vec<String> = members.iter().map(|m| (*m).to_owned()).collect();
        let mut text = String::new();
        let mut all = outer.expand(&members)?;
        for way in all.drain(..) {
            let mut reader = outer.open(&way)?;
            reader.read_to_string(&mut text).map_err(|error| FetchError::io(&path, &error))?;
        }
        Ok(text)
    }
}

#[test]
fn members_of_nested_archives_are_read() {
    let long = "many rows\n".repeat(20_000);
    let inner = gz(&tar(&[("./d/a.txt", b"first"), ("d/b.txt.gz", &gz(b"second")), ("d/long.txt", long.as_bytes())]));
    let zipped = zip(&[("stored.txt", b"kept as it is"), ("x/y.tar.gz", &inner), ("z.zip", &zip(&[("q", b"deep")]))]);
    let disk = OnDisk::new("all.zip", &zipped);
    assert_eq!(disk.read(&["stored.txt"]).unwrap(), "kept as it is");
    assert_eq!(disk.read(&["x/y.tar.gz", "d/a.txt"]).unwrap(), "first");
    assert_eq!(disk.read(&["x/y.tar.gz", "d/b.txt.gz"]).unwrap(), "second");
    assert_eq!(disk.read(&["x/y.tar.gz", "d/long.txt"]).unwrap(), long);
    assert_eq!(disk.read(&["x/y.tar.gz", "d/[ab].*"]).unwrap(), "firstsecond");
    assert_eq!(disk.read(&["z.zip", "q"]).unwrap(), "deep");
    assert_eq!(OnDisk::new("a.tar", &tar(&[("t", b"plain tar")])).read(&["t"]).unwrap(), "plain tar");
    assert_eq!(OnDisk::new("a.gz", &[gz(b"one "), gz(b"two")].concat()).read(&[]).unwrap(), "one two");
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

#[test]
fn zstd_is_unpacked_as_gzip_is() {
    let packed = zst(&tar(&[("d/a.txt", b"first"), ("d/b.txt.zst", &zst(b"second"))]));
    let disk = OnDisk::new("a.tar.zst", &packed);
    assert_eq!(disk.read(&["d/*"]).unwrap(), "firstsecond");
    assert_eq!(OnDisk::new("a.zst", &[zst(b"one "), zst(b"two")].concat()).read(&[]).unwrap(), "one two");
    let whole = zst(&b"some text that is long enough ".repeat(50));
    assert!(OnDisk::new("a.zst", &whole[..whole.len() - 4]).read(&[]).is_err());
    assert!(OnDisk::new("a.zst", b"not zstd").read(&[]).is_err());
}

#[test]
fn many_members_are_read_in_one_pass() {
    let names: Vec<String> = (0..500).map(|n| format!("m/{n:03}.txt")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), name.as_bytes())).collect();
    let inner = zip(&files);
    for (name, bytes, first) in [
        ("a.tgz", gz(&tar(&files)), None),
        ("a.tar", tar(&files), None),
        ("a.zip", zip(&files), None),
        ("b.tar.zst", zst(&tar(&[("in.zip", inner.as_slice())])), Some("in.zip")),
    ] {
        let disk = OnDisk::new(name, &bytes);
        let path = disk.0.path().join(name);
        let outer = Outer { path: &path, name, source: name, bytes: disk.2 };
        let members: Vec<String> = first.into_iter().chain(["m/*.txt"]).map(str::to_owned).collect();
        let ways = outer.expand(&members).unwrap();
        let shared = super::super::shelf::Shared::new(ways.len());
        for _ in 0..2 {
            for way in &ways {
                let mut text = String::new();
                shared.open(&outer, way).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(Some(&text), way.last());
            }
        }
        let lost = ways[0][..ways[0].len() - 1].iter().cloned().chain(["link".to_owned()]).collect::<Vec<_>>();
        assert!(shared.open(&outer, &lost).is_err());
    }
}

/// A zip in which two names lead to the same bytes.
fn overlapping() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    writer.start_file("a.txt", SimpleFileOptions::default()).unwrap();
    writer.write_all(&b"text ".repeat(100)).unwrap();
    writer.shallow_copy_file("a.txt", "b.txt").unwrap();
    writer.finish().unwrap().into_inner()
}

#[test]
fn names_that_mean_two_things_are_refused() {
    let disk = OnDisk::new("a.tar", &tar(&[("a.txt", b"one"), ("./a.txt", b"two"), ("b.txt", b"three")]));
    assert!(disk.read(&["a.txt"]).unwrap_err().to_string().contains("two files of this name"));
    assert!(disk.read(&["*.txt"]).is_err());
    assert_eq!(disk.read(&["b.txt"]).unwrap(), "three");
    let error = OnDisk::new("a.zip", &overlapping()).read(&["a.txt"]).unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn what_leads_out_or_is_missing_is_refused() {
    let disk = OnDisk::new("a.tgz", &gz(&tar(&[("../evil.csv", b"x"), ("d/good.csv", b"y")])));
    assert!(matches!(disk.read(&["**/*.csv"]), Err(FetchError::Refused { .. })));
    assert!(matches!(disk.read(&["d/link"]), Err(FetchError::Refused { .. })));
    match disk.read(&["good.csv"]) {
        Err(FetchError::NotFound { near, within, .. }) => {
            assert_eq!((near.first().map(String::as_str), within.as_str()), (Some("d/good.csv"), "`a.tgz`"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(OnDisk::new("a.zip", &zip(&[])).read(&["link"]), Err(FetchError::Refused { .. })));
    assert!(matches!(OnDisk::new("a.txt", b"x").read(&["y"]), Err(FetchError::Archive { .. })));
}

#[test]
fn damage_and_bombs_are_errors() {
    let mut damaged = zip(&[("stored.txt", b"kept as it is")]);
    let at = damaged.windows(4).position(|w| w == b"kept").unwrap();
    damaged[at] = b'K';
    let error = OnDisk::new("a.zip", &damaged).read(&["stored.txt"]).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    let whole = gz(&b"some text that is long enough ".repeat(50));
    let error = OnDisk::new("a.gz", &whole[..whole.len() / 2]).read(&[]);
    assert!(error.is_err());
    assert!(OnDisk::new("a.zip", b"not a zip").read(&["x"]).is_err());

    let mut capped = Capped::new(io::repeat(b'x'), 1000);
    let error = io::copy(&mut capped, &mut io::sink()).unwrap_err();
    assert!(error.to_string().contains("1000 bytes"));
}
