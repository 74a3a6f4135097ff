//! Are tables read rightly, and what is in them found?

use std::path::Path;

use serde_json::json;

use super::*;

fn built(with: Value) -> Result<Work, Vec<(&'static str, String)>> {
    let scope = Scope { stage: "lexicon", base: Path::new("."), locate: &|_| None };
    let params = serde_json::from_value(with).unwrap();
    Lexicon::build(params, &scope).map_err(|problems| problems.0.into_iter().map(|p| (p.code, p.message)).collect())
}

fn opened(lexicon: &str, format: Format, chosen: Chosen) -> Open {
    Open { valences: table::valences(lexicon, format).unwrap(), emoji: BTreeMap::new(), chosen }
}

fn message(error: StageError) -> String {
    let StageError::Failed(failure) = error else { panic!("it failed") };
    format!("{} / {}", failure.message, failure.help.join(", "))
}

#[test]
fn hits_are_summed_up() {
    let open = opened("good\t2.0\t0.5\t[2, 2]\r\nbad\t-3\n\n:)\t1", Format::Tsv, Chosen::Table);
    let values = |text: &str| open.values(&open.of_text(text)).collect::<Vec<f32>>();
    assert_eq!(values("GOOD or bad, who knows :) ..."), [3.0, 3.0 / 7.0, 0.0, -3.0, 2.0, 3.0, -3.0]);
    assert_eq!(values(""), [0.0; 7]);
    let quoted = opened("\"well, good\",2\nbad,-1,x", Format::Csv, Chosen::Table);
    assert_eq!(quoted.valences.len(), 2);
}

#[test]
fn lines_that_are_none_are_named() {
    let read = |text: &str| message(table::valences(text, Format::Tsv).unwrap_err());
    assert!(
        read("word\tvalence\ngood\t1")
            .starts_with("line 1 of the lexicon is no word with a number: `word\tvalence` / a lexicon has no header")
    );
    assert!(read("good\t1\nbad\n").starts_with("line 2 of"));
    assert!(read("good\t1\nbad\tNaN\n").starts_with("line 2 of"));
    assert!(read(" \n").starts_with("the lexicon is empty"));
    let latin = b"good\t1\n:\xde\t2\n";
    let wrong = message(table::decoded(latin, encoding_rs::UTF_8).unwrap_err());
    assert_eq!(wrong, "line 2 of the lexicon is not UTF-8 / say what it is, for instance `encoding: windows-1252`");
    assert_eq!(table::decoded(latin, encoding_rs::WINDOWS_1252).unwrap(), "good\t1\n:Þ\t2\n");
}

#[test]
fn what_does_not_fit_is_said_before_anything_runs() {
    let problems = |with| built(with).err().unwrap();
    assert_eq!(problems(json!({}))[0].0, "missing-param");
    assert_eq!(
        problems(json!({ "source": "a.tsv", "encoding": "utf9" })),
        [("invalid-param", "there is no encoding `utf9`".to_owned())]
    );
    let work = built(json!({ "source": "a.tsv", "features": "vader" })).unwrap_or_else(|p| panic!("{p:?}"));
    assert_eq!(work.stage().port(&[Port::Rows]).ok(), Some(Port::Features(Form::Dense)));
    assert!(work.stage().port(&[Port::Tokens]).is_err());
    let work = built(json!({ "source": "a.tsv", "emoji": "b.tsv" })).unwrap_or_else(|p| panic!("{p:?}"));
    assert!(work.stage().port(&[Port::Tokens]).is_err(), "emoji are spelled in texts");
    let params = serde_json::from_value(json!({ "source": "a.tsv", "emoji": "b.tsv", "features": "both" })).unwrap();
    assert_eq!(Lexicon::canonical(&params), json!({ "features": "both" }));
}

#[test]
fn emoji_of_one_character_are_read() {
    let emoji = table::emoji("😀\tgrinning face\r\n❤️\tred heart\n").unwrap();
    assert_eq!(emoji, BTreeMap::from([('😀', "grinning face".to_owned())]));
}
