//! Names of topics.

use super::ApiError;
use crate::metadata::MetadataImage;
use ottla_protocol::ErrorCode;

/// Longest name of a topic, in bytes: a directory's name has to hold it with more around it.
const NAME_MAX: usize = 249;

/// Whether a topic may have this name.
pub fn validate(name: &str) -> Result<(), ApiError> {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.chars().count() > NAME_MAX => {
            format!("the length of '{name}' is longer than the max allowed length {NAME_MAX}")
        }
        _ if !name.chars().all(is_legal) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ),
        _ => return Ok(()),
    };
    Err(ApiError::new(ErrorCode::InvalidTopicException, format!("Topic name is invalid: {reason}")))
}

/// Metric names turn '.' into '_': topics that differ in nothing else may not live side by side.
pub fn check_collision(image: &MetadataImage, name: &str) -> Result<(), ApiError> {
    if !has_collision_chars(name) {
        return Ok(());
    }
    let flat = name.replace('.', "_");
    let colliding = image
        .topics
        .by_name
        .keys()
        .find(|other| ***other != *name && has_collision_chars(other) && other.replace('.', "_") == flat);
    match colliding {
        None => Ok(()),
        Some(other) => Err(ApiError::new(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {other}"),
        )),
    }
}

fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}
