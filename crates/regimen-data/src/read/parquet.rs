//! Parquet, by rows: texts, numbers, bools, lists and structs (`messages` is a list of structs). Columns of raw bytes
//! are read as text where they are UTF-8 and as null where they are not.

use std::collections::VecDeque;
use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::column::page::Page;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, Length, RowGroupReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};
use regimen_base::{Error, Result};
use serde_json::{Map, Number, Value};

use super::{Place, Row};
use crate::files::Parts;

/// Decoded row groups that are kept, in bytes as they are in memory, roughly. Within it every row is decoded once.
const KEPT: u64 = 1 << 30;
/// What a value takes in memory for each byte that it has in the file, decompressed.
const SWELL: u64 = 3;
/// What the rows of a group may take in memory for each byte that they have in the file, beyond the first [`KEPT`] bytes: runs
/// of one value take next to nothing in the file, so a damaged one can claim any number of rows.
const MOST_SWELL: u64 = 256;
/// What an entry of a row or list takes beside its text, roughly.
const ENTRY: u64 = 64;

type Decoded = Arc<Vec<Map<String, Value>>>;

/// A file by its row groups: the smallest part that can be decoded alone.
pub(super) struct Groups {
    file: Arc<str>,
    reader: SerializedFileReader<Source>,
    /// Bytes of the file.
    size: u64,
    /// The first row of each group, and behind the last the number of rows.
    starts: Vec<usize>,
    /// The groups decoded last, the newest behind.
    kept: Mutex<VecDeque<(usize, Decoded)>>,
}

impl Groups {
    pub(super) fn open(
        file: &Arc<str>,
        parts: Box<dyn Parts>,
        each: &mut dyn FnMut(Row) -> Result<()>,
    ) -> Result<Self> {
        let size = parts.size();
        let reader = guarded(file, || SerializedFileReader::new(Source(parts.into())))?;
        let mut groups =
            Self { file: file.clone(), reader, size, starts: vec![0], kept: Mutex::new(VecDeque::new()) };
        for group in 0..groups.reader.num_row_groups() {
            let rows = groups.group(group)?;
            let start = groups.starts.last().copied().unwrap_or(0);
            for (i, values) in rows.iter().enumerate() {
                let place = Place { file: file.clone(), number: (start + i) as u64 + 1, lines: false };
                each(Row { place, values: values.clone() })?;
            }
            groups.starts.push(start + rows.len());
        }
        Ok(groups)
    }

    pub(super) fn row(&self, index: usize) -> Result<Map<String, Value>> {
        let group = self.starts.partition_point(|start| *start <= index) - 1;
        let rows = self.group(group)?;
        let row = rows.get(index - self.starts[group]).cloned();
        row.ok_or_else(|| wrong(&self.file, &format!("there is no row {index}")).remedy(super::CHANGED))
    }

    /// All rows of a group, decoded now or kept from before.
    fn group(&self, group: usize) -> Result<Decoded> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|(g, _)| *g == group)
            && let Some(found) = kept.remove(at)
        {
            kept.push_back(found.clone());
            return Ok(found.1);
        }
        let bytes = |g: usize| {
            let meta = self.reader.metadata().row_groups().get(g);
            SWELL * meta.map_or(0, |m| m.total_byte_size().max(0) as u64)
        };
        while kept.iter().map(|(g, _)| bytes(*g)).sum::<u64>() + bytes(group) > KEPT && !kept.is_empty() {
            kept.pop_front();
        }
        let rows: Decoded = Arc::new(guarded(&self.file, || self.decode(group))?);
        kept.push_back((group, rows.clone()));
        Ok(rows)
    }

    fn decode(&self, group: usize) -> Result<Vec<Map<String, Value>>, ParquetError> {
        let group = self.reader.get_row_group(group)?;
        honest_dictionaries(group.as_ref())?;
        let bytes = self.size.min(group.metadata().compressed_size().max(0) as u64);
        collect(RowIter::from_row_group(None, group.as_ref())?, KEPT.max(MOST_SWELL.saturating_mul(bytes)))
    }
}

/// The rows, while they take no more than `room` bytes.
fn collect(
    records: impl Iterator<Item = Result<Record, ParquetError>>,
    room: u64,
) -> Result<Vec<Map<String, Value>>, ParquetError> {
    let (mut rows, mut taken) = (Vec::new(), 0);
    for record in records {
        let row = object(&record?);
        taken += ENTRY + entries(&row);
        if taken > room {
            let told = format!("{} rows and more in a group whose bytes cannot hold them", rows.len());
            return Err(ParquetError::General(told));
        }
        rows.push(row);
    }
    Ok(rows)
}

fn entries(map: &Map<String, Value>) -> u64 {
    map.iter().map(|(name, value)| name.len() as u64 + weight(value)).sum()
}

/// Bytes of a value in memory, roughly.
fn weight(value: &Value) -> u64 {
    ENTRY
        + match value {
            Value::String(text) => text.len() as u64,
            Value::Array(list) => list.iter().map(weight).sum(),
            Value::Object(map) => entries(map),
            _ => 0,
        }
}

/// The parquet crate makes room for as many values as a dictionary claims to have, and no error can be made of memory
/// that is not there: a value takes at least a byte.
fn honest_dictionaries(group: &dyn RowGroupReader) -> Result<(), ParquetError> {
    for column in 0..group.num_columns() {
        if let Some(Page::DictionaryPage { buf, num_values, .. }) =
            group.get_column_page_reader(column)?.get_next_page()?
            && num_values as usize > buf.len()
        {
            let told = format!("a dictionary of {} bytes claims {num_values} values", buf.len());
            return Err(ParquetError::General(told));
        }
    }
    Ok(())
}

/// The parquet crate still has assertions on the path of damaged files: they become errors here.
fn guarded<T>(file: &str, work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T> {
    match regimen_base::guarded(work) {
        Some(Ok(done)) => Ok(done),
        Some(Err(e)) => Err(wrong(file, &e.to_string())),
        None => Err(wrong(file, "the file is damaged")),
    }
}

fn wrong(file: &str, why: &str) -> Error {
    Error::data(format!("{file}: not a readable Parquet file: {why}"))
        .remedy("write it again, uncompressed or with snappy or zstd")
}

/// The file, as the parquet crate wants it.
struct Source(Arc<dyn Parts>);

impl Length for Source {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for Source {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Tail { parts: self.0.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.size()) {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not in the file")));
        }
        self.0.read(start, length).map(Bytes::from).map_err(|e| ParquetError::General(e.what))
    }
}

/// The rest of a file from a place on.
struct Tail {
    parts: Arc<dyn Parts>,
    at: u64,
}

impl Read for Tail {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let len = (into.len() as u64).min(self.parts.size().saturating_sub(self.at)) as usize;
        if len == 0 && !into.is_empty() {
            // the footer ends every sound file; the parquet crate would go on skipping what a damaged header claims
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = self.parts.read(self.at, len).map_err(|e| std::io::Error::other(e.what))?;
        into[..len].copy_from_slice(&bytes);
        self.at += len as u64;
        Ok(len)
    }
}

fn object(record: &Record) -> Map<String, Value> {
    record.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(v) => Value::Bool(*v),
        Field::Byte(v) => (*v).into(),
        Field::Short(v) => (*v).into(),
        Field::Int(v) => (*v).into(),
        Field::Long(v) => (*v).into(),
        Field::UByte(v) => (*v).into(),
        Field::UShort(v) => (*v).into(),
        Field::UInt(v) => (*v).into(),
        Field::ULong(v) => (*v).into(),
        Field::Float16(v) => float(f64::from(v.to_f32())),
        Field::Float(v) => float(f64::from(*v)),
        Field::Double(v) => float(*v),
        Field::Str(v) => Value::String(v.clone()),
        Field::Bytes(v) => std::str::from_utf8(v.data()).map_or(Value::Null, Value::from),
        Field::Group(record) => Value::Object(object(record)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            Value::Object(map.entries().iter().map(|(k, v)| (key(&value(k)), value(v))).collect())
        }
        dates_and_decimals => Value::String(dates_and_decimals.to_string()),
    }
}

fn float(v: f64) -> Value {
    Number::from_f64(v).map_or(Value::Null, Value::Number)
}

fn key(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::tests::all;
    use super::*;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;

    const SCHEMA: &str = "message rows {
        required binary text (UTF8);
        optional int64 level;
        required double score;
        required boolean gold;
        required group messages (LIST) {
            repeated group list {
                optional group element {
                    optional binary role (UTF8);
                    optional binary content (UTF8);
                }
            }
        }
    }";

    fn texts(texts: &[&str]) -> Vec<ByteArray> {
        texts.iter().map(|t| ByteArray::from(*t)).collect()
    }

    type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

    fn column<T: parquet::data_type::DataType>(
        g: &mut Group<'_>,
        values: &[T::T],
        d: Option<&[i16]>,
        r: Option<&[i16]>,
    ) {
        let mut column = g.next_column().unwrap().unwrap();
        column.typed::<T>().write_batch(values, d, r).unwrap();
        column.close().unwrap();
    }

    fn file(compression: Compression) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
        for part in 0..2 {
            let mut g = writer.next_row_group().unwrap();
            column::<ByteArrayType>(&mut g, &texts(&["ä", "b"]), None, None);
            column::<Int64Type>(&mut g, &[7 + part], Some(&[1, 0]), None);
            column::<DoubleType>(&mut g, &[0.5, f64::NAN], None, None);
            column::<BoolType>(&mut g, &[true, false], None, None);
            let (d, r) = (Some(&[3i16, 3, 3][..]), Some(&[0i16, 1, 0][..]));
            column::<ByteArrayType>(&mut g, &texts(&["user", "assistant", "user"]), d, r);
            column::<ByteArrayType>(&mut g, &texts(&["hi", "ho", "he"]), d, r);
            g.close().unwrap();
        }
        writer.into_inner().unwrap()
    }

    #[test]
    fn reads_all_kinds_of_values_in_every_compression() {
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::ZSTD(ZstdLevel::try_new(3).unwrap()),
        ] {
            let rows = all("a.parquet", &file(compression), 0).unwrap().1;
            assert_eq!(rows.len(), 4);
            let messages = serde_json::json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]);
            let first = serde_json::json!({"text": "ä", "level": 7, "score": 0.5, "gold": true, "messages": messages});
            assert_eq!(Value::Object(rows[0].values.clone()), first);
            assert_eq!((&rows[3].values["level"], &rows[3].values["score"]), (&Value::Null, &Value::Null));
            assert_eq!(rows[2].values["level"], 8);
            assert_eq!(rows[3].place.to_string(), "a.parquet, row 4");
        }
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let whole = file(Compression::SNAPPY);
        for end in [0, 3, 8, whole.len() / 2, whole.len() - 1] {
            let e = all("a.parquet", &whole[..end], 0).err().unwrap().to_string();
            assert!(e.starts_with("a.parquet: not a readable Parquet file"), "{e}");
        }
    }

    /// A run of nulls takes no bytes in the file, however long it is.
    #[test]
    fn rows_that_take_more_than_there_is_room_for_are_refused() {
        let groups = SerializedFileReader::new(Bytes::from(file(Compression::SNAPPY))).unwrap();
        let records = || {
            RowIter::from_row_group(None, groups.get_row_group(0).unwrap().as_ref())
                .unwrap()
                .collect::<Vec<_>>()
        };
        let all = collect(records().into_iter(), 1 << 20).unwrap();
        let weights: u64 = all.iter().map(|row| weight(&Value::Object(row.clone()))).sum();
        assert_eq!(collect(records().into_iter(), weights).unwrap(), all);
        let e = collect(records().into_iter(), weights - 1).unwrap_err().to_string();
        assert!(e.contains("1 rows and more"), "{e}");
    }

    /// Found by fuzzing: a page header with a list of two thousand million things.
    #[test]
    fn a_header_that_claims_more_than_the_file_has_is_refused() {
        assert!(all("a.parquet", include_bytes!("hostile/header.parquet"), 0).is_err());
    }

    /// Found by fuzzing.
    #[test]
    fn a_dictionary_that_claims_gigabytes_is_refused() {
        let e = all("a.parquet", include_bytes!("hostile/dictionary.parquet"), 0).err().unwrap().to_string();
        assert!(e.contains("a dictionary of 21 bytes claims"), "{e}");
    }
}
