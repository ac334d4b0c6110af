//! A variable as a caller gives it: a text, or `{"value", "secret"?}`.

use std::fmt;

use common::SecretString;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, OneOfBuilder, Schema, Type};

/// A value to be set.
#[derive(Clone, Debug)]
pub(crate) struct VariableInput {
    pub(crate) value: SecretString,
    /// Whether it is never to be shown again, and masked in logs.
    pub(crate) secret: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    value: SecretString,
    #[serde(default)]
    secret: bool,
}

impl<'de> Deserialize<'de> for VariableInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Input;
        impl<'de> Visitor<'de> for Input {
            type Value = VariableInput;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or an object with `value` and perhaps `secret`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<VariableInput, E> {
                Ok(VariableInput {
                    value: text.into(),
                    secret: false,
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VariableInput, A::Error> {
                let Whole { value, secret } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(VariableInput { value, secret })
            }
        }
        deserializer.deserialize_any(Input)
    }
}

impl utoipa::PartialSchema for VariableInput {
    fn schema() -> RefOr<Schema> {
        let whole = ObjectBuilder::new()
            .property("value", Object::with_type(Type::String))
            .required("value")
            .property("secret", Object::with_type(Type::Boolean));
        let one_of = OneOfBuilder::new()
            .item(Object::with_type(Type::String))
            .item(Object::with_type(Type::Null));
        one_of.item(whole).into()
    }
}

impl utoipa::ToSchema for VariableInput {}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ExposeSecret as _;

    #[test]
    fn a_value_is_a_text_or_an_object() {
        let text: VariableInput = serde_json::from_str(r#""x""#).unwrap();
        assert!(text.value.expose_secret() == "x" && !text.secret);
        let whole: VariableInput =
            serde_json::from_str(r#"{"value": "y", "secret": true}"#).unwrap();
        assert!(whole.value.expose_secret() == "y" && whole.secret);
        for wrong in [
            "5",
            r#"{"value": 5}"#,
            r#"{"secret": true}"#,
            r#"{"value": "x", "more": 1}"#,
            "[]",
        ] {
            assert!(
                serde_json::from_str::<VariableInput>(wrong).is_err(),
                "{wrong}"
            );
        }
    }
}
