//! What does a test reporter show? JUnit's XML: a case for each unit, variant, expectation and gate.

use super::escape::xml;
use super::report::Report;
use crate::gate::Ruling;
use crate::record::Outcome;

/// A suite under way.
#[derive(Default)]
struct Suite {
    cases: String,
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    seconds: f64,
}

impl Suite {
    fn case(&mut self, class: &str, name: &str, seconds: f64, inside: &str) {
        self.tests += 1;
        self.failures += usize::from(inside.contains("<failure"));
        self.errors += usize::from(inside.contains("<error"));
        self.skipped += usize::from(inside.contains("<skipped"));
        self.seconds += seconds;
        let (class, name) = (xml(class), xml(name));
        self.cases.push_str(&match inside {
            "" => format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\"/>\n"),
            _ => format!(
                "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\">\n{inside}    </testcase>\n"
            ),
        });
    }

    fn text(&self, name: &str) -> String {
        format!(
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">\n{}  </testsuite>\n",
            self.tests, self.failures, self.errors, self.skipped, self.seconds, self.cases
        )
    }
}

/// The XML.
pub(super) fn text(report: &Report) -> String {
    let named = [
        ("gates", gates(report)),
        ("expectations", expectations(report)),
        ("variants", variants(report)),
        ("units", units(report)),
    ];
    let sum = |of: fn(&Suite) -> usize| named.iter().map(|(_, suite)| of(suite)).sum::<usize>();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">\n",
        xml(&report.name),
        sum(|suite| suite.tests),
        sum(|suite| suite.failures),
        sum(|suite| suite.errors),
        sum(|suite| suite.skipped),
        report.totals.seconds
    );
    named.iter().filter(|(_, suite)| suite.tests > 0).for_each(|(name, suite)| text.push_str(&suite.text(name)));
    text + "</testsuites>\n"
}

fn gates(report: &Report) -> Suite {
    let mut suite = Suite::default();
    for gate in &report.gates {
        let judged = &gate.judged;
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let properties = [
            ("verdict", Some(judged.verdict.word().to_owned())),
            ("expected", Some(judged.expected.clone())),
            ("actual", Some(judged.actual.clone())),
            ("old", number(judged.old)),
            ("new", number(judged.new)),
            ("change", number(judged.change)),
            ("ratio", number(judged.ratio)),
            ("interval", judged.interval.map(|[low, high]| format!("[{low}, {high}]"))),
            ("confidence", number(judged.confidence)),
            ("p", number(judged.p)),
            ("method", judged.method.clone()),
        ];
        let message = format!("{}; wanted {}, found {}", judged.reason, judged.expected, judged.actual);
        let end = match (judged.verdict, gate.blocks) {
            (Ruling::Pass, _) => String::new(),
            (Ruling::Fail, _) => outcome("failure", judged.verdict.word(), &message),
            (_, true) => outcome("error", judged.verdict.word(), &message),
            (_, false) => format!("      <skipped message=\"{}\"/>\n", xml(&message)),
        };
        suite.case("gates", &judged.title(), 0.0, &(listed(&properties) + &end));
    }
    suite
}

fn expectations(report: &Report) -> Suite {
    let mut suite = Suite::default();
    for expected in &report.expectations {
        let inside = match expected.held {
            Some(true) => String::new(),
            Some(false) => outcome("failure", "expectation", &format!("is {}", expected.broken.join("; "))),
            None => "      <skipped message=\"the rows were not counted\"/>\n".to_owned(),
        };
        suite.case("expectations", &format!("{} {}", expected.name, expected.bound), 0.0, &inside);
    }
    suite
}

fn variants(report: &Report) -> Suite {
    let mut suite = Suite::default();
    for variant in &report.variants {
        let inside = if variant.metrics.is_empty() {
            outcome("error", "unfinished", "it was not scored")
        } else {
            let value = |value: Option<f64>| value.map_or_else(|| "undefined".to_owned(), |value| value.to_string());
            let metrics = variant.metrics.iter().map(|(name, metric)| {
                let interval = metric.ci95.map(|[low, high]| format!(" [{low}, {high}]")).unwrap_or_default();
                (name.as_str(), Some(format!("{}{interval}", value(metric.estimate))))
            });
            listed(&metrics.collect::<Vec<_>>())
        };
        suite.case("variants", &variant.title(), 0.0, &inside);
    }
    suite
}

fn units(report: &Report) -> Suite {
    let mut suite = Suite::default();
    for unit in &report.units {
        let inside = match unit.outcome {
            Outcome::Ran | Outcome::Reused => String::new(),
            Outcome::Failed => outcome("error", "failed", unit.problem.as_deref().unwrap_or("it failed")),
            Outcome::Skipped => {
                "      <skipped message=\"something that it needs failed, or the run was stopped\"/>\n".to_owned()
            }
        };
        suite.case(&format!("units.{}", unit.kind), &unit.title, unit.seconds, &inside);
    }
    suite
}

fn listed(properties: &[(&str, Option<String>)]) -> String {
    let one = |(name, value): &(&str, Option<String>)| {
        let value = xml(value.as_ref()?);
        Some(format!("        <property name=\"{}\" value=\"{value}\"/>\n", xml(name)))
    };
    let all: String = properties.iter().filter_map(one).collect();
    format!("      <properties>\n{all}      </properties>\n")
}

fn outcome(element: &str, kind: &str, message: &str) -> String {
    let message = xml(message);
    format!("      <{element} type=\"{}\" message=\"{message}\">{message}</{element}>\n", xml(kind))
}
