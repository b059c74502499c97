//! Host weights as tensors.

use std::collections::BTreeMap;

use burn::{Tensor, TensorData};

use crate::device::Device;
use crate::params::Params;

/// Every parameter as a flat tensor; those that train are leaves of the graph.
pub(super) struct Weights {
    tensors: BTreeMap<String, (Tensor<1>, Vec<usize>)>,
}

impl Weights {
    pub(super) fn upload(params: &Params, device: &Device, grad: bool) -> Self {
        let mut tensors = BTreeMap::new();
        for (entry, train) in params.layout().entries().iter().zip(params.train()) {
            let numbers = params.read(entry, 0..entry.range.len()).into_owned();
            let data = TensorData::new(numbers, [entry.range.len()]);
            let leaf = grad && *train;
            let tensor = Tensor::<1>::from_data(data, &device.tensors(leaf));
            let tensor = if leaf { tensor.require_grad() } else { tensor };
            tensors.insert(entry.path.clone(), (tensor, entry.shape.clone()));
        }
        Self { tensors }
    }

    /// A vector such as a bias; `None` where the architecture has none of that name.
    pub(super) fn vector(&self, path: &str) -> Option<Tensor<1>> {
        self.tensors.get(path).map(|(tensor, _)| tensor.clone())
    }

    /// A matrix, `[out, in]`.
    pub(super) fn matrix(&self, path: &str) -> Tensor<2> {
        let (tensor, shape) = &self.tensors[path];
        tensor.clone().reshape([shape[0], shape[1]])
    }

    pub(super) fn into_leaves(self) -> impl Iterator<Item = (String, Tensor<1>)> {
        self.tensors
            .into_iter()
            .filter(|(_, (tensor, _))| tensor.is_require_grad())
            .map(|(path, (tensor, _))| (path, tensor))
    }
}
