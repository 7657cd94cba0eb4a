//! Values of JSON as the type that they should have, refused in the words of Kafka's tools.

use ottla_protocol::Str;

use super::failure::Refusal;
use super::json::Json;

fn mapping(sentence: String) -> Refusal {
    Refusal::new("JsonMappingException", sentence)
}

/// An object, as it is.
pub fn object(value: &Json) -> Result<&Json, Refusal> {
    match value {
        Json::Object(_) => Ok(value),
        other => Err(mapping(format!("Expected JSON object, received {other}"))),
    }
}

/// The items of an array.
pub fn array(value: &Json) -> Result<&[Json], Refusal> {
    match value {
        Json::List(items) => Ok(items),
        other => Err(mapping(format!("Expected JSON array, received {other}"))),
    }
}

/// A member that has to be there.
pub fn field<'j>(value: &'j Json, name: &str) -> Result<&'j Json, Refusal> {
    object(value)?.get(name).ok_or_else(|| mapping(format!("No such field exists: `{name}`")))
}

/// A string.
pub fn text(value: &Json) -> Result<Str, Refusal> {
    match value {
        Json::Text(text) => Ok(text.as_str().into()),
        other => Err(mapping(format!("Expected `String` value, received {other}"))),
    }
}

/// A number of a type, by Java's name for it.
pub fn number<N: std::str::FromStr>(value: &Json, name: &str) -> Result<N, Refusal> {
    let read = if let Json::Word(word) = value { word.parse().ok() } else { None };
    read.ok_or_else(|| mapping(format!("Expected `{name}` value, received {value}")))
}

/// The version of a plan, which is 1 if it says nothing.
pub fn check_version(plan: &Json) -> Result<(), Refusal> {
    let version: i32 = object(plan)?.get("version").map_or(Ok(1), |version| number(version, "Integer"))?;
    match version {
        1 => Ok(()),
        other => {
            Err(Refusal::new("AdminOperationException", format!("Not supported version field value {other}")))
        }
    }
}
