//! AlterUserScramCredentials (KIP-554, KIP-900).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hmac::{Hmac, Mac};
use ottla_protocol::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::messages::alter_user_scram_credentials_response::{
    AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use ottla_protocol::records::MetadataRecord;
use ottla_protocol::records::metadata::{RemoveUserScramCredentialRecord, UserScramCredentialRecord};
use ottla_protocol::{Bytes, ErrorCode, Str};
use sha2::{Digest, Sha256, Sha512};

use super::ApiError;
use crate::metadata::MetadataImage;

const SCRAM_SHA_256: i8 = 1;
const SCRAM_SHA_512: i8 = 2;
/// As many rounds as either mechanism asks for at least, and as Kafka takes at most.
const ITERATIONS: std::ops::RangeInclusive<i32> = 4_096..=16_384;

/// Decides which credentials change. A user of whom more than one thing is said keeps what there is.
pub fn alter_user_scram_credentials(
    image: &MetadataImage,
    request: &AlterUserScramCredentialsRequest,
) -> (Vec<MetadataRecord>, AlterUserScramCredentialsResponse) {
    let mut outcomes: BTreeMap<Str, Result<MetadataRecord, ApiError>> = BTreeMap::new();
    let deletions = request.deletions.iter().map(|one| (&one.name, delete(image, one)));
    let upsertions = request.upsertions.iter().map(|one| (&one.name, upsert(one)));
    for (user, outcome) in deletions.chain(upsertions) {
        match outcomes.entry(user.detached()) {
            Entry::Vacant(vacant) => _ = vacant.insert(check_support(image).and(outcome)),
            Entry::Occupied(mut said) if said.get().is_ok() => {
                let sentence = "A user credential cannot be altered twice in the same request";
                _ = said.insert(Err(ApiError::new(ErrorCode::DuplicateResource, sentence)));
            }
            Entry::Occupied(_) => {}
        }
    }
    let mut records = Vec::new();
    let results = outcomes.into_iter().map(|(user, outcome)| {
        let (error_code, error_message) = ApiError::split(outcome.map(|record| records.push(record)));
        AlterUserScramCredentialsResult { user, error_code, error_message }
    });
    let results = results.collect();
    (records, AlterUserScramCredentialsResponse { throttle_time_ms: 0, results })
}

fn check_support(image: &MetadataImage) -> Result<(), ApiError> {
    if image.features.metadata_version().has_scram() {
        return Ok(());
    }
    let sentence = "The current metadata.version does not support SCRAM";
    Err(ApiError::new(ErrorCode::UnsupportedVersion, sentence))
}

fn delete(image: &MetadataImage, asked: &ScramCredentialDeletion) -> Result<MetadataRecord, ApiError> {
    check(&asked.name, asked.mechanism)?;
    if !image.scram.contains_key(&(asked.mechanism, asked.name.clone())) {
        let sentence = "Attempt to delete a user credential that does not exist";
        return Err(ApiError::new(ErrorCode::ResourceNotFound, sentence));
    }
    let (name, mechanism) = (asked.name.detached(), asked.mechanism);
    Ok(RemoveUserScramCredentialRecord { name, mechanism }.into())
}

fn upsert(asked: &ScramCredentialUpsertion) -> Result<MetadataRecord, ApiError> {
    check(&asked.name, asked.mechanism)?;
    let unacceptable = |sentence: &str| Err(ApiError::new(ErrorCode::UnacceptableCredential, sentence));
    if asked.iterations < *ITERATIONS.start() {
        return unacceptable("Too few iterations");
    }
    if asked.iterations > *ITERATIONS.end() {
        return unacceptable("Too many iterations");
    }
    let (stored_key, server_key) = keys(asked.mechanism, &asked.salted_password);
    let record = UserScramCredentialRecord {
        name: asked.name.detached(),
        mechanism: asked.mechanism,
        salt: Bytes::copy_from_slice(&asked.salt),
        stored_key,
        server_key,
        iterations: asked.iterations,
    };
    Ok(record.into())
}

fn check(user: &str, mechanism: i8) -> Result<(), ApiError> {
    if user.is_empty() {
        return Err(ApiError::new(ErrorCode::UnacceptableCredential, "Username must not be empty"));
    }
    if ![SCRAM_SHA_256, SCRAM_SHA_512].contains(&mechanism) {
        return Err(ApiError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism"));
    }
    Ok(())
}

/// `StoredKey` and `ServerKey` of a salted password (RFC 5802, section 3).
fn keys(mechanism: i8, salted_password: &[u8]) -> (Bytes, Bytes) {
    const CLIENT: &[u8] = b"Client Key";
    const SERVER: &[u8] = b"Server Key";
    if mechanism == SCRAM_SHA_256 {
        let mac = |text| mac(Hmac::<Sha256>::new_from_slice(salted_password).ok(), text);
        (Sha256::digest(mac(CLIENT)).to_vec().into(), mac(SERVER))
    } else {
        let mac = |text| mac(Hmac::<Sha512>::new_from_slice(salted_password).ok(), text);
        (Sha512::digest(mac(CLIENT)).to_vec().into(), mac(SERVER))
    }
}

/// A key of any length will do, so that there always is a `hmac`.
fn mac(hmac: Option<impl Mac>, text: &[u8]) -> Bytes {
    let bytes = hmac.map(|hmac| hmac.chain_update(text).finalize().into_bytes().to_vec());
    bytes.unwrap_or_default().into()
}
