//! TensorBoard event files: TFRecord frames (length, masked CRC-32C of it, data, masked CRC-32C of it) around
//! `tensorflow.Event` protobuf messages, of which scalars need so few fields that they are encoded by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regimen_base::Result;

use super::storage::Storage;
use super::trouble::Told;

/// One event file; a run that goes on starts another one beside it.
pub(super) struct EventFile {
    disk: Arc<dyn Storage>,
    path: PathBuf,
}

impl EventFile {
    /// Starts a file in `folder`. Where there are older ones, TensorBoard drops what they say of `first_step` and later.
    pub(super) fn create(disk: Arc<dyn Storage>, folder: &Path, time: f64, first_step: u64) -> Result<Self> {
        disk.make_folder(folder).told("make", folder)?;
        let before = fs::read_dir(folder).told("read", folder)?.count();
        let (seconds, process) = (time as u64, std::process::id());
        // TensorBoard reads the files in the order of their names
        let path = folder.join(format!("events.out.tfevents.{seconds:010}.{before:04}.regimen.{process}"));
        let file = Self { disk, path };
        let mut bytes = frame(&version_event(time));
        if before > 0 {
            bytes.extend(frame(&start_event(time, first_step)));
        }
        file.append(&bytes)?;
        Ok(file)
    }

    /// Adds one event with all `values` of a step.
    pub(super) fn scalars(&self, time: f64, step: u64, values: &BTreeMap<String, f64>) -> Result<()> {
        self.append(&frame(&scalar_event(time, step, values)))
    }

    fn append(&self, bytes: &[u8]) -> Result<()> {
        self.disk.append(&self.path, bytes).told("write", &self.path)
    }
}

/// The file's first event: `Event.file_version` (field 3).
fn version_event(time: f64) -> Vec<u8> {
    let mut event = event_head(time, 0);
    put_bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// `Event.session_log` (field 7) with `status` (field 1) `START` (1).
fn start_event(time: f64, step: u64) -> Vec<u8> {
    let mut event = event_head(time, step);
    put_bytes(&mut event, 7, &[0x08, 1]);
    event
}

/// `Event.summary` (field 5) with one `Summary.Value` (field 1) a scalar: `tag` (field 1), `simple_value` (field 2).
fn scalar_event(time: f64, step: u64, values: &BTreeMap<String, f64>) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, &number) in values {
        let mut value = Vec::new();
        put_bytes(&mut value, 1, tag.as_bytes());
        value.push(2 << 3 | 5);
        value.extend((number as f32).to_le_bytes());
        put_bytes(&mut summary, 1, &value);
    }
    let mut event = event_head(time, step);
    put_bytes(&mut event, 5, &summary);
    event
}

/// `Event.wall_time` (field 1, double) and `Event.step` (field 2, int64).
fn event_head(time: f64, step: u64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(time.to_le_bytes());
    if step > 0 {
        event.push(2 << 3);
        put_varint(&mut event, step);
    }
    event
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A TFRecord.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: a row of metrics is about a kilobyte.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::super::storage::FileSystem;
    use super::*;

    /// RFC 3720, appendix B.4.
    #[test]
    fn crc_known_answers() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
    }

    /// The first record that TensorFlow's and tensorboardX's writers put into a file, at time 1.
    #[test]
    fn the_first_record_is_the_known_one() {
        let record = frame(&version_event(1.0));
        let event = b"\x09\0\0\0\0\0\0\xf0\x3f\x1a\x0dbrain.Event:2";
        assert_eq!(&record[..8], &24u64.to_le_bytes());
        // the length 24 has the same checksum in every event file
        assert_eq!(&record[8..12], &[0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(&record[12..36], event);
        assert_eq!(&record[36..], masked_crc(event).to_le_bytes());
    }

    #[test]
    fn a_scalar_is_encoded_as_protobuf_does() {
        let event = scalar_event(0.5, 300, &BTreeMap::from([("loss".to_owned(), 1.5)]));
        let mut wanted = b"\x09\0\0\0\0\0\0\xe0\x3f".to_vec(); // wall_time 0.5
        wanted.extend(b"\x10\xac\x02"); // step 300
        wanted.extend(b"\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\xc0\x3f"); // summary { value { tag, simple_value } }
        assert_eq!(event, wanted);
    }

    #[test]
    fn files_of_one_second_are_read_in_the_order_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..3 {
            EventFile::create(Arc::new(FileSystem), folder.path(), 1_795_420_799.0, 9).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert!(
            names.iter().enumerate().all(|(i, n)| n.to_str().unwrap().contains(&format!(".{i:04}."))),
            "{names:?}"
        );
    }
}
