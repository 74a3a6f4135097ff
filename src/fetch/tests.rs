//! Does the resolver find, keep, check and repair files?

use std::fs;
use std::io::Write;

use super::*;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { dir: tempfile::tempdir().unwrap() }
    }

    fn file(self, name: &str, bytes: &[u8]) -> Self {
        let path = self.dir.path().join("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    fn base(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::new(self.dir.path().join("files"), FetchOptions::default())
    }

    fn offline(&self) -> Fetcher {
        Fetcher::new(self.dir.path().join("files"), FetchOptions { offline: true, ..FetchOptions::default() })
    }

    fn spec(&self, text: &str) -> Spec {
        Spec::parse(text, &self.base()).unwrap()
    }

    fn read(&self, text: &str) -> Result<Vec<(String, String)>, FetchError> {
        let files = self.fetcher().fetch(&self.spec(text), &Silent)?;
        Ok(files
            .iter()
            .map(|file| {
                let mut content = String::new();
                file.open().unwrap().read_to_string(&mut content).unwrap();
                (file.source.clone(), content)
            })
            .collect())
    }
}

fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn local_files_globs_and_members() {
    let place = Place::new()
        .file("b.csv", b"bee")
        .file("a.csv", b"ay")
        .file("deep/er/c.csv", b"sea")
        .file("all.zip", &zip(&[("x/2.txt", "two"), ("x/1.txt", "one"), ("y.txt", "why")]));
    let pairs = |text: &str| place.read(text).unwrap();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(pairs("a.csv"), [pair("a.csv", "ay")]);
    assert_eq!(pairs("./*.csv"), [pair("./a.csv", "ay"), pair("./b.csv", "bee")]);
    assert_eq!(pairs("**/*.csv").len(), 3);
    assert_eq!(pairs("all.zip!x/*.txt"), [pair("all.zip!x/1.txt", "one"), pair("all.zip!x/2.txt", "two")]);
    let file = &place.fetcher().known(&place.spec("all.zip!y.txt")).unwrap()[0];
    assert_eq!(file.identity(), format!("sha256:{}!y.txt", file.sha256));
    assert_eq!((file.path(), file.name.as_str()), (None, "y.txt"));
    let whole = &place.fetcher().known(&place.spec("all.zip")).unwrap()[0];
    assert_eq!(whole.inside().unwrap(), ["x/2.txt", "x/1.txt", "y.txt"]);
    assert!(whole.path().is_some());
}

#[test]
fn what_is_missing_is_named_with_what_is_near() {
    let place = Place::new().file("train.csv", b"x").file("all.zip", &zip(&[("x/movies.txt", "")]));
    let near = |text: &str| match place.read(text).unwrap_err() {
        FetchError::NotFound { near, .. } => near,
        other => panic!("{other}"),
    };
    assert_eq!(near("trian.csv"), ["train.csv"]);
    assert_eq!(near("all.zip!movies.txt"), ["x/movies.txt"]);
    assert!(place.read("nowhere/x.csv").unwrap_err().to_string().contains("no such folder"));
    assert!(place.read(".").unwrap_err().to_string().contains("folder"));
    assert!(place.fetcher().known(&place.spec("trian.csv")).is_none());
    let pinned = format!("train.csv#sha256={}", "0".repeat(64));
    assert!(matches!(place.read(&pinned), Err(FetchError::Digest { .. })));
}

/// A server that answers every request for `/file.txt` with `content`, as often as `times`.
fn server(content: &'static str, times: usize) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/dir/file.txt", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for _ in 0..times {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 2048];
            let _ = stream.read(&mut asked).unwrap();
            let length = content.len();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{content}")
                .unwrap();
        }
    });
    address
}

#[test]
fn what_was_fetched_is_kept_and_repaired() {
    let place = Place::new();
    let url = server("hello", 2);
    let spec = place.spec(&url);
    assert!(place.fetcher().known(&spec).is_none());
    assert!(matches!(place.offline().fetch(&spec, &Silent), Err(FetchError::Offline { .. })));
    let first = place.fetcher().fetch(&spec, &Silent).unwrap();
    // the second time nothing is asked of the server
    assert_eq!(place.offline().fetch(&spec, &Silent).unwrap(), first);
    assert_eq!(first[0].name, "file.txt");
    let path = first[0].path().unwrap().to_owned();
    fs::write(&path, "hellO").unwrap();
    assert!(place.offline().known(&spec).is_none(), "a damaged file is not known");
    assert_eq!(place.fetcher().fetch(&spec, &Silent).unwrap(), first);
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello");
    let leftovers = fs::read_dir(place.dir.path().join("files/tmp")).unwrap().count();
    assert_eq!(leftovers, 0);
}

#[test]
fn a_wrong_digest_keeps_nothing() {
    let place = Place::new();
    let url = server("hello", 1);
    let spec = place.spec(&format!("{url}#sha256={}", "0".repeat(64)));
    let error = place.fetcher().fetch(&spec, &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Digest { .. }) && !error.is_offline(), "{error}");
    assert!(place.fetcher().known(&spec).is_none());
    assert!(!place.dir.path().join("files/sha256").exists());
}

#[test]
fn a_model_folder_gives_its_files_and_no_others() {
    let place =
        Place::new().file("m/config.json", b"{}").file("m/model.safetensors", b"w").file("m/tokenizer.json", b"t");
    let found = model("m", &place.base()).unwrap();
    let fetcher = place.fetcher();
    let counts: Vec<usize> = found.files.iter().map(|(_, spec)| fetcher.fetch(spec, &Silent).unwrap().len()).collect();
    assert_eq!(counts, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(fetcher.known(&found.files[1].1).unwrap()[0].path().is_some());
}

#[test]
fn a_catalog_file_is_found_in_the_hub_clients_cache_only_when_it_is_the_right_one() {
    let place = Place::new();
    let cache = place.dir.path().join("hub");
    let folder = cache
        .join("models--sentence-transformers--all-MiniLM-L6-v2/snapshots/1110a243fdf4706b3f48f1d95db1a4f5529b4d41");
    fs::create_dir_all(&folder).unwrap();
    let spec = &model("all-minilm-l6-v2", &place.base()).unwrap().files[4].1;
    let options = FetchOptions { offline: true, hf_cache: Some(cache), ..FetchOptions::default() };
    let fetcher = Fetcher::new(place.dir.path().join("files"), options);
    fs::write(folder.join("sentence_bert_config.json"), "{}").unwrap();
    assert!(fetcher.known(spec).is_none());
    fs::write(folder.join("sentence_bert_config.json"), "{\n  \"max_seq_length\": 256,\n  \"do_lower_case\": false\n}")
        .unwrap();
    let known = fetcher.known(spec).unwrap();
    assert_eq!(known[0].source, "all-minilm-l6-v2/sentence_bert_config.json");
    assert!(matches!(
        fetcher.fetch(&model("all-minilm-l6-v2", &place.base()).unwrap().files[1].1, &Silent),
        Err(FetchError::Offline { .. })
    ));
}

#[test]
fn a_file_that_changes_after_its_digest_is_noticed() {
    let place = Place::new().file("x.csv", b"a,b\n1,2\n");
    let never = AtomicBool::new(false);
    let fetched = || place.fetcher().fetch(&place.spec("x.csv"), &Silent).unwrap().remove(0);
    let path = place.base().join("x.csv");
    let before = fetched();
    before.unchanged(&never).unwrap();
    // the same bytes again, and no more than another time, are no change
    fs::write(&path, b"a,b\n1,2\n").unwrap();
    before.unchanged(&never).unwrap();
    // as long as before, within the clock's grain, the old time put back
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, b"a,b\n1,3\n").unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let error = before.unchanged(&never).unwrap_err();
    assert!(matches!(&error, FetchError::Changed { now: Some((old, new)), .. } if old != new), "{error}");
    assert!(error.to_string().starts_with("`x.csv` changed during the run: sha256 "), "{error}");
    fs::remove_file(&path).unwrap();
    let error = before.unchanged(&never).unwrap_err();
    assert!(matches!(error, FetchError::Changed { now: None, .. }), "{error}");
    assert_eq!(error.to_string(), "`x.csv` vanished during the run");
}

#[test]
fn a_settled_file_is_digested_again_once_its_inode_changed() {
    let place = Place::new().file("x.csv", b"a,b\n1,2\n");
    let path = place.base().join("x.csv");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    let put_back = || File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    put_back();
    place.fetcher().fetch(&place.spec("x.csv"), &Silent).unwrap();
    let settled = place.fetcher().fetch(&place.spec("x.csv"), &Silent).unwrap().remove(0);
    let never = AtomicBool::new(false);
    settled.unchanged(&never).unwrap();
    fs::write(&path, b"a,b\n1,3\n").unwrap();
    put_back();
    assert!(settled.unchanged(&never).is_err(), "size and time are as before, but the inode has changed");
}

#[test]
fn pins_give_bytes_wherever_a_source_lay() {
    let place =
        Place::new().file("a/one.csv", b"1\n").file("a/two.csv", b"2\n").file("z.zip", &zip(&[("x.csv", "3\n")]));
    let specs = ["a/*.csv", "a/one.csv", "z.zip!x.csv"].map(|text| place.spec(text));
    let found: Vec<Vec<Fetched>> = specs.iter().map(|spec| place.fetcher().fetch(spec, &Silent).unwrap()).collect();
    let mut pins = BTreeMap::new();
    for file in found.iter().flatten() {
        let aside = place.fetcher().keep.aside().unwrap();
        let path = aside.path().join("copy");
        fs::copy(file.on_disk(), &path).unwrap();
        let name = file.on_disk().file_name().unwrap().to_string_lossy().into_owned();
        place.fetcher().keep.take(&path, &file.sha256, &name).unwrap();
        pins.insert(file.source.clone(), Some(file.sha256.clone()));
    }
    fs::remove_dir_all(place.base()).unwrap();
    assert!(place.fetcher().known(&specs[0]).is_none());
    let options = FetchOptions { offline: true, pins, ..FetchOptions::default() };
    let pinned = Fetcher::new(place.dir.path().join("files"), options);
    for (spec, before) in specs.iter().zip(&found) {
        let after = pinned.fetch(spec, &Silent).unwrap();
        let what = |files: &[Fetched]| files.iter().map(|f| (f.source.clone(), f.identity())).collect::<Vec<_>>();
        assert_eq!(what(&after), what(before));
    }
    assert!(pinned.fetch(&place.spec("a/three.csv"), &Silent).is_err());
}
