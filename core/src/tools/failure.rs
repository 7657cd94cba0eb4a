//! Errors in the words of Kafka's tools: the class of the exception and its message.

use std::fmt;

use ottla_protocol::ErrorCode;

use crate::client::{DeliveryError, Failure};

/// Where the exceptions are that brokers' errors become.
const ERRORS: &str = "org.apache.kafka.common.errors";

/// Why a tool could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The class that Kafka's tools name.
    pub class: String,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// A sentence that is all there is to say.
    pub fn terse(message: impl Into<String>) -> Self {
        Self { class: String::new(), message: message.into() }
    }

    /// As it comes out of a future of Java's: what the cluster refused.
    pub fn executed(self) -> Self {
        if !self.class.starts_with(ERRORS) {
            return self;
        }
        Self { class: "java.util.concurrent.ExecutionException".into(), message: self.to_string() }
    }

    /// What most tools complain of: the sentence, then its class before it.
    pub fn complaint(&self) -> String {
        let message = &self.message;
        if self.class.is_empty() { format!("{message}\n") } else { format!("{message}\n{self}\n") }
    }

    /// With a class and a sentence.
    pub fn new(class: &str, message: impl Into<String>) -> Self {
        let package = match class {
            "IllegalArgumentException" | "NumberFormatException" | "RuntimeException" => "java.lang",
            "AdminCommandFailedException" | "AdminOperationException" => "org.apache.kafka.tools",
            "ConfigException" => "org.apache.kafka.common.config",
            "OptionArgumentConversionException" | "UnrecognizedOptionException" => "joptsimple",
            "DateTimeParseException" => "java.time.format",
            "NoSuchElementException" => "java.util",
            "IOException" => "java.io",
            "NoSuchFileException" => "java.nio.file",
            "PatternSyntaxException" => "java.util.regex",
            "KafkaException" => "org.apache.kafka.common",
            "JsonMappingException" => "com.fasterxml.jackson.databind",
            _ => ERRORS,
        };
        Self { class: format!("{package}.{class}"), message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Disconnected(reason) => Self::new("DisconnectException", reason),
            Failure::TimedOut => Self::new("TimeoutException", "The request timed out."),
            Failure::UnsupportedVersion { api } => Self::new(
                "UnsupportedVersionException",
                format!("The broker does not support a version of {} that this tool can send", api.name()),
            ),
            Failure::Malformed(reason) => Self::new("SerializationException", reason),
        }
    }
}

/// A broker's refusal; its message where it gave one.
pub fn refusal(error: ErrorCode, message: Option<&str>) -> Refusal {
    Refusal::new(&class(error), message.unwrap_or_else(|| error.message()))
}

/// Why a record did not arrive.
pub fn undelivered(error: &DeliveryError) -> Refusal {
    match error {
        DeliveryError::Refused(error) => refusal(*error, None),
        DeliveryError::TimedOut => Refusal::new("TimeoutException", "the record was not delivered in time"),
        DeliveryError::TooLarge { bytes, max } => Refusal::new(
            "RecordTooLargeException",
            format!(
                "The message is {bytes} bytes when serialized which is larger than {max}, which is the value of the max.request.size configuration."
            ),
        ),
        DeliveryError::Network(Failure::Disconnected(reason) | Failure::Malformed(reason)) => {
            Refusal::new("NetworkException", reason)
        }
        DeliveryError::Network(Failure::TimedOut) => {
            Refusal::new("TimeoutException", "the broker did not answer")
        }
        DeliveryError::Network(Failure::UnsupportedVersion { .. }) => {
            Refusal::new("UnsupportedVersionException", "the broker is too old")
        }
    }
}

/// The name of the exception: the error's name in camel case, but for some.
pub fn class(error: ErrorCode) -> String {
    match error {
        ErrorCode::TopicAlreadyExists => return "TopicExistsException".into(),
        ErrorCode::InvalidConfig => return "InvalidConfigurationException".into(),
        ErrorCode::RequestTimedOut => return "TimeoutException".into(),
        ErrorCode::NonEmptyGroup => return "GroupNotEmptyException".into(),
        _ => {}
    }
    let mut name = String::new();
    for word in error.name().split('_') {
        let (head, rest) = word.split_at(word.len().min(1));
        name.push_str(head);
        name.push_str(&rest.to_ascii_lowercase());
    }
    if !name.ends_with("Exception") {
        name.push_str("Exception");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_named_as_in_java() {
        let named = [
            (ErrorCode::TopicAlreadyExists, "TopicExistsException"),
            (ErrorCode::InvalidTopicException, "InvalidTopicException"),
            (ErrorCode::UnknownTopicOrPartition, "UnknownTopicOrPartitionException"),
            (ErrorCode::InvalidReplicationFactor, "InvalidReplicationFactorException"),
        ];
        for (error, name) in named {
            assert_eq!(class(error), name);
        }
    }
}
