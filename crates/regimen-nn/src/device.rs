//! Where tensors live.

use regimen_base::{Error, Result};

/// A device by its recipe name. It also says whether the fused engine serves it or the plain twin.
#[derive(Clone, Debug)]
pub struct Device {
    name: &'static str,
    tensors: burn::Device,
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Device {
    /// The processor, with the fused engine.
    pub fn cpu() -> Self {
        Self { name: "cpu", tensors: burn::Device::flex() }
    }

    /// The device called `name`: `cpu`, or `vulkan` where it was built in.
    ///
    /// # Errors
    /// When there is no such device, when this binary was built without it, or when the machine has none.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "cpu" => Ok(Self::cpu()),
            "vulkan" => vulkan(),
            _ => Err(Error::usage(format!("there is no device `{name}`")).remedy("devices: cpu, vulkan")),
        }
    }

    /// Its name in recipes and on the command line.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Whether this is the processor.
    pub fn is_cpu(&self) -> bool {
        self.name == "cpu"
    }

    /// Where to create tensors: with `grad` they can become leaves of an autodiff graph; without it they count as
    /// constants beside those that can.
    pub fn tensors(&self, grad: bool) -> burn::Device {
        if grad { self.tensors.clone().autodiff() } else { self.tensors.clone() }
    }
}

#[cfg(not(feature = "vulkan"))]
fn vulkan() -> Result<Device> {
    Err(Error::usage("this binary was built without `vulkan`")
        .remedy("build it with `cargo build --release --features vulkan`, or use `--device cpu`"))
}

#[cfg(feature = "vulkan")]
fn vulkan() -> Result<Device> {
    use burn::wgpu::WgpuBackend;
    use std::sync::OnceLock;

    // a runtime can be initialised once a process
    static OPENED: OnceLock<std::result::Result<burn::Device, String>> = OnceLock::new();
    let open = || burn::Device::wgpu_options().graphics_api(WgpuBackend::Vulkan).init();
    let opened = OPENED.get_or_init(|| open().map_err(|e| e.to_string()));
    match opened {
        Ok(tensors) => Ok(Device { name: "vulkan", tensors: tensors.clone() }),
        Err(why) => Err(Error::usage(format!("no vulkan device can be opened: {why}"))
            .remedy("install a driver (Mesa's runs on the processor: `apt install mesa-vulkan-drivers`), or use `--device cpu`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_go_by_name() {
        assert_eq!(Device::by_name("cpu").map(|d| d.name), Ok("cpu"));
        assert!(
            Device::by_name("cpu")
                .is_ok_and(|d| d.tensors(true).is_autodiff() && !d.tensors(false).is_autodiff())
        );
        let e = Device::by_name("cuda").expect_err("it is not a device of ours");
        assert_eq!(e.remedy.as_deref(), Some("devices: cpu, vulkan"));
    }

    #[cfg(not(feature = "vulkan"))]
    #[test]
    fn a_device_that_was_left_out_says_how_to_get_it() {
        let e = Device::by_name("vulkan").expect_err("it was not built in");
        assert!(e.remedy.is_some_and(|r| r.contains("--features vulkan")));
    }
}
