//! `config.json` of a net of numbers. Only this program reads it.

use regimen_base::{Error, Result};
use regimen_kernels::Elementwise;
use serde_json::{Value, json};

use super::Mlp;

/// What `model_type` says.
pub(crate) const MODEL_TYPE: &str = "regimen-mlp";

impl Mlp {
    pub(crate) fn to_json(&self) -> Value {
        let between = match self.between {
            Elementwise::Linear => "linear",
            Elementwise::Relu => "relu",
        };
        json!({
            "model_type": MODEL_TYPE,
            "architectures": ["RegimenMlp"],
            "inputs": self.inputs,
            "hidden": self.hidden,
            "outputs": self.outputs,
            "between": between,
            "bias": self.bias,
            "paths": self.paths,
            "torch_dtype": "float32",
        })
    }

    pub(crate) fn from_json(config: &Value) -> Result<Self> {
        let count = |name: &str| {
            let value = config.get(name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
            value.ok_or_else(|| wrong(name, "a count"))
        };
        let hidden =
            config.get("hidden").and_then(Value::as_array).ok_or_else(|| wrong("hidden", "a list"))?;
        let hidden = hidden.iter().map(|n| n.as_u64().and_then(|n| usize::try_from(n).ok()));
        let mlp = Self {
            inputs: count("inputs")?,
            hidden: hidden.collect::<Option<_>>().ok_or_else(|| wrong("hidden", "a list of counts"))?,
            outputs: count("outputs")?,
            between: match config.get("between").and_then(Value::as_str) {
                Some("linear") => Elementwise::Linear,
                Some("relu") => Elementwise::Relu,
                _ => return Err(wrong("between", "`linear` or `relu`")),
            },
            bias: config
                .get("bias")
                .and_then(Value::as_bool)
                .ok_or_else(|| wrong("bias", "true or false"))?,
            paths: count("paths")?,
        };
        mlp.check().map_err(Error::data)?;
        let numbers = mlp.chain().sizes.windows(2).try_fold(0usize, |sum, pair| {
            pair[0].checked_mul(pair[1])?.checked_add(pair[1])?.checked_add(sum)
        });
        match numbers.and_then(|n| n.checked_mul(mlp.paths)).filter(|&n| n <= LARGEST) {
            Some(_) => Ok(mlp),
            None => Err(Error::data("its layers have more numbers than any machine holds")),
        }
    }
}

/// Weights of a net that could be made.
const LARGEST: usize = 1 << 36;

fn wrong(name: &str, wanted: &str) -> Error {
    Error::data(format!("`{name}` is not {wanted}"))
        .remedy("take the config.json that was saved with the weights")
}
