//! What may a pipeline file hold? As a JSON schema, so that editors complete and check it.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::outline::{SEED, SEEDS};
use super::stage_axes::CURVES;
use crate::record::{Looks, MEASURES, Measure};
use crate::stage::Kind;

/// The JSON schema (2020-12) of a pipeline file whose stages are of these kinds.
pub fn schema(kinds: &[Kind]) -> Value {
    let mut generator = SchemaGenerator::default();
    let params: Vec<(&Kind, Value)> =
        kinds.iter().map(|kind| (kind, (kind.schema)(&mut generator).to_value())).collect();
    let mut definitions = generator.take_definitions(true);
    let mut stages = Vec::new();
    for (kind, params) in params {
        let (with, stage) = (format!("{}_params", kind.name), format!("{}_stage", kind.name));
        definitions.insert(stage.clone(), stage_schema(kind, &with, |name| params["properties"].get(name).is_some()));
        definitions.insert(with, params);
        stages.push(json!({ "$ref": format!("#/$defs/{stage}") }));
    }
    definitions.insert("axis".to_owned(), axis());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Fuseline pipeline",
        "description": "A text-ML experiment: stages, how they are wired, and the values to try.",
        "type": "object",
        "properties": {
            "name": {
                "description": "What the pipeline is called; names the run folder.",
                "type": "string",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$",
                "maxLength": 100
            },
            "description": { "description": "What it is for.", "type": ["string", "null"] },
            "seed": {
                "description": "Every random choice derives from it.",
                "type": "integer",
                "minimum": 0,
                "maximum": SEEDS - 1,
                "default": SEED
            },
            "extends": {
                "description": "One or more files, relative to this one, whose contents this file changes. A file that others extend may leave out what they give.",
                "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }, { "type": "null" }]
            },
            "stages": {
                "description": "The stages by name.",
                "type": "object",
                "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_-]*$" },
                "additionalProperties": { "oneOf": stages },
                "minProperties": 1
            },
            "matrix": matrix(),
            "expect": expect(),
            "gates": gates()
        },
        "required": ["name", "stages"],
        "additionalProperties": false,
        "$defs": definitions
    })
}

/// A stage of a kind: `use`, `from`, `with` and the axes that it may ask for; `has` says which parameters there are.
fn stage_schema(kind: &Kind, with: &str, has: impl Fn(&str) -> bool) -> Value {
    let mut fields = Map::new();
    fields.insert("use".to_owned(), json!({ "description": kind.summary, "const": kind.name }));
    fields.insert(
        "from".to_owned(),
        json!({
            "description": "The stage, or stages, that it reads.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "uniqueItems": true }, { "type": "null" }]
        }),
    );
    fields.insert("with".to_owned(), json!({ "description": "Its parameters.", "$ref": format!("#/$defs/{with}") }));
    // what reads a list says so in its example
    if example(kind).iter().any(|stage| stage["from"].is_array()) {
        fields.insert("ablate".to_owned(), ablate());
    }
    if CURVES.iter().all(|name| has(name)) {
        fields.insert("curve".to_owned(), curve());
    }
    json!({
        "title": kind.name,
        "description": kind.summary,
        "type": "object",
        "properties": fields,
        "required": ["use"],
        "additionalProperties": false,
        "examples": example(kind)
    })
}

fn ablate() -> Value {
    json!({
        "description": "Makes an axis of this name: the stage with all its inputs, with each alone, and with each left out.",
        "type": ["string", "null"],
        "pattern": "^[A-Za-z0-9_-]+$"
    })
}

fn curve() -> Value {
    json!({
        "description": "Makes an axis `train_rows`: the same evaluation with so many training rows in each fold.",
        "type": ["object", "null"],
        "properties": {
            "train_rows": {
                "description": "Numbers of rows; `all` for all that there are.",
                "type": ["array", "null"],
                "items": { "anyOf": [{ "type": "integer", "minimum": 1 }, { "const": "all" }] },
                "minItems": 1,
                "uniqueItems": true
            }
        },
        "additionalProperties": false
    })
}

fn example(kind: &Kind) -> Vec<Value> {
    serde_yaml::from_str::<Value>(kind.example).into_iter().collect()
}

fn matrix() -> Value {
    let combinations = json!({
        "type": ["array", "null"],
        "items": { "type": "object", "minProperties": 1 }
    });
    let described = |text: &str| {
        let mut value = combinations.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("description".to_owned(), json!(text));
        }
        value
    };
    json!({
        "description": "Axes of values to try; every combination is a variant.",
        "type": ["object", "null"],
        "properties": {
            "include": described("Settings to add to the combinations that they agree with, or as combinations of their own."),
            "exclude": described("Combinations to leave out: those that agree on all keys."),
            "sample": sample()
        },
        "additionalProperties": { "$ref": "#/$defs/axis" }
    })
}

fn expect() -> Value {
    let bound = |measure: &Measure| {
        json!({
            "description": format!("{}. A bare number means `{}`.", measure.summary, measure.bare.sign()),
            "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": BOUND }, { "type": "null" }]
        })
    };
    let named: Map<String, Value> = MEASURES.iter().map(|m| (m.name.to_owned(), bound(m))).collect();
    let of_split = MEASURES.iter().filter(|m| matches!(m.looks, Looks::Rows(_) | Looks::EachSplit(_)));
    let names: Vec<&str> = of_split.map(|measure| measure.name).collect();
    json!({
        "description": "What the data must be like: bounds on what the data ledger counts, such as `duplicates_across_splits: 0` or `truncated_rows: \"< 1%\"`. A run that breaks one ends with exit code 1.",
        "type": ["object", "null"],
        "properties": named,
        "patternProperties": {
            format!(r"^.+\.({})$", names.join("|")): { "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "string", "pattern": BOUND }, { "type": "null" }] }
        },
        "additionalProperties": false
    })
}

fn gates() -> Value {
    let costs = super::COSTS;
    let names: Vec<&str> = costs.iter().map(|(name, ..)| *name).collect();
    let meant: Vec<String> = costs.iter().map(|(name, _, text)| format!("`{name}`: {text}")).collect();
    json!({
        "description": "What must hold of the results, for `fuseline gate`: a metric's change since the baseline, its value, or what the run costs.",
        "type": ["object", "null"],
        "additionalProperties": {
            "type": ["object", "null"],
            "properties": {
                "metric": { "description": "The metric.", "type": "string" },
                "min_delta": { "description": "The smallest change for the better since the baseline; below 0, so much worse is let through. Passes if the whole interval of the change lies at or above it, fails if it lies below.", "type": "number" },
                "min": { "description": "The metric's smallest value.", "type": "number" },
                "max": { "description": "The metric's largest value, or the largest cost: a number, a size (`2GB`) or a time (`10m`).", "type": ["number", "string"] },
                "confidence": { "description": "How sure one must be: of a change 0.95 if left out; of a value, the value alone is looked at if left out.", "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
                "variant": { "description": "Label or id of the one variant that it is about; all, if left out.", "type": "string" },
                "evaluation": { "description": "The evaluating stage that it is about; all, if left out.", "type": "string" },
                "cost": { "description": meant.join("; "), "enum": names },
                "max_ratio": { "description": "The largest cost by that of the baseline's run: 1.2 lets a fifth more through.", "type": "number", "exclusiveMinimum": 0 }
            },
            "oneOf": [{ "required": ["metric"] }, { "required": ["cost", "max"] }, { "required": ["cost", "max_ratio"] }],
            "additionalProperties": false
        }
    })
}

/// A bound as text.
const BOUND: &str = r"^\s*(<=|>=|==|<|>|=)?\s*[0-9][0-9.eE+-]*\s*%?\s*$";

fn sample() -> Value {
    json!({
        "description": "A random subset of the combinations that `exclude` and `include` leave: so many, or a share. With the same seed a larger one contains a smaller one.",
        "type": ["object", "null"],
        "properties": {
            "size": { "description": "How many combinations.", "type": "integer", "minimum": 1 },
            "share": { "description": "Which share of them.", "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
            "seed": { "description": "The seed of the choice; the pipeline's own if left out.", "type": "integer", "minimum": 0, "maximum": SEEDS - 1 }
        },
        "oneOf": [{ "required": ["size"] }, { "required": ["share"] }],
        "additionalProperties": false
    })
}

fn axis() -> Value {
    json!({
        "description": "An axis: a list of values where the axis is named by its path (`tfidf.min_df`), or the path and the values.",
        "anyOf": [
            { "type": "array", "minItems": 1 },
            {
                "type": "object",
                "properties": {
                    "set": {
                        "description": "The path to set: a stage, then the way into its `with`, or `from`. Or several paths, which are set together.",
                        "anyOf": [
                            { "type": "string" },
                            { "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true }
                        ]
                    },
                    "values": {
                        "description": "The values, or a map from labels to values. With several paths each value is a list with an entry for each.",
                        "anyOf": [{ "type": "array", "minItems": 1 }, { "type": "object", "minProperties": 1 }]
                    }
                }
            },
            { "type": "null" }
        ]
    })
}
