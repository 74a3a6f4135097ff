//! Which support vector machines with a kernel are there?

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, RecordBatch, UInt32Array};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::learner::{
    ClassWeight, Gives, Learner, Model, Takes, Training, Trouble, Written, both_sides, read_strings, strings,
};
use super::tree_tables::{column, table};
use crate::ml::Features;
use crate::ml::kernel::{Gamma, Kernel, Machine, Shape, Svm, SvmModel};
use crate::ml::linear::FitError;
use crate::stage::{Output, Parts, StageError};

/// scikit-learn's SVC; more than two classes are learned one against one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SvcParams {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// The kernel.
    kernel: KernelParam,
    /// The kernel's width: scale, auto, or a number above 0.
    gamma: GammaParam,
    /// Degree of the kernel poly.
    #[schemars(range(min = 1, max = 32))]
    degree: u32,
    /// Independent term of the kernels poly (0 or more) and sigmoid.
    coef0: f64,
    /// The greatest violation of the optimality conditions that is left.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
    /// How much each class counts.
    class_weight: ClassWeight,
}

/// scikit-learn's SVR: errors beyond epsilon cost c times what they exceed it by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SvrParams {
    /// Inverse strength of the penalty.
    #[schemars(extend("exclusiveMinimum" = 0))]
    c: f64,
    /// Errors up to this cost nothing.
    #[schemars(range(min = 0))]
    epsilon: f64,
    /// The kernel.
    kernel: KernelParam,
    /// The kernel's width: scale, auto, or a number above 0.
    gamma: GammaParam,
    /// Degree of the kernel poly.
    #[schemars(range(min = 1, max = 32))]
    degree: u32,
    /// Independent term of the kernels poly (0 or more) and sigmoid.
    coef0: f64,
    /// The greatest violation of the optimality conditions that is left.
    #[schemars(extend("exclusiveMinimum" = 0))]
    tol: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum KernelParam {
    /// x·z.
    Linear,
    /// exp(−gamma ‖x − z‖²).
    Rbf,
    /// (gamma x·z + coef0)^degree.
    Poly,
    /// tanh(gamma x·z + coef0).
    Sigmoid,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct GammaParam(Gamma);

impl Serialize for GammaParam {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Gamma::Scale => to.serialize_str("scale"),
            Gamma::Auto => to.serialize_str("auto"),
            Gamma::Value(gamma) => to.serialize_f64(gamma),
        }
    }
}

impl<'de> Deserialize<'de> for GammaParam {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        match (value.as_str(), value.as_f64()) {
            (Some("scale"), _) => Ok(GammaParam(Gamma::Scale)),
            (Some("auto"), _) => Ok(GammaParam(Gamma::Auto)),
            (_, Some(gamma)) if gamma > 0.0 => Ok(GammaParam(Gamma::Value(gamma))),
            _ => Err(de::Error::custom(format!("must be `scale`, `auto` or a number above 0, but is {value}"))),
        }
    }
}

impl JsonSchema for GammaParam {
    fn schema_name() -> Cow<'static, str> {
        "Gamma".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "enum": ["scale", "auto"] }, { "type": "number", "exclusiveMinimum": 0 }] })
    }
}

impl Default for SvcParams {
    fn default() -> Self {
        let SvrParams { c, kernel, gamma, degree, coef0, tol, .. } = SvrParams::default();
        SvcParams { c, kernel, gamma, degree, coef0, tol, class_weight: ClassWeight::None }
    }
}

impl Default for SvrParams {
    fn default() -> Self {
        let Svm { c, kernel, gamma, degree, coef0, tol } = Svm::default();
        let (kernel, gamma) = (KernelParam::of(kernel), GammaParam(gamma));
        SvrParams { c, epsilon: 0.1, kernel, gamma, degree, coef0, tol }
    }
}

impl KernelParam {
    fn kernel(self) -> Kernel {
        match self {
            KernelParam::Linear => Kernel::Linear,
            KernelParam::Rbf => Kernel::Rbf,
            KernelParam::Poly => Kernel::Poly,
            KernelParam::Sigmoid => Kernel::Sigmoid,
        }
    }

    fn of(kernel: Kernel) -> KernelParam {
        match kernel {
            Kernel::Linear => KernelParam::Linear,
            Kernel::Rbf => KernelParam::Rbf,
            Kernel::Poly => KernelParam::Poly,
            Kernel::Sigmoid => KernelParam::Sigmoid,
        }
    }
}

impl Written for SvcParams {
    fn learner(&self) -> Box<dyn Learner> {
        let SvcParams { c, degree, coef0, tol, .. } = *self;
        let svm = Svm { c, kernel: self.kernel.kernel(), gamma: self.gamma.0, degree, coef0, tol };
        Box::new(Machines { svm, of: Of::Classes(self.class_weight) })
    }
}

impl Written for SvrParams {
    fn learner(&self) -> Box<dyn Learner> {
        let SvrParams { c, degree, coef0, tol, .. } = *self;
        let svm = Svm { c, kernel: self.kernel.kernel(), gamma: self.gamma.0, degree, coef0, tol };
        Box::new(Machines { svm, of: Of::Values { epsilon: self.epsilon } })
    }
}

/// Number of training rows (of some hundred columns) beyond which a fit takes more than about ten seconds on one core.
const SLOW_BEYOND: usize = 15_000;

struct Machines {
    svm: Svm,
    of: Of,
}

/// What is learned.
enum Of {
    Classes(ClassWeight),
    Values { epsilon: f64 },
}

impl Learner for Machines {
    fn takes(&self) -> Takes {
        Takes::Dense
    }

    fn gives(&self) -> Gives {
        match self.of {
            Of::Classes(_) => Gives::Decisions,
            Of::Values { .. } => Gives::Values,
        }
    }

    fn weighs_rows(&self) -> bool {
        true
    }

    fn advice(&self, name: &str) -> Vec<String> {
        vec![format!("`{name}` is slow beyond about {SLOW_BEYOND} training rows of some hundred columns")]
    }

    fn fit(&self, on: &Training<'_>) -> Result<Output, Trouble> {
        let blocks = on.blocks()?;
        let model = match self.of {
            Of::Classes(class_weight) => {
                let ((y, classes), weights) = (on.classes()?, on.weights(class_weight)?);
                self.svm.fit_classes(&blocks.x, y, classes, weights.as_deref(), &on.stop())?
            }
            Of::Values { epsilon } => {
                let (y, weights) = (on.values()?, on.weights(ClassWeight::None)?);
                self.svm.fit_values(&blocks.x, y, epsilon, weights.as_deref(), &on.stop())?
            }
        };
        Ok(written(&model)?)
    }

    fn load(&self, learned: &Parts, classes: usize) -> Result<Box<dyn Model>, Trouble> {
        let model = read(learned)?.checked()?;
        match model.classes == classes {
            true => Ok(Box::new(model)),
            false => Err(FitError::Stored { message: "it is of other classes".to_owned() }.into()),
        }
    }
}

impl Model for SvmModel {
    fn scores(&self, x: &Features) -> Result<Vec<f64>, FitError> {
        Ok(both_sides(SvmModel::scores(self, x)?, self.classes))
    }
}

/// What is not a table of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    classes: usize,
    present: Vec<u32>,
    kernel: KernelParam,
    gamma: f64,
    coef0: f64,
    degree: u32,
    /// What each machine subtracts.
    rho: Vec<f64>,
}

/// The parts `head`, `centre` (value by column), `support` (value, row-major) and `machines` (machine, row, coef).
fn written(model: &SvmModel) -> Result<Output, StageError> {
    let Shape { kernel, gamma, coef0, degree } = model.shape;
    let rho = model.machines.iter().map(|machine| machine.rho).collect();
    let (classes, present, kernel) = (model.classes, model.present.clone(), KernelParam::of(kernel));
    let head = Head { classes, present, kernel, gamma, coef0, degree, rho };
    let head = serde_json::to_string(&head).map_err(StageError::caused)?;
    let machine = (0u32..).zip(&model.machines).flat_map(|(at, machine)| machine.rows.iter().map(move |_| at));
    let row = model.machines.iter().flat_map(|machine| machine.rows.iter().copied());
    let coef = model.machines.iter().flat_map(|machine| machine.coef.iter().copied());
    let machines: [(&str, ArrayRef); 3] = [
        ("machine", Arc::new(UInt32Array::from_iter_values(machine))),
        ("row", Arc::new(UInt32Array::from_iter_values(row))),
        ("coef", Arc::new(Float64Array::from_iter_values(coef))),
    ];
    Ok(Output::new()
        .fact("support_vectors", model.support.len().checked_div(model.centre.len()).unwrap_or_default())
        .table("head", strings("json", &[head])?)
        .table("centre", floats(&model.centre)?)
        .table("support", floats(&model.support)?)
        .table("machines", table(machines)?))
}

fn floats(values: &[f32]) -> Result<RecordBatch, StageError> {
    table([("value", Arc::new(Float32Array::from(values.to_vec())) as ArrayRef)])
}

/// The model, as it stands there: its parts may not fit together.
fn read(learned: &Parts) -> Result<SvmModel, StageError> {
    let head = read_strings(&*learned.table("head")?, "json")?;
    let head: Head = serde_json::from_str(head.first().map_or("", String::as_str)).map_err(StageError::caused)?;
    let table = learned.table("machines")?;
    let (of, row) = (column::<UInt32Array>(&table, "machine")?, column::<UInt32Array>(&table, "row")?);
    let coef = column::<Float64Array>(&table, "coef")?;
    let blank = |&rho: &f64| Machine { rows: Vec::new(), coef: Vec::new(), rho };
    let mut machines: Vec<Machine> = head.rho.iter().map(blank).collect();
    for entry in 0..of.len() {
        let machine = machines.get_mut(of.value(entry) as usize);
        let machine = machine.ok_or_else(|| StageError::failed("a model's table names a machine that it lacks"))?;
        machine.rows.push(row.value(entry));
        machine.coef.push(coef.value(entry));
    }
    let values = |part: &str| -> Result<Vec<f32>, StageError> {
        Ok(column::<Float32Array>(&*learned.table(part)?, "value")?.values().to_vec())
    };
    let shape = Shape { kernel: head.kernel.kernel(), gamma: head.gamma, coef0: head.coef0, degree: head.degree };
    let (centre, support) = (values("centre")?, values("support")?);
    Ok(SvmModel { classes: head.classes, present: head.present, shape, centre, support, machines })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_and_numbers_are_told_apart() {
        assert_eq!(serde_json::from_value::<GammaParam>(json!(2)).unwrap().0, Gamma::Value(2.0));
        assert!(serde_json::from_value::<GammaParam>(json!(0)).is_err());
    }
}
