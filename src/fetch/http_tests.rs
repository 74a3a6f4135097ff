//! Does a file come whole over lines that break, and does no secret go astray?

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;
use crate::fetch::Silent;

const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

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
                String::from_utf8_lossy(&asked[..count]).into_owned()
            })
            .collect()
    });
    (address, handle)
}

fn answer(status: &str, headers: &str, body: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}")
}

fn ok(body: &str, length: usize) -> String {
    answer("200 OK", "", body, length)
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn get(&self, web: &Web, url: &str, sha256: Option<&str>) -> Result<String, FetchError> {
        let part = Part::of(&self.0.path().join("partial"), url, self.0.path()).unwrap();
        let wanted = Wanted { url, what: "x", sha256 };
        web.download(&wanted, &part, &AtomicBool::new(false), &Silent)
    }
}

fn web(options: FetchOptions) -> Web {
    Web::new(&options)
}

#[test]
fn a_file_of_the_hub_comes_with_the_token_and_others_without() {
    let place = Place::new();
    let (hub, asked) = server(vec![ok("hello", 5)]);
    let (other, others) = server(vec![ok("hello", 5)]);
    let options = FetchOptions {
        hf_endpoint: Some(format!("{hub}/")),
        hf_token: Some(Secret("sekret".to_owned())),
        ..FetchOptions::default()
    };
    assert!(!format!("{options:?}").contains("sekret"));
    let web = web(options);
    let url = web.hub_url("org/name", "abc", "a b/c.txt");
    assert_eq!(url, format!("{hub}/org/name/resolve/abc/a%20b/c.txt"));
    assert_eq!(place.get(&web, &url, None).unwrap(), HELLO);
    place.get(&web, &format!("{other}/x"), None).unwrap();
    assert!(asked.join().unwrap()[0].contains("Bearer sekret"));
    assert!(!others.join().unwrap()[0].contains("sekret"));
}

#[test]
fn no_secret_follows_to_another_host() {
    let place = Place::new();
    let (other, others) = server(vec![ok("hello", 5), ok("hello", 5)]);
    let other = other.replace("127.0.0.1", "localhost");
    let moved = || answer("302 Found", &format!("location: {other}/there\r\n"), "", 0);
    let (hub, asked) = server(vec![moved(), moved()]);
    let netrc = place.0.path().join("netrc");
    std::fs::write(&netrc, "machine 127.0.0.1 login me password pw\ndefault login d password d\n").unwrap();
    let token = web(FetchOptions {
        hf_endpoint: Some(hub.clone()),
        hf_token: Some(Secret("sekret".to_owned())),
        ..FetchOptions::default()
    });
    assert_eq!(place.get(&token, &token.hub_url("o/n", "r", "f"), None).unwrap(), HELLO);
    let named = web(FetchOptions { netrc: Some(netrc), ..FetchOptions::default() });
    assert_eq!(place.get(&named, &format!("{hub}/file"), None).unwrap(), HELLO);
    let asked = asked.join().unwrap();
    assert!(asked[0].contains("Bearer sekret") && asked[1].contains("Basic bWU6cHc="), "{asked:?}");
    assert!(others.join().unwrap().iter().all(|asked| !asked.to_lowercase().contains("authorization")));
}

#[test]
fn a_broken_download_goes_on_where_it_broke_off() {
    let place = Place::new();
    let etag = "etag: \"one\"\r\n";
    let rest = answer("206 Partial Content", &format!("{etag}content-range: bytes 3-4/5\r\n"), "lo", 2);
    let (address, handle) = server(vec![answer("200 OK", etag, "hel", 5), rest]);
    assert_eq!(place.get(&web(FetchOptions::default()), &format!("{address}/a"), None).unwrap(), HELLO);
    let asked = handle.join().unwrap();
    assert!(asked[1].contains("bytes=3-") && asked[1].contains("\"one\""), "{}", asked[1]);
}

#[test]
fn what_a_killed_process_left_is_gone_on_with_and_checked() {
    let place = Place::new();
    let rest = || answer("206 Partial Content", "content-range: bytes 3-4/5\r\n", "lo", 2);
    let (address, handle) = server(vec![rest(), rest(), ok("hello", 5)]);
    let leave = |url: &str, bytes: &str| {
        let part = Part::of(&place.0.path().join("partial"), url, place.0.path()).unwrap();
        let mut file = part.file(0, &About { url: url.to_owned(), validator: None }).unwrap();
        file.write_all(bytes.as_bytes()).unwrap();
    };
    let (right, wrong) = (format!("{address}/a"), format!("{address}/b"));
    leave(&right, "hel");
    assert_eq!(place.get(&web(FetchOptions::default()), &right, Some(HELLO)).unwrap(), HELLO);
    // what was left is of another file: the digest shows it, and the file is asked for from its beginning
    leave(&wrong, "HEL");
    assert_eq!(place.get(&web(FetchOptions::default()), &wrong, Some(HELLO)).unwrap(), HELLO);
    let asked = handle.join().unwrap();
    assert!(asked[1].contains("bytes=3-") && !asked[2].contains("range"), "{asked:?}");
}

#[test]
fn a_server_that_knows_no_ranges_or_has_another_file_sends_all() {
    let place = Place::new();
    let (address, handle) = server(vec![answer("200 OK", "etag: \"a\"\r\n", "HE", 5), ok("hello", 5)]);
    assert_eq!(place.get(&web(FetchOptions::default()), &format!("{address}/a"), None).unwrap(), HELLO);
    handle.join().unwrap();
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_told() {
    let place = Place::new();
    let busy = || answer("503 Service Unavailable", "retry-after: 0\r\n", "", 0);
    let many = answer("429 Too Many Requests", "", "", 0);
    let (address, handle) = server(vec![
        many,
        busy(),
        ok("hello", 5),
        answer("404 Not Found", "", "", 0),
        answer("403 Forbidden", "", "", 0),
        busy(),
        busy(),
        busy(),
        busy(),
    ]);
    let web = web(FetchOptions::default());
    let get = |path: &str| place.get(&web, &format!("{address}/{path}?key=sekret"), None);
    assert_eq!(get("a").unwrap(), HELLO);
    assert!(matches!(get("b"), Err(FetchError::NotFound { .. })));
    assert!(matches!(get("b"), Err(FetchError::Status { status: 403, .. })));
    let error = get("b").unwrap_err();
    assert!(
        error.is_offline() && error.to_string().contains("503") && !error.to_string().contains("sekret"),
        "{error}"
    );
    handle.join().unwrap();
    // nobody listens any more: asked once, then known
    let first = get("a").unwrap_err();
    let second = get("b").unwrap_err();
    assert!(first.is_offline() && second.to_string().contains("a moment ago"), "{first} {second}");
}

#[test]
fn a_wrong_digest_and_a_circle_are_told() {
    let place = Place::new();
    let (address, handle) = server(vec![ok("jello", 5)]);
    let error = place.get(&web(FetchOptions::default()), &format!("{address}/a"), Some(HELLO)).unwrap_err();
    assert!(matches!(error, FetchError::Digest { .. }), "{error}");
    handle.join().unwrap();
    let (address, _) = server(vec![answer("302 Found", "location: /a\r\n", "", 0); 12]);
    let error = place.get(&web(FetchOptions::default()), &format!("{address}/a"), None).unwrap_err();
    assert!(matches!(error, FetchError::Redirects { .. }), "{error}");
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/a", listener.local_addr().unwrap());
    let web = web(FetchOptions { silence: Some(Duration::from_millis(200)), ..FetchOptions::default() });
    let error = Place::new().get(&web, &url, None).unwrap_err();
    assert!(error.is_offline() && error.to_string().contains("timeout"), "{error}");
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
