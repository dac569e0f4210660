//! Finds where a key stands in a JSON text, for messages that name a line.

/// The byte offset of the key at `path` (keys from the outside in). The text
/// must be valid JSON; array elements are not looked into.
pub(super) fn locate(text: &str, path: &[&str]) -> Option<usize> {
    let mut scan = Scan { text, at: 0 };
    scan.find(path)
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl Scan<'_> {
    fn find(&mut self, path: &[&str]) -> Option<usize> {
        let (wanted, rest) = path.split_first()?;
        self.expect('{')?;
        loop {
            self.space();
            let start = self.at;
            if self.peek()? == '}' {
                return None;
            }
            let key = self.string()?;
            self.expect(':')?;
            if key == *wanted {
                return match rest {
                    [] => Some(start),
                    _ => self.find(rest),
                };
            }
            self.value()?;
            self.space();
            if self.peek()? == ',' {
                self.at += 1;
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.space();
        (self.peek()? == wanted).then(|| self.at += wanted.len_utf8())
    }

    /// Reads a string; JSON itself knows its escapes best.
    fn string(&mut self) -> Option<String> {
        let start = self.at;
        self.skip_string()?;
        serde_json::from_str(&self.text[start..self.at]).ok()
    }

    fn skip_string(&mut self) -> Option<()> {
        let mut escaped = false;
        let rest = self.text[self.at..].strip_prefix('"')?;
        for (offset, c) in rest.char_indices() {
            match c {
                '"' if !escaped => {
                    self.at += 1 + offset + 1;
                    return Some(());
                }
                c => escaped = c == '\\' && !escaped,
            }
        }
        None
    }

    /// Skips a value of any kind.
    fn value(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            self.space();
            match self.peek()? {
                '"' => self.skip_string()?,
                '{' | '[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                '}' | ']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                ',' | ':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    let rest = &self.text[self.at..];
                    let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t']);
                    // An empty word would never end.
                    self.at += end.filter(|end| *end > 0)?;
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn line(text: &str, path: &[&str]) -> Option<usize> {
        Some(text[..locate(text, path)?].matches('\n').count() + 1)
    }

    #[test]
    fn keys_are_found_past_everything_else() {
        let text = r#"{
  "other": {"a": [1, {"mcpServers": 2}], "b": "}\"{"},
  "mcpServers": {
    "one": {"command": "x", "args": [], "n": -1.5e3, "t": true},
    "tw\u006f": {
      "command": 7
    }
  }
}"#;
        assert_eq!(line(text, &["mcpServers"]), Some(3));
        assert_eq!(line(text, &["mcpServers", "one", "t"]), Some(4));
        assert_eq!(line(text, &["mcpServers", "two", "command"]), Some(6));
        assert_eq!(line(text, &["mcpServers", "three"]), None);
        assert_eq!(line("[]", &["a"]), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a\"\\\\{}\\[\\],: é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-c\"{]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_key_is_found_behind_any_value(first in value(), pretty in any::<bool>()) {
            let value = json!({"first": first, "wanted": 1});
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            let at = locate(&text, &["wanted"]).expect("it is there");
            prop_assert!(text[at..].starts_with("\"wanted\""));
        }
    }
}
