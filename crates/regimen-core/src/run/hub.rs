//! Downloads from the hub into its own cache layout (Cargo feature `hub`): what other tools download is found by this one
//! and the other way round.
//!
//! ```text
//! models--ORG--NAME/blobs/ETAG   snapshots/COMMIT/FILE -> ../../blobs/ETAG   refs/REVISION (written last)
//! ```
//!
//! A file appears when all of it is there and, where the hub tells its SHA-256, has that digest. A download that was cut
//! off leaves files that are complete and no reference, so it is not taken for a snapshot.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use regimen_base::{Error, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use ureq::Agent;
use ureq::http::{HeaderMap, Response};

use super::trouble::Told;

/// Where the hub is, and who asks.
pub(super) struct Hub {
    endpoint: String,
    token: Option<String>,
    agent: Agent,
}

/// Hops that a file may lie away from where the hub said.
const MOST_HOPS: usize = 8;

/// The answer that lists a model's files is not longer.
const LONGEST_LISTING: u64 = 16 << 20;

impl Hub {
    /// By HF_ENDPOINT and HF_TOKEN; `None` with HF_HUB_OFFLINE.
    pub fn of_environment(variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let given = |key: &str| variable(key).filter(|value| !value.is_empty());
        let off =
            |value: &String| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off");
        if given("HF_HUB_OFFLINE").is_some_and(|value| off(&value)) {
            return None;
        }
        let endpoint = given("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Some(Self::new(&endpoint, given("HF_TOKEN")))
    }

    fn new(endpoint: &str, token: Option<String>) -> Self {
        let config = Agent::config_builder()
            // hops are followed here: the token goes to the hub alone
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .user_agent(concat!("regimen/", env!("CARGO_PKG_VERSION")));
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), token, agent: config.build().into() }
    }

    /// Brings what a model is made of into the cache, and gives the folder of the snapshot. `tell` gets a line a file.
    ///
    /// # Errors
    /// When the hub cannot be reached or refuses, a file is cut off or has another digest, or the cache cannot be written.
    pub fn fetch(
        &self,
        cache: &Path,
        (org, model, revision): (&str, &str, &str),
        tell: &mut dyn FnMut(&str),
    ) -> Result<PathBuf> {
        let listing = self.listing(org, model, revision)?;
        let commit = listing.get("sha").and_then(Value::as_str).unwrap_or_default().to_owned();
        if commit.is_empty() || !commit.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(odd("names no commit"));
        }
        let files = wanted(&listing)?;
        let repository = cache.join(format!("models--{org}--{model}"));
        let snapshot = repository.join("snapshots").join(&commit);
        for folder in [repository.join("blobs"), snapshot.clone(), repository.join("refs")] {
            fs::create_dir_all(&folder).told("make", &folder)?;
        }
        for file in files {
            tell(&format!("{org}/{model}: {file}"));
            let url = format!("{}/{org}/{model}/resolve/{commit}/{file}", self.endpoint);
            self.file(&url, &repository, &snapshot.join(&file))
                .map_err(|e| e.within(format!("{org}/{model}: {file}")))?;
        }
        let reference = repository.join("refs").join(revision);
        let temporary = reference.with_extension("unfinished");
        fs::write(&temporary, &commit).told("write", &temporary)?;
        fs::rename(&temporary, &reference).told("write", &reference)?;
        Ok(snapshot)
    }

    fn listing(&self, org: &str, model: &str, revision: &str) -> Result<Value> {
        let url = format!("{}/api/models/{org}/{model}/revision/{revision}", self.endpoint);
        let (response, _) = self.get(&url)?;
        let mut text = Vec::new();
        response
            .into_body()
            .into_reader()
            .take(LONGEST_LISTING)
            .read_to_end(&mut text)
            .map_err(|e| cut(&url, &e))?;
        serde_json::from_slice(&text).map_err(|e| odd(&format!("is no JSON ({e})")))
    }

    /// One file, to where its snapshot wants it.
    fn file(&self, url: &str, repository: &Path, place: &Path) -> Result<()> {
        if place.exists() {
            return Ok(());
        }
        let (response, first) = self.get(url)?;
        let etag = first.or_else(|| etag(response.headers())).ok_or_else(|| odd("has no ETag"))?;
        let blob = repository.join("blobs").join(&etag);
        if !blob.exists() {
            let temporary =
                repository.join("blobs").join(format!("{etag}.{}.incomplete", std::process::id()));
            let kept = Self::keep(response, url, &etag, &temporary);
            if kept.is_err() {
                let _ = fs::remove_file(&temporary);
            }
            kept?;
            fs::rename(&temporary, &blob).told("write", &blob)?;
        }
        link(Path::new("../../blobs").join(&etag).as_path(), &blob, place)
    }

    /// Writes the body, and compares it with its announced length and, where the ETag is a SHA-256, with that.
    fn keep(response: Response<ureq::Body>, url: &str, etag: &str, to: &Path) -> Result<()> {
        let announced = header(response.headers(), "content-length").and_then(|n| n.parse::<u64>().ok());
        let mut body = response.into_body().into_reader();
        let mut out = File::create(to).told("write", to)?;
        let (mut hasher, mut length, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
        loop {
            let n = body.read(&mut buffer).map_err(|e| cut(url, &e))?;
            if n == 0 {
                break;
            }
            hasher.update(&buffer[..n]);
            length += n as u64;
            out.write_all(&buffer[..n]).told("write", to)?;
        }
        out.sync_all().told("write", to)?;
        if announced.is_some_and(|wanted| wanted != length) {
            return Err(cut(url, &format!("{length} bytes came, {} were announced", announced.unwrap_or(0))));
        }
        let found = hex(&hasher.finalize());
        if etag.len() == found.len() && etag != found {
            return Err(Error::data(format!("{url} has the SHA-256 {found}, the hub says {etag}"))
                .remedy("try again; a proxy on the way may change files"));
        }
        Ok(())
    }

    /// A response with status 200, and the ETag that the hub itself gave on the way to it.
    fn get(&self, url: &str) -> Result<(Response<ureq::Body>, Option<String>)> {
        let (mut url, mut first) = (url.to_owned(), None);
        for _ in 0..=MOST_HOPS {
            let mut request = self.agent.get(&url);
            if let Some(token) =
                self.token.as_ref().filter(|_| url.starts_with(&format!("{}/", self.endpoint)))
            {
                request = request.header("Authorization", format!("Bearer {token}"));
            }
            let response = request.call().map_err(|e| unreachable(&url, &e))?;
            let linked = header(response.headers(), "x-linked-etag").and_then(plain);
            match response.status().as_u16() {
                200 => return Ok((response, first.or(linked))),
                301 | 302 | 303 | 307 | 308 => {
                    first = first.or(linked);
                    let to = header(response.headers(), "location").ok_or_else(|| odd("leads nowhere"))?;
                    url = joined(&url, to)?;
                }
                status => return Err(refused(&url, status)),
            }
        }
        Err(odd("leads in a circle"))
    }
}

/// What a model is made of, out of all that its repository holds: no folders, and no weights in other formats.
fn wanted(listing: &Value) -> Result<Vec<String>> {
    let siblings = listing.get("siblings").and_then(Value::as_array).ok_or_else(|| odd("lists no files"))?;
    let names = siblings.iter().filter_map(|s| s.get("rfilename")?.as_str());
    let plain = |name: &&str| {
        !name.starts_with('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let of_use = |name: &&str| {
        [".safetensors", ".json"].iter().any(|end| name.ends_with(end)) || *name == "chat_template.jinja"
    };
    let files: Vec<String> = names.filter(plain).filter(of_use).map(str::to_owned).collect();
    let weights = files.iter().any(|name| name.ends_with(".safetensors"));
    weights.then_some(files).ok_or_else(|| {
        Error::data("the hub's repository holds no safetensors files")
            .remedy("name a model with safetensors weights")
    })
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn etag(headers: &HeaderMap) -> Option<String> {
    header(headers, "x-linked-etag").or_else(|| header(headers, "etag")).and_then(plain)
}

/// An ETag without its quotes, when it can be a file's name.
fn plain(etag: &str) -> Option<String> {
    let etag = etag.trim_start_matches("W/").trim_matches('"');
    (!etag.is_empty() && etag.len() <= 128 && etag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
        .then(|| etag.to_owned())
}

/// The address that a `Location` means. From https it may not lead to plain http.
fn joined(from: &str, to: &str) -> Result<String> {
    let (scheme, rest) = from.split_once("://").ok_or_else(|| odd("has no address"))?;
    if to.starts_with('/') {
        let host = rest.split('/').next().unwrap_or_default();
        return Ok(format!("{scheme}://{host}{to}"));
    }
    let safe = to.starts_with("https://") || (scheme == "http" && to.starts_with("http://"));
    if safe { Ok(to.to_owned()) } else { Err(odd(&format!("leads to {to}"))) }
}

/// A relative link as the hub's own tools make it; a copy where there are no links.
fn link(relative: &Path, blob: &Path, place: &Path) -> Result<()> {
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(relative, place);
    #[cfg(not(unix))]
    let linked: std::io::Result<()> = Err(std::io::Error::other(relative.display().to_string()));
    if linked.is_err() {
        fs::copy(blob, place).told("write", place)?;
    }
    Ok(())
}

fn odd(what: &str) -> Error {
    Error::data(format!("the hub's answer {what}"))
        .remedy("check HF_ENDPOINT, or download it with `hf download`")
}

fn cut(url: &str, why: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("{url} was cut off: {why}"))
        .remedy("run the command again: complete files are kept")
}

fn unreachable(url: &str, why: &ureq::Error) -> Error {
    Error::failed(format!("cannot reach {url}: {why}"))
        .remedy("check the network and HF_ENDPOINT; with HF_HUB_OFFLINE=1 only the local cache is looked at")
}

fn refused(url: &str, status: u16) -> Error {
    let remedy = match status {
        401 | 403 => "set HF_TOKEN to a token that may read the model, and accept its terms on the hub",
        404 => "check the name and the revision",
        _ => "try again later",
    };
    Error::data(format!("{url} answers with status {status}")).remedy(remedy)
}

/// Bytes as the hub writes digests.
fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
