//! Pure: one map merged into another (RFC 7396).

use super::{Map, MapKey, Value};

impl Value {
    /// It with the members of `patch` (RFC 7396): maps member by member, deep; a member that is nil in the patch goes;
    /// whatever else the patch holds takes the place of what stood there. New members come last, in the patch's order.
    #[must_use]
    pub fn merge(self, patch: Value) -> Value {
        merge(self, patch)
    }
}

fn merge(now: Value, patch: Value) -> Value {
    let Value::Map(patch) = patch else { return patch };
    let mut merged = match now {
        Value::Map(map) => map,
        _ => Map::new(),
    };
    for (name, change) in patch {
        match change {
            Value::Nil => {
                merged.remove(&name);
            }
            change => merge_member(&mut merged, name, change),
        }
    }
    Value::Map(merged)
}

fn merge_member(into: &mut Map, name: MapKey, change: Value) {
    match into.get_mut(&name) {
        Some(member) => *member = merge(std::mem::take(member), change),
        None => {
            into.insert(name, merge(Value::Nil, change));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::json;

    #[test]
    fn the_examples_of_the_rfc_and_ours_come_out() {
        for (now, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"x":1,"y":{"z":2,"w":3},"v":4}"#, r#"{"y":{"w":5}}"#, r#"{"x":1,"y":{"z":2,"w":5},"v":4}"#),
        ] {
            let value = |text| json::from_str(text).expect(text);
            let merged = merge(value(now), value(patch));
            assert_eq!(json::to_string(&merged).expect("JSON"), expected, "{now} + {patch}");
        }
    }
}
