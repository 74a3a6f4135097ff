//! Which name and password does the user's netrc file give for a host?

use std::path::Path;

use super::Secret;

/// The value of an `authorization` header for a host, if the file names that very host. `default` entries are not heeded: they
/// would send a password to any host that a pipeline names.
pub(super) fn authorization(file: &Path, host: &str) -> Option<Secret> {
    let text = std::fs::read_to_string(file).ok()?;
    let (login, password) = entry(&text, host)?;
    Some(Secret(format!("Basic {}", base64(format!("{login}:{password}").as_bytes()))))
}

fn entry(text: &str, host: &str) -> Option<(String, String)> {
    let mut words = words(text).into_iter();
    let (mut here, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "machine" | "default" if here => break,
            "machine" => here = words.next().is_some_and(|name| name.eq_ignore_ascii_case(host)),
            "login" if here => login = words.next(),
            "password" if here => password = words.next(),
            "login" | "password" | "account" => drop(words.next()),
            _ => {}
        }
    }
    Some((login?, password?))
}

/// The words of the file, without comments and macros; one in quotes may hold spaces.
fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (word, after) = match rest.strip_prefix('"').and_then(|quoted| quoted.split_once('"')) {
                Some((word, after)) => (word, after),
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            if word == "macdef" {
                in_macro = true;
                break;
            }
            all.push(word.to_owned());
            rest = after.trim_start();
        }
    }
    all
}

/// RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let group = (0..3).fold(0_usize, |sum, at| (sum << 8) | usize::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS.get((group >> (18 - 6 * at)) & 63).copied().unwrap_or(b'=');
            text.push(char::from(if at <= three.len() { letter } else { b'=' }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_host_has_a_password() {
        let text = "# mine\nmachine other.org login a password b\nmachine host.org\n  login me # here\n  password \"p w\"\n\
            macdef init\n machine host.org login x password y\n\nmachine last.org login l\ndefault login d password d\n";
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(entry(text, "host.org"), pair("me", "p w"));
        assert_eq!(entry(text, "OTHER.org"), pair("a", "b"));
        assert_eq!(entry(text, "last.org"), None);
        assert_eq!(entry(text, "unknown.org"), None);
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
