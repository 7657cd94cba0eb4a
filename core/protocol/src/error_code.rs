//! Error codes.

use std::fmt;

/// Generated from the tables.
mod generated {
    use super::Facts;
    include!(concat!(env!("OUT_DIR"), "/error_code.rs"));
}

pub use generated::ErrorCode;

struct Facts {
    name: &'static str,
    message: &'static str,
    retriable: bool,
    refresh: bool,
}

impl ErrorCode {
    /// Every code, from -1 up.
    pub const fn all() -> &'static [Self] {
        generated::ALL
    }

    pub const fn code(self) -> i16 {
        self as i16
    }

    /// `None` for a number without a name.
    pub fn from_code(code: i16) -> Option<Self> {
        generated::from_code(code)
    }

    /// Kafka's name, such as `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn name(self) -> &'static str {
        generated::facts(self).name
    }

    /// What it says to a reader.
    pub fn message(self) -> &'static str {
        generated::facts(self).message
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        generated::facts(self).retriable
    }

    /// Whether a client asks for new metadata before it tries again.
    pub fn refreshes_metadata(self) -> bool {
        generated::facts(self).refresh
    }

    pub fn is_none(self) -> bool {
        self == Self::None
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> Self {
        error.code()
    }
}
