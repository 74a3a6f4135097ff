//! Does text that wants to break out of each form stay inside?

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::gate::{Judged, Ruling};
use crate::record::{Outcome, Status, Totals};

/// HTML, scripts, ends of comments and CDATA, workflow commands, Markdown, right-to-left and control characters, terminal escapes.
const NASTY: &str = "--> ]]> <script>alert(1)</script> \"'&|`*_[x](http://y)@you\r\n::error::owned\n::stop-commands::x %0A::set-output name=a::b \x1b]0;t\x07\x1b[2J\0\u{202e}evil\u{2066}\u{200b}\u{feff}\u{fffe}\u{85}\u{2028}";

fn report() -> Report {
    let judged = Judged {
        gate: NASTY.to_owned(),
        subject: NASTY.to_owned(),
        variant: NASTY.to_owned(),
        evaluation: NASTY.to_owned(),
        verdict: Ruling::Fail,
        expected: NASTY.to_owned(),
        actual: NASTY.to_owned(),
        reason: format!("`{NASTY}` went"),
        old: Some(0.9),
        new: Some(0.8),
        change: Some(-0.1),
        ratio: Some(1.25),
        interval: Some([-0.2, -0.05]),
        confidence: Some(0.95),
        p: Some(0.0001),
        method: Some(NASTY.to_owned()),
        changed_rows: Some(3),
        old_baseline: false,
    };
    let place = Some(Place { file: NASTY.to_owned(), line: 7, column: 3 });
    let unsure = Judged { verdict: Ruling::Inconclusive, ..judged.clone() };
    Report {
        format: REPORT_FORMAT,
        name: NASTY.to_owned(),
        file: NASTY.to_owned(),
        fuseline_version: "0".to_owned(),
        status: Status::Failed,
        verdict: Some(Ruling::Fail),
        baseline: Some(NASTY.to_owned()),
        gates: vec![
            GateCase { judged, blocks: true, place: place.clone() },
            GateCase { judged: unsure, blocks: false, place: None },
        ],
        expectations: vec![ExpectCase {
            name: NASTY.to_owned(),
            bound: NASTY.to_owned(),
            held: Some(false),
            broken: vec![NASTY.to_owned()],
            place: place.clone(),
        }],
        variants: vec![VariantCase {
            label: NASTY.to_owned(),
            id: "0".to_owned(),
            evaluation: NASTY.to_owned(),
            rows: 3,
            metrics: BTreeMap::from([(
                NASTY.to_owned(),
                MetricCase { mean: Some(0.5), estimate: Some(0.5), ci95: Some([0.4, 0.6]) },
            )]),
        }],
        units: vec![UnitCase {
            title: NASTY.to_owned(),
            kind: NASTY.to_owned(),
            outcome: Outcome::Failed,
            seconds: 1.0,
            problem: Some(NASTY.to_owned()),
            place,
        }],
        totals: Totals { failed: 1, ..Totals::default() },
        warnings: vec![NASTY.to_owned()],
    }
}

fn no_hidden(text: &str) {
    let hidden =
        |c: &char| (c.is_control() && *c != '\n') || "\u{202e}\u{2066}\u{200b}\u{feff}\u{fffe}\u{2028}".contains(*c);
    assert_eq!(text.chars().find(hidden), None, "{text}");
}

#[test]
fn junit_is_well_formed_and_has_a_case_for_everything() {
    let text = Form::Junit.text(&report());
    no_hidden(&text);
    // A small reader: tags balance, attributes are quoted, entities are those of XML.
    let mut open: Vec<String> = Vec::new();
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    while let Some((before, after)) = rest.split_once('<') {
        assert!(!before.contains('>'), "{before}");
        let (tag, after) = after.split_once('>').unwrap();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name)),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap().to_owned()),
        }
        rest = after;
    }
    assert!(open.is_empty() && !text.contains("<script") && !text.contains("]]>"));
    let entities = text.split('&').skip(1).map(|rest| rest.split(';').next().unwrap());
    assert!(entities.into_iter().all(|entity| ["amp", "lt", "gt", "quot", "apos"].contains(&entity)));
    assert_eq!((text.matches("<testcase").count(), text.matches("<failure").count()), (5, 2));
    assert!(text.contains("name=\"p\" value=\"0.0001\"") && text.contains("name=\"interval\" value=\"[-0.2, -0.05]\""));
    assert!(
        text.starts_with("<?xml") && text.contains("tests=\"5\" failures=\"2\" errors=\"1\" skipped=\"1\""),
        "{text}"
    );
}

#[test]
fn annotations_are_ours_alone() {
    let text = Form::Github.text(&report());
    no_hidden(&text);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for line in &lines {
        assert!(line.starts_with("::error ") || line.starts_with("::warning "), "{line}");
        // The properties end at the first `::`; what follows is the message, and a `,` divides properties.
        let (properties, _) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
        let names: Vec<&str> =
            properties.split_once(' ').unwrap().1.split(',').map(|p| p.split('=').next().unwrap()).collect();
        assert!(names == ["file", "line", "col", "title"] || names == ["title"], "{line}");
        assert!(!line.contains("%0A"), "a line break of the text is written out: {line}");
    }
    assert!(lines[0].contains("line=7,col=3") && lines[1].starts_with("::warning title="));
}

#[test]
fn code_quality_names_path_line_and_a_lasting_fingerprint() {
    let read = |report: &Report| -> Vec<Value> { serde_json::from_str(&Form::Gitlab.text(report)).unwrap() };
    no_hidden(&Form::Gitlab.text(&report()).replace("\\u", "u"));
    let all = read(&report());
    assert_eq!(all.len(), 4);
    assert_eq!(
        (&all[0]["location"]["lines"]["begin"], &all[0]["severity"]),
        (&Value::from(7), &Value::from("critical"))
    );
    let mut prints: Vec<&str> = all.iter().map(|one| one["fingerprint"].as_str().unwrap()).collect();
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), 4);
    let mut other = report();
    other.gates[0].judged.actual = "another number".to_owned();
    assert_eq!(read(&other)[0]["fingerprint"], all[0]["fingerprint"]);
}

#[test]
fn markdown_keeps_its_tables_and_obeys_nothing() {
    let text = Form::Markdown.text(&report());
    no_hidden(&text);
    let inside = text.split_once("-->\n").unwrap().1;
    assert!(!inside.contains("-->") && !inside.contains("<script") && !inside.contains("](") && !inside.contains('@'));
    let tags = inside.split('<').skip(1).map(|rest| rest.split('>').next().unwrap());
    assert!(tags.into_iter().all(|tag| tag == "code" || tag == "/code"), "{inside}");
    for line in inside.lines().filter(|line| line.starts_with('|')) {
        assert!([8, 3].contains(&line.matches('|').count()), "{line}");
    }
    assert!(!inside.contains('`') && inside.contains("**fail**"));
}

#[test]
fn json_comes_back() {
    let text = Form::Json.text(&report());
    let again: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(Form::Json.text(&again), text);
    assert_eq!((&again.gates, &again.units), (&report().gates, &report().units));
}

#[test]
fn forms_name_a_file() {
    let read = |text: &str| text.parse::<Emit>();
    assert_eq!(read("junit=a=b.xml"), Ok(Emit { form: Form::Junit, path: Some("a=b.xml".into()) }));
    assert_eq!(read("json=-"), Ok(Emit { form: Form::Json, path: None }));
    assert_eq!(read("github"), Ok(Emit { form: Form::Github, path: None }));
    assert!(read("junit").unwrap_err().contains("junit=FILE"));
    assert!(read("xml=a").unwrap_err().contains("the forms are junit"));
}
