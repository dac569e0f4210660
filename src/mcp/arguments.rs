//! Checks a tool's arguments against its JSON Schema before they are sent.
//!
//! Covers what tools use: `type`, `required`, `properties`, `items`, `enum`,
//! `minimum` and `maximum`, and `additionalProperties: false`. Anything else
//! in a schema is left to the server, so that no valid call is refused here.

use serde_json::{Map, Value};

use crate::config::nearest;

/// The first thing that does not fit, with its place; `Ok` if all does.
pub fn check_arguments(schema: &Value, arguments: &Value) -> Result<(), String> {
    check(schema, arguments, "")
}

fn check(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let Some(schema) = schema.as_object() else {
        return Ok(());
    };
    check_type(schema, value, place)?;
    check_choice(schema, value, place)?;
    match value {
        Value::Object(object) => check_object(schema, object, place),
        Value::Array(items) => match schema.get("items") {
            Some(inner) => items
                .iter()
                .enumerate()
                .try_for_each(|(at, item)| check(inner, item, &format!("{place}[{at}]"))),
            None => Ok(()),
        },
        Value::Number(number) => check_range(schema, number, place),
        _ => Ok(()),
    }
}

fn check_type(schema: &Map<String, Value>, value: &Value, place: &str) -> Result<(), String> {
    let allowed: Vec<&str> = match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if allowed.is_empty() || allowed.iter().any(|name| is_of(value, name)) {
        return Ok(());
    }
    let shown = shown(value);
    let allowed = allowed.join(" or ");
    Err(format!(
        "{} is {shown}, {allowed} is expected.",
        name(place)
    ))
}

/// Unknown names of types fit everything.
fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        // 3.0 is an integer in JSON Schema.
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
        }
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn check_choice(schema: &Map<String, Value>, value: &Value, place: &str) -> Result<(), String> {
    let Some(Value::Array(choices)) = schema.get("enum") else {
        return Ok(());
    };
    if choices.contains(value) {
        return Ok(());
    }
    let choices: Vec<_> = choices.iter().map(Value::to_string).collect();
    Err(format!(
        "{} is {}, one of {} is expected.",
        name(place),
        shown(value),
        choices.join(", ")
    ))
}

fn check_object(
    schema: &Map<String, Value>,
    object: &Map<String, Value>,
    place: &str,
) -> Result<(), String> {
    let required = schema.get("required").and_then(Value::as_array);
    let mut required = required.into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.find(|key| !object.contains_key(*key)) {
        let place = join(place, missing);
        return Err(format!("`{place}` is missing."));
    }
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&empty);
    for (key, value) in object {
        let place = join(place, key);
        match (properties.get(key), schema.get("additionalProperties")) {
            (Some(inner), _) => check(inner, value, &place)?,
            (None, Some(Value::Bool(false))) if !schema.contains_key("patternProperties") => {
                let known = properties.keys().map(String::as_str);
                return Err(match nearest(key, known) {
                    Some(near) => format!("`{place}` is unknown. Did you mean `{near}`?"),
                    None => format!("`{place}` is unknown."),
                });
            }
            (None, Some(inner @ Value::Object(_))) => check(inner, value, &place)?,
            (None, _) => {}
        }
    }
    Ok(())
}

fn check_range(
    schema: &Map<String, Value>,
    number: &serde_json::Number,
    place: &str,
) -> Result<(), String> {
    let Some(number) = number.as_f64() else {
        return Ok(());
    };
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    if let Some(low) = bound("minimum").filter(|low| number < *low) {
        return Err(format!(
            "{} is {number}, at least {low} is expected.",
            name(place)
        ));
    }
    if let Some(high) = bound("maximum").filter(|high| number > *high) {
        return Err(format!(
            "{} is {number}, at most {high} is expected.",
            name(place)
        ));
    }
    Ok(())
}

fn join(place: &str, key: &str) -> String {
    match place {
        "" => key.to_owned(),
        _ => format!("{place}.{key}"),
    }
}

fn name(place: &str) -> String {
    match place {
        "" => "the whole".to_owned(),
        _ => format!("`{place}`"),
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["city"],
            "additionalProperties": false,
            "properties": {
                "city": {"type": "string"},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
                "unit": {"enum": ["C", "F"]},
                "tags": {"type": ["array", "null"], "items": {"type": "string"}},
                "place": {"type": "object", "properties": {"lat": {"type": "number"}}, "required": ["lat"]},
            },
        })
    }

    #[test]
    fn what_fits_passes() {
        for arguments in [
            json!({"city": "Bern"}),
            json!({"city": "", "days": 3, "unit": "F", "tags": ["a"], "place": {"lat": 1, "more": 2}}),
            json!({"city": "x", "days": 3.0, "tags": null}),
        ] {
            assert_eq!(check_arguments(&schema(), &arguments), Ok(()));
        }
        assert_eq!(check_arguments(&json!({}), &json!({"any": 1})), Ok(()));
        assert_eq!(check_arguments(&json!(true), &json!(7)), Ok(()));
        assert_eq!(check_arguments(&json!({"type": "odd"}), &json!(7)), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let cases = [
            (json!([]), "the whole is [], object is expected."),
            (json!({}), "`city` is missing."),
            (json!({"city": 7}), "`city` is 7, string is expected."),
            (
                json!({"city": "x", "days": 1.5}),
                "`days` is 1.5, integer is expected.",
            ),
            (
                json!({"city": "x", "days": 0}),
                "`days` is 0, at least 1 is expected.",
            ),
            (
                json!({"city": "x", "days": 15}),
                "`days` is 15, at most 14 is expected.",
            ),
            (
                json!({"city": "x", "unit": "K"}),
                "`unit` is \"K\", one of \"C\", \"F\" is expected.",
            ),
            (
                json!({"city": "x", "tags": ["a", 1]}),
                "`tags[1]` is 1, string is expected.",
            ),
            (
                json!({"city": "x", "tags": 1}),
                "`tags` is 1, array or null is expected.",
            ),
            (json!({"city": "x", "place": {}}), "`place.lat` is missing."),
            (
                json!({"city": "x", "dyas": 1}),
                "`dyas` is unknown. Did you mean `days`?",
            ),
        ];
        for (arguments, expected) in cases {
            assert_eq!(
                check_arguments(&schema(), &arguments),
                Err(expected.to_owned())
            );
        }
    }
}
