//! Parquet, by rows: texts, numbers, bools, lists and structs (`messages` is a list of structs). Columns of raw bytes
//! are read as text where they are UTF-8 and as null where they are not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};
use regimen_base::{Error, Result};
use serde_json::{Map, Number, Value};

use super::{Place, Row};

pub(super) fn read(file: &Arc<str>, bytes: Vec<u8>) -> Result<Vec<Row>> {
    // the parquet crate still has assertions on the path of damaged files: they become errors here
    match catch_unwind(AssertUnwindSafe(|| rows(file, bytes))) {
        Ok(Ok(rows)) => Ok(rows),
        Ok(Err(e)) => Err(wrong(file, &e.to_string())),
        Err(_) => Err(wrong(file, "the file is damaged")),
    }
}

fn wrong(file: &str, why: &str) -> Error {
    Error::data(format!("{file}: not a readable Parquet file: {why}"))
        .remedy("write it again, uncompressed or with snappy or zstd")
}

fn rows(file: &Arc<str>, bytes: Vec<u8>) -> Result<Vec<Row>, ParquetError> {
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes))?;
    let mut rows = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        for record in RowIter::from_row_group(None, group.as_ref())? {
            let place = Place { file: file.clone(), number: rows.len() as u64 + 1, lines: false };
            rows.push(Row { place, values: object(&record?) });
        }
    }
    Ok(rows)
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
            let rows = read(&"a.parquet".into(), file(compression)).unwrap();
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
            let e = read(&"a.parquet".into(), whole[..end].to_vec()).unwrap_err().to_string();
            assert!(e.starts_with("a.parquet: not a readable Parquet file"), "{e}");
        }
    }
}
