//! The table is that of the settings, and reads what it allows.

use super::*;
use crate::config::Settings;

/// Every leaf of the built-in settings, dotted.
fn leaves(prefix: &str, value: &serde_json::Value, out: &mut Vec<String>) {
    match value.as_object() {
        Some(map) => map.iter().for_each(|(key, value)| {
            let key = if prefix.is_empty() {
                key.clone()
            } else {
                format!("{prefix}.{key}")
            };
            leaves(&key, value, out);
        }),
        None => out.push(prefix.to_owned()),
    }
}

#[test]
fn the_table_lists_exactly_the_settings() {
    let settings = serde_json::to_value(Settings::default()).unwrap();
    let mut keys = Vec::new();
    leaves("", &settings, &mut keys);
    let table: Vec<_> = TABLE.iter().map(|doc| doc.key).collect();
    assert_eq!(keys, table);
}

#[test]
fn built_in_values_in_the_table_are_the_ones_in_use() {
    let settings = serde_json::to_value(Settings::default()).unwrap();
    for doc in TABLE {
        let value = doc
            .key
            .split('.')
            .fold(&settings, |value, part| &value[part]);
        let shown = match value {
            serde_json::Value::String(text) if !text.is_empty() => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            _ => continue,
        };
        assert_eq!(shown, doc.default, "{}", doc.key);
    }
}

#[test]
fn bytes_are_read_with_their_unit() {
    assert_eq!(parse_bytes("12 GB"), Some(12_000_000_000));
    assert_eq!(parse_bytes("1.5GiB"), Some(1_610_612_736));
    assert_eq!(parse_bytes("4096"), Some(4096));
    assert_eq!(parse_bytes("0 GB"), None);
    assert_eq!(parse_bytes("many"), None);
    assert_eq!(parse_bytes("1..2 GB"), None);
}

#[test]
fn numbers_outside_the_range_are_refused() {
    let kind = Kind::Integer(0, 65535);
    assert!(kind.accept(&Value::from(65536)).is_none());
    assert!(kind.accept(&Value::from("80")).is_none());
    assert_eq!(
        kind.accept(&Value::from(80)).unwrap().as_integer(),
        Some(80)
    );
    assert!(
        Kind::Number(0.0, 5.0)
            .accept(&Value::from(f64::NAN))
            .is_none()
    );
}
