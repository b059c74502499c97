//! What the machine is, and how much of it the process took.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

/// The most memory the process has held so far, in bytes; `None` where the system does not tell.
pub fn peak_memory() -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Facts about the machine for the manifest: `os`, `arch`, `cpu`, `cores`, `memory_bytes`; what is unknown is left out.
pub fn host_facts() -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    facts.insert("os".to_owned(), std::env::consts::OS.to_owned());
    facts.insert("arch".to_owned(), std::env::consts::ARCH.to_owned());
    if let Ok(cores) = std::thread::available_parallelism() {
        facts.insert("cores".to_owned(), cores.to_string());
    }
    if let Some(cpu) = fs::read_to_string("/proc/cpuinfo").ok().and_then(|t| field(&t, "model name")) {
        facts.insert("cpu".to_owned(), cpu);
    }
    if let Some(bytes) = fs::read_to_string("/proc/meminfo").ok().and_then(|t| kibibytes(&t, "MemTotal:")) {
        facts.insert("memory_bytes".to_owned(), bytes.to_string());
    }
    facts
}

/// The digest of the program that runs, `blake3:…`; empty where the system does not tell. Two builds can differ in their
/// last bits, so nothing is shared between them.
pub fn program_digest() -> String {
    static DIGEST: OnceLock<String> = OnceLock::new();
    let read =
        || std::env::current_exe().and_then(fs::read).map_or_else(|_| String::new(), |b| super::digest(&b));
    DIGEST.get_or_init(read).clone()
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_writes() {
        assert_eq!(kibibytes("Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 1 kB\n", "VmHWM:"), Some(1234 * 1024));
        assert_eq!(kibibytes("Name:\tx\n", "VmHWM:"), None);
        assert_eq!(field("processor\t: 0\nmodel name\t: A CPU\n", "model name"), Some("A CPU".to_owned()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_peak_grows_with_what_is_held() {
        let before = peak_memory().unwrap();
        let held = vec![1u8; 64 << 20];
        assert!(peak_memory().unwrap() >= before + (32 << 20), "{} bytes held", held.len());
    }
}
