//! How do the scores of a sweep follow its axes? Parallel coordinates: one line for each variant, across its values to its score.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rank::{Ranked, Ranking};
use super::svg::Scale;
use super::words::{fixed, html, score, short};

/// Sizes in pixels: from axis to axis, the height of an axis, the room above, below, left and right.
const STEP: f64 = 150.0;
const HIGH: f64 = 220.0;
const MARGIN: [f64; 4] = [34.0, 24.0, 70.0, 60.0];

/// Values that lie further apart than so many times are drawn by their logarithm.
const WIDE: f64 = 20.0;

/// Figures that stand nearer than so many pixels hide each other.
const NEAR: f64 = 12.0;

/// An upright axis.
struct Axis {
    name: String,
    /// Where it has figures: from 0 (below) to 1 (above).
    marks: Vec<(f64, String)>,
    /// Where each variant crosses it.
    at: Vec<Option<f64>>,
    numeric: bool,
}

/// The drawing; empty unless at least two axes of numbers vary.
pub(super) fn html_section(ranking: &Ranking<'_>) -> String {
    let rows: Vec<&Ranked<'_>> = ranking.rows.iter().filter(|row| row.score().is_some()).collect();
    let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.variant.params.keys()).collect();
    let mut axes: Vec<Axis> = names.into_iter().filter_map(|name| Axis::of_values(name, &rows)).collect();
    if axes.iter().filter(|axis| axis.numeric).count() < 2 {
        return String::new();
    }
    axes.extend(Axis::of_scores(ranking, &rows));
    format!(
        "<h3>Values and scores</h3>\n<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"values and \
         scores\">{}</div>\n<figcaption>A line for each variant, from axis to axis through its values to its mean \
         <code>{}</code>. Thick: the best; the paler, the worse its place. An axis whose values lie far apart shows their \
         logarithms.</figcaption>\n</figure>\n",
        drawn(&axes, &rows),
        html(&ranking.metric)
    )
}

impl Axis {
    /// The values of one axis of the matrix; `None` if they do not vary.
    fn of_values(name: &str, rows: &[&Ranked<'_>]) -> Option<Axis> {
        let values: Vec<Option<&Value>> = rows.iter().map(|row| row.variant.params.get(name)).collect();
        let mut numbers: Vec<f64> = values.iter().flatten().filter_map(|value| value.as_f64()).collect();
        let numeric = !numbers.is_empty() && numbers.len() == values.iter().flatten().count();
        let (at, mut marks): (Vec<Option<f64>>, Vec<(f64, String)>) = if numeric {
            numbers.sort_by(f64::total_cmp);
            numbers.dedup();
            let (low, high) = (*numbers.first()?, *numbers.last()?);
            let far = low > 0.0 && high / low > WIDE;
            let along =
                |value: f64| if far { (value / low).ln() / (high / low).ln() } else { (value - low) / (high - low) };
            let at = values.iter().map(|value| value.and_then(Value::as_f64).map(along)).collect();
            (at, numbers.iter().map(|number| (along(*number), number.to_string())).collect())
        } else {
            let mut words: Vec<String> = Vec::new();
            values.iter().flatten().map(|value| said(value)).for_each(|word| {
                if !words.contains(&word) {
                    words.push(word);
                }
            });
            let along = |at: usize| at as f64 / (words.len() - 1).max(1) as f64;
            let place = |value: &Value| words.iter().position(|word| *word == said(value)).map(along);
            let at = values.iter().map(|value| value.and_then(place)).collect();
            (at, words.iter().enumerate().map(|(at, word)| (along(at), word.clone())).collect())
        };
        if marks.len() < 2 {
            return None;
        }
        let mut last = f64::NEG_INFINITY;
        marks.retain(|(at, _)| {
            let keep = (at - last) * HIGH >= NEAR;
            last = if keep { *at } else { last };
            keep
        });
        Some(Axis { name: name.to_owned(), marks, at, numeric })
    }

    /// The metric that ranks; better is above.
    fn of_scores(ranking: &Ranking<'_>, rows: &[&Ranked<'_>]) -> Option<Axis> {
        let scale = Scale::over(rows.iter().filter_map(|row| row.score()))?;
        let along = |value: f64| match ranking.higher_is_better {
            true => scale.share(value),
            false => 1.0 - scale.share(value),
        };
        Some(Axis {
            name: ranking.metric.clone(),
            marks: scale.marks().map(|(value, words)| (along(value), words)).collect(),
            at: rows.iter().map(|row| row.score().map(along)).collect(),
            numeric: true,
        })
    }
}

/// A value as its axis calls it.
fn said(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn drawn(axes: &[Axis], rows: &[&Ranked<'_>]) -> String {
    let [above, below, left, right] = MARGIN;
    let (width, height) = (left + right + STEP * (axes.len() - 1) as f64, above + below + HIGH);
    let (x, y) = (|axis: usize| left + STEP * axis as f64, |at: f64| above + HIGH * (1.0 - at));
    let mut out = format!(
        "<svg class=\"plot sweep read\" role=\"group\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         aria-label=\"values and scores of {} variants\"><title>Values and scores</title>",
        rows.len()
    );
    for place in 0..axes.len() {
        let x = x(place);
        out.push_str(&format!("<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"{above}\" y2=\"{}\"/>", above + HIGH));
    }
    let points = |row: usize| {
        let crossed = axes.iter().enumerate().filter_map(|(place, axis)| Some((x(place), y((*axis.at.get(row)?)?))));
        crossed.map(|(x, y)| format!("{x:.0},{y:.1}")).collect::<Vec<_>>().join(" ")
    };
    for (at, row) in rows.iter().enumerate() {
        let strength = 0.75 - 0.6 * at as f64 / rows.len() as f64;
        out.push_str(&format!(
            "<polyline class=\"part line\" role=\"img\" style=\"--strength:{}\" points=\"{}\"><title>{}: {}</title></polyline>",
            fixed(strength, 2),
            points(at),
            html(&row.name),
            row.score().map(score).unwrap_or_default()
        ));
    }
    // above all others, though it comes first for the keyboard
    out.push_str(&format!("<polyline class=\"top\" points=\"{}\"/>", points(0)));
    for (place, axis) in axes.iter().enumerate() {
        let x = x(place);
        out.push_str(&format!(
            "<text class=\"name\" x=\"{x}\" y=\"14\" text-anchor=\"middle\">{}</text>",
            html(&short(&axis.name, 22))
        ));
        // figures stand outside the first and the last axis
        let (beside, anchor) = if place == 0 { (x - 6.0, "end") } else { (x + 6.0, "start") };
        for (at, words) in &axis.marks {
            out.push_str(&format!(
                "<text x=\"{beside}\" y=\"{:.1}\" dy=\".35em\" text-anchor=\"{anchor}\">{}</text>",
                y(*at),
                html(&short(words, 12))
            ));
        }
    }
    out + "</svg>"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::example::{summary, variant};
    use super::*;

    fn drawn_of(params: &[(&str, [Value; 3])]) -> String {
        let mut run = summary(vec![variant("a", &[0.5]), variant("b", &[0.7]), variant("c", &[0.6])]);
        for (at, one) in run.variants.iter_mut().enumerate() {
            one.params =
                params.iter().map(|(name, of)| ((*name).to_owned(), of[at].clone())).collect::<BTreeMap<_, _>>();
        }
        html_section(&Ranking::all(&run, None)[0])
    }

    #[test]
    fn each_variant_is_a_line_through_its_values() {
        let c = [json!(0.1), json!(1), json!(10)];
        let drawn = drawn_of(&[("c", c.clone()), ("min_df", [json!(1), json!(5), json!(1)])]);
        assert_eq!(drawn.matches("<polyline class=\"part line\"").count(), 3);
        // the best comes first: c = 1 lies in the middle of the logarithms of 0.1 to 10, min_df at its upper end
        let first = drawn.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(first, "70,144.0 220,34.0 370,34.0");
        assert!(
            drawn.contains("<title>b: 0.7000</title>") && drawn.contains("class=\"top\" points=\"70,144.0"),
            "{drawn}"
        );
        for too_few in [vec![("c", c.clone())], vec![("c", c), ("d", [json!(1), json!(1), json!(1)])]] {
            assert_eq!(drawn_of(&too_few), "");
        }
    }

    #[test]
    fn words_are_an_axis_too_and_what_lacks_a_value_skips_it() {
        let words = [json!("a<b"), json!([1, 2]), json!("a<b")];
        let c = [json!(1), json!(2), json!(3)];
        let drawn = drawn_of(&[("words", words), ("c", c.clone()), ("d", c)]);
        assert!(drawn.contains("a&lt;b") && drawn.contains(">[1,2]<"), "{drawn}");
        assert_eq!(drawn.matches("class=\"axis\"").count(), 4);
    }
}
