//! Structs of typed fields, each bound to one key of the table.

use std::fmt;

use super::value::Value;

/// A Rust type that a key's value turns into.
pub(super) trait FromValue: Sized {
    /// `None` when the value is of another kind: the field and the table disagree.
    fn from_value(value: Value) -> Option<Self>;
}

macro_rules! number_from_value {
    ($($number:ty),+) => {$(
        impl FromValue for $number {
            fn from_value(value: Value) -> Option<Self> {
                match value {
                    Value::Number(number) => number.try_into().ok(),
                    _ => None,
                }
            }
        }
    )+};
}
number_from_value!(i16, i32, i64);

impl FromValue for f64 {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Double(number) = value { Some(number) } else { None }
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Boolean(flag) = value { Some(flag) } else { None }
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text) } else { None }
    }
}

/// A secret, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Its bytes; `None` where it is empty, which is none at all.
    pub fn bytes(&self) -> Option<&[u8]> {
        (!self.0.is_empty()).then_some(self.0.as_bytes())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl FromValue for Password {
    fn from_value(value: Value) -> Option<Self> {
        String::from_value(value).map(Self)
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::List(elements) = value { Some(elements) } else { None }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// Declares a struct whose fields are keys: `field: type = "key"`, then fields that are derived by hand.
macro_rules! config_struct {
    ($(#[$meta:meta])* $name:ident: $context:ty as $settings:ident { $($field:ident: $kind:ty = $key:literal,)+ }
     derived { $($(#[$derived_meta:meta])* $derived:ident: $derived_kind:ty = $with:expr,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(#[doc = concat!("`", $key, "`")] pub $field: $kind,)+
            $($(#[$derived_meta])* pub $derived: $derived_kind,)*
        }

        impl $name {
            /// The keys that have a field here.
            #[cfg(test)]
            pub(super) const FIELD_KEYS: &'static [&'static str] = &[$($key),+];

            /// Fills the fields from the value that `effective` gives for each key.
            fn from_values($settings: &$context, effective: impl Fn(&$context, &str) -> Value) -> Self {
                $name {
                    $($field: <$kind as super::fields::FromValue>::from_value(effective($settings, $key))
                        .unwrap_or_else(|| panic!("{} does not fit its field", $key)),)+
                    $($derived: $with,)*
                }
            }
        }
    };
}
pub(super) use config_struct;
