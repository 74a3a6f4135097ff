//! Which languages are known by name, and what is known of each: a list of stop words, a way to stems.

use std::borrow::Cow;

use rust_stemmers::{Algorithm, Stemmer};

use super::ENGLISH_STOP_WORDS;

/// A language.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Its English name, in lower case.
    pub name: &'static str,
    /// Its ISO 639-1 code.
    pub code: &'static str,
    /// The Snowball algorithm for its stems.
    pub stemmer: Option<Algorithm>,
}

/// All languages, by name.
pub static LANGUAGES: [Language; 59] = [
    Language { name: "afrikaans", code: "af", stemmer: None },
    Language { name: "arabic", code: "ar", stemmer: Some(Algorithm::Arabic) },
    Language { name: "armenian", code: "hy", stemmer: None },
    Language { name: "basque", code: "eu", stemmer: None },
    Language { name: "bengali", code: "bn", stemmer: None },
    Language { name: "breton", code: "br", stemmer: None },
    Language { name: "bulgarian", code: "bg", stemmer: None },
    Language { name: "catalan", code: "ca", stemmer: None },
    Language { name: "chinese", code: "zh", stemmer: None },
    Language { name: "croatian", code: "hr", stemmer: None },
    Language { name: "czech", code: "cs", stemmer: None },
    Language { name: "danish", code: "da", stemmer: Some(Algorithm::Danish) },
    Language { name: "dutch", code: "nl", stemmer: Some(Algorithm::Dutch) },
    Language { name: "english", code: "en", stemmer: Some(Algorithm::English) },
    Language { name: "esperanto", code: "eo", stemmer: None },
    Language { name: "estonian", code: "et", stemmer: None },
    Language { name: "finnish", code: "fi", stemmer: Some(Algorithm::Finnish) },
    Language { name: "french", code: "fr", stemmer: Some(Algorithm::French) },
    Language { name: "galician", code: "gl", stemmer: None },
    Language { name: "german", code: "de", stemmer: Some(Algorithm::German) },
    Language { name: "greek", code: "el", stemmer: Some(Algorithm::Greek) },
    Language { name: "gujarati", code: "gu", stemmer: None },
    Language { name: "hausa", code: "ha", stemmer: None },
    Language { name: "hebrew", code: "he", stemmer: None },
    Language { name: "hindi", code: "hi", stemmer: None },
    Language { name: "hungarian", code: "hu", stemmer: Some(Algorithm::Hungarian) },
    Language { name: "indonesian", code: "id", stemmer: None },
    Language { name: "irish", code: "ga", stemmer: None },
    Language { name: "italian", code: "it", stemmer: Some(Algorithm::Italian) },
    Language { name: "japanese", code: "ja", stemmer: None },
    Language { name: "korean", code: "ko", stemmer: None },
    Language { name: "kurdish", code: "ku", stemmer: None },
    Language { name: "latin", code: "la", stemmer: None },
    Language { name: "latvian", code: "lv", stemmer: None },
    Language { name: "lithuanian", code: "lt", stemmer: None },
    Language { name: "malay", code: "ms", stemmer: None },
    Language { name: "marathi", code: "mr", stemmer: None },
    Language { name: "norwegian", code: "no", stemmer: Some(Algorithm::Norwegian) },
    Language { name: "persian", code: "fa", stemmer: None },
    Language { name: "polish", code: "pl", stemmer: None },
    Language { name: "portuguese", code: "pt", stemmer: Some(Algorithm::Portuguese) },
    Language { name: "romanian", code: "ro", stemmer: Some(Algorithm::Romanian) },
    Language { name: "russian", code: "ru", stemmer: Some(Algorithm::Russian) },
    Language { name: "slovak", code: "sk", stemmer: None },
    Language { name: "slovenian", code: "sl", stemmer: None },
    Language { name: "somali", code: "so", stemmer: None },
    Language { name: "sotho", code: "st", stemmer: None },
    Language { name: "spanish", code: "es", stemmer: Some(Algorithm::Spanish) },
    Language { name: "swahili", code: "sw", stemmer: None },
    Language { name: "swedish", code: "sv", stemmer: Some(Algorithm::Swedish) },
    Language { name: "tagalog", code: "tl", stemmer: None },
    Language { name: "tamil", code: "ta", stemmer: Some(Algorithm::Tamil) },
    Language { name: "thai", code: "th", stemmer: None },
    Language { name: "turkish", code: "tr", stemmer: Some(Algorithm::Turkish) },
    Language { name: "ukrainian", code: "uk", stemmer: None },
    Language { name: "urdu", code: "ur", stemmer: None },
    Language { name: "vietnamese", code: "vi", stemmer: None },
    Language { name: "yoruba", code: "yo", stemmer: None },
    Language { name: "zulu", code: "zu", stemmer: None },
];

impl Language {
    /// The language of an English name or an ISO 639-1 code, in any letter case.
    pub fn of(name: &str) -> Option<&'static Language> {
        let name = name.to_lowercase();
        LANGUAGES.iter().find(|language| language.name == name || language.code == name)
    }

    /// Its stop words: scikit-learn's for English, else those of the collection Stopwords ISO.
    pub fn stop_words(&self) -> Option<&'static [&'static str]> {
        match self.code {
            "en" => Some(&ENGLISH_STOP_WORDS),
            code => stop_words::lookup(code),
        }
    }
}

/// The stem of a word in lower case. What the crate lacks of Snowball 2.2: in Russian, `ё` is read as `е`.
pub(super) fn stem(word: &str, algorithm: Algorithm) -> Cow<'_, str> {
    let stemmer = Stemmer::create(algorithm);
    match algorithm {
        Algorithm::Russian if word.contains('ё') => Cow::Owned(stemmer.stem(&word.replace('ё', "е")).into_owned()),
        _ => stemmer.stem(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEMS: [(&str, &str, &str); 33] = [
        ("arabic", "المدرسة", "مدرس"),
        ("arabic", "يكتبون", "يكتب"),
        ("danish", "bibliotekerne", "bibliotek"),
        ("danish", "venlighed", "ven"),
        ("dutch", "lichamelijk", "licham"),
        ("dutch", "opgelopen", "opgelop"),
        ("english", "generously", "generous"),
        ("english", "fruitlessly", "fruitless"),
        ("english", "skies", "sky"),
        ("english", "consistency", "consist"),
        ("finnish", "taloissa", "talo"),
        ("finnish", "edeltäjiensä", "edeltäjie"),
        ("french", "continuellement", "continuel"),
        ("french", "chevaux", "cheval"),
        ("german", "aufeinanderfolgenden", "aufeinanderfolg"),
        ("german", "häuser", "haus"),
        ("greek", "θαλασσες", "θαλασσ"),
        ("hungarian", "babakocsijáért", "babakocs"),
        ("hungarian", "házak", "ház"),
        ("italian", "pronunciamento", "pronunc"),
        ("italian", "abbandonata", "abbandon"),
        ("norwegian", "havnedistriktene", "havnedistrikt"),
        ("portuguese", "quilométricas", "quilométr"),
        ("portuguese", "boiavam", "boi"),
        ("romanian", "abruptă", "abrupt"),
        ("romanian", "copiilor", "cop"),
        ("russian", "вавиловка", "вавиловк"),
        ("russian", "вертолёты", "вертолет"),
        ("spanish", "chicharrones", "chicharron"),
        ("spanish", "toreado", "tor"),
        ("swedish", "jaktkarlarne", "jaktkarl"),
        ("tamil", "மரங்கள்", "மரங்"),
        ("turkish", "kitaplarımız", "kitap"),
    ];

    #[test]
    fn every_language_has_words_or_stems() {
        for language in &LANGUAGES {
            assert!(language.stop_words().is_some() || language.stemmer.is_some(), "{}", language.name);
            assert_eq!(Language::of(&language.code.to_uppercase()), Some(language));
        }
        assert!(LANGUAGES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(Language::of("klingon"), None);
        assert_eq!(Language::of("English").and_then(Language::stop_words).map(<[_]>::len), Some(318));
    }

    #[test]
    fn stems_are_snowballs() {
        // of Python's snowballstemmer 2.2.0
        for (language, word, expected) in STEMS {
            let algorithm = Language::of(language).and_then(|language| language.stemmer).unwrap();
            assert_eq!(stem(word, algorithm), expected, "{language}");
        }
    }
}
