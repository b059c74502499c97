//! Against a server on this machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;

/// What is asked for, and what is answered: status, headers, body.
type Pages = BTreeMap<String, (u16, Vec<(String, String)>, Vec<u8>)>;

/// Requests with their `Authorization`.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

struct Server {
    address: String,
    asked: Asked,
}

fn serve(pages: impl FnOnce(&str) -> Pages) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, pages) = (Arc::clone(&asked), pages(&address));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines =
                BufReader::new(stream.try_clone().unwrap()).lines().map_while(std::io::Result::ok);
            let first = lines.next().unwrap_or_default();
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let token = headers
                .iter()
                .find_map(|h| h.to_lowercase().strip_prefix("authorization: ").map(str::to_owned));
            log.lock().unwrap().push((path.clone(), token));
            let missing = (404, Vec::new(), Vec::new());
            let (status, headers, body) = pages.get(&path).unwrap_or(&missing);
            let mut head = format!("HTTP/1.1 {status} Any\r\nConnection: close\r\n");
            if !headers.iter().any(|(name, _)| name == "Content-Length") {
                let _ = write!(head, "Content-Length: {}\r\n", body.len());
            }
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    Server { address, asked }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

const WEIGHTS: &[u8] = b"weights";

/// A repository as the hub serves it: small files at once, large ones from elsewhere.
fn pages(elsewhere: &str, weights: &[u8]) -> Pages {
    let names = [
        "config.json",
        "model.safetensors",
        "README.md",
        "onnx/model.onnx",
        "../secret.json",
        ".gitattributes",
    ];
    let siblings: Vec<Value> = names.iter().map(|name| serde_json::json!({ "rfilename": name })).collect();
    let listing = serde_json::json!({ "sha": "c0ffee", "siblings": siblings }).to_string().into_bytes();
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let linked = vec![
        own("X-Linked-Etag", &format!("\"{}\"", sha256(WEIGHTS))),
        own("Location", &format!("{elsewhere}/cdn/weights?signed=1")),
    ];
    BTreeMap::from([
        ("/api/models/org/tiny/revision/main".to_owned(), (200, vec![], listing)),
        (
            "/org/tiny/resolve/c0ffee/config.json".to_owned(),
            (307, vec![own("Location", "/cache/config.json")], vec![]),
        ),
        ("/cache/config.json".to_owned(), (200, vec![own("ETag", "W/\"abc\"")], b"{}".to_vec())),
        ("/org/tiny/resolve/c0ffee/model.safetensors".to_owned(), (302, linked, vec![])),
        ("/cdn/weights?signed=1".to_owned(), (200, vec![own("ETag", "\"another\"")], weights.to_vec())),
    ])
}

fn fetch(server: &Server, cache: &Path) -> Result<PathBuf> {
    let hub = Hub::new(&format!("{}/", server.address), Some("secret".to_owned()));
    hub.fetch(cache, ("org", "tiny", "main"), &mut |_| {})
}

#[test]
fn a_model_comes_into_the_hubs_own_layout() {
    let other = serve(|_| pages("", WEIGHTS));
    let elsewhere = other.address.clone();
    let server = serve(move |_| pages(&elsewhere, b""));
    let cache = tempfile::tempdir().unwrap();
    let snapshot = fetch(&server, cache.path()).unwrap();
    let repository = cache.path().join("models--org--tiny");
    assert_eq!(snapshot, repository.join("snapshots/c0ffee"));
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), WEIGHTS);
    assert_eq!(fs::read(snapshot.join("config.json")).unwrap(), b"{}");
    let link = fs::read_link(snapshot.join("model.safetensors")).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(sha256(WEIGHTS)));
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), "c0ffee");
    assert_eq!(fs::read_dir(&snapshot).unwrap().count(), 2, "and nothing else");
    // the token went to the hub, and to nobody else
    let tokens = |server: &Server| {
        let asked = server.asked.lock().unwrap();
        asked.iter().map(|(_, token)| token.is_some()).collect::<Vec<bool>>()
    };
    assert_eq!((tokens(&server), tokens(&other)), (vec![true; 4], vec![false]));
    // a second time only the listing is asked for
    fetch(&server, cache.path()).unwrap();
    assert_eq!((tokens(&server).len(), tokens(&other).len()), (5, 1));
}

#[test]
fn what_is_cut_off_or_changed_is_no_snapshot() {
    let cut: Pages = {
        let mut pages = pages("", WEIGHTS);
        pages
            .get_mut("/cdn/weights?signed=1")
            .unwrap()
            .1
            .push(("Content-Length".to_owned(), "100".to_owned()));
        pages
    };
    for (pages, told) in [(cut, "cut off"), (pages("", b"weighty"), "the hub says")] {
        let server = serve(move |_| pages);
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&server, cache.path()).unwrap_err();
        assert!(
            error.to_string().contains(told) && error.to_string().contains("model.safetensors"),
            "{error}"
        );
        let repository = cache.path().join("models--org--tiny");
        assert!(
            !repository.join("refs/main").exists()
                && !repository.join("snapshots/c0ffee/model.safetensors").exists()
        );
        let blobs: Vec<String> = fs::read_dir(repository.join("blobs"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert_eq!(blobs, ["abc"], "only what is complete stays");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let with = |path: &str, status| {
        let path = path.to_owned();
        serve(move |_| {
            let mut pages = pages("", WEIGHTS);
            pages.insert(path, (status, vec![], vec![]));
            pages
        })
    };
    let cache = tempfile::tempdir().unwrap();
    for (status, remedy) in [(401, "HF_TOKEN"), (404, "the name"), (503, "later")] {
        let error = fetch(&with("/api/models/org/tiny/revision/main", status), cache.path()).unwrap_err();
        assert!(error.what.contains(&status.to_string()) && error.remedy.unwrap().contains(remedy));
    }
    let nobody = Server { address: "http://127.0.0.1:9".to_owned(), asked: Arc::default() };
    assert!(fetch(&nobody, cache.path()).unwrap_err().remedy.unwrap().contains("HF_HUB_OFFLINE"));
}

#[test]
fn the_environment_decides() {
    let with = |set: &'static [(&str, &str)]| {
        Hub::of_environment(&|key| {
            set.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
        })
    };
    assert_eq!(with(&[]).unwrap().endpoint, "https://huggingface.co");
    let mirror =
        with(&[("HF_ENDPOINT", "http://mirror/"), ("HF_TOKEN", "t"), ("HF_HUB_OFFLINE", "0")]).unwrap();
    assert_eq!((mirror.endpoint.as_str(), mirror.token.as_deref()), ("http://mirror", Some("t")));
    assert!(with(&[("HF_HUB_OFFLINE", "1")]).is_none());
}

#[test]
fn addresses_are_joined_and_never_made_less_safe() {
    assert_eq!(joined("https://a/b/c", "/d").unwrap(), "https://a/d");
    assert_eq!(joined("https://a/b", "https://c/d").unwrap(), "https://c/d");
    assert!(
        joined("https://a/b", "http://c/d").is_err() && joined("https://a/b", "file:///etc/passwd").is_err()
    );
    assert_eq!(plain("../x"), None);
    assert_eq!(plain("\"ab-1\"").as_deref(), Some("ab-1"));
}
