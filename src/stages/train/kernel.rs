//! Which support vector machines with a kernel are there?

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::learner::{Gives, Learner, Written};
use super::trees::Stored;
use crate::ml::ensemble::{Gamma, Kernel, SmartParams, Svc};

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
    /// Independent term of the kernel poly.
    #[schemars(range(min = 0))]
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
        let Svc { c, gamma, degree, coef0, tol, .. } = Svc::default();
        SvcParams { c, kernel: KernelParam::Rbf, gamma: GammaParam(gamma), degree, coef0, tol }
    }
}

impl Written for SvcParams {
    fn learner(&self) -> Box<dyn Learner> {
        let kernel = match self.kernel {
            KernelParam::Linear => Kernel::Linear,
            KernelParam::Rbf => Kernel::Rbf,
            KernelParam::Poly => Kernel::Poly,
        };
        let (c, gamma, degree, coef0, tol) = (self.c, self.gamma.0, self.degree, self.coef0, self.tol);
        let params = SmartParams::Svc(Svc { c, kernel, gamma, degree, coef0, tol });
        Box::new(Stored { params, gives: Gives::Decisions, seeded: false })
    }
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
