//! [`ApiError`]: why one part of a request was refused.

use ottla_protocol::{ErrorCode, Str};

/// An error code with the sentence that clients show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// Kafka's code.
    pub code: ErrorCode,
    /// What is wrong; the tools of Kafka print it.
    pub message: Option<Str>,
}

impl ApiError {
    /// A code with its own sentence.
    pub fn new(code: ErrorCode, message: impl Into<Str>) -> Self {
        Self { code, message: Some(message.into()) }
    }

    /// A code with the sentence that clients of Kafka know it by.
    pub fn standard(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }

    /// A code without a sentence.
    pub fn bare(code: ErrorCode) -> Self {
        Self { code, message: None }
    }

    /// Code and message of an outcome, as responses carry them.
    pub fn split(outcome: Result<(), Self>) -> (i16, Option<Str>) {
        outcome.map_or_else(|error| (error.code.code(), error.message), |()| (0, None))
    }
}
