//! Against the `kafka-protocol` crate, where it has the version.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiKey, RequestKind, ResponseKind},
    protocol::VersionRange,
};
use ottla_protocol::registry;

use crate::{
    common::{count, encode, random, seed},
    hex::hex,
};

#[test]
fn every_request_and_response_as_the_crate_writes_it() {
    let mut random = random::Random::new(seed() ^ 2);
    let mut faults = Vec::new();
    let mut frames = 0;
    for entry in registry::all().into_iter().filter(|entry| entry.family == "messages") {
        let Ok(api) = ApiKey::try_from(entry.spec.key) else { continue };
        let is_request = entry.spec.name.ends_with("Request");
        let VersionRange { min, max } = api.valid_versions();
        for version in entry.spec.versions.first.max(min)..=entry.spec.versions.last.min(max) {
            for _ in 0..count() {
                let mut message = (entry.make)();
                random::fill(&mut *message, version, &mut random);
                let frame = encode(&entry, version, &*message).expect("a message of its own version");
                let theirs = if is_request {
                    request(api, frame.clone(), version)
                } else {
                    response(api, frame.clone(), version)
                };
                match theirs {
                    Ok(theirs) if theirs == frame => frames += 1,
                    // Its list of APIs is ahead of its messages here and there.
                    Err(error) if error.contains("specified version not supported") => {}
                    Ok(theirs) => faults.push(format!(
                        "{} v{version}\n    ours   {}\n    theirs {}",
                        entry.spec.name,
                        hex(&frame),
                        hex(&theirs)
                    )),
                    Err(error) => {
                        faults.push(format!("{} v{version}: {error}\n    {}", entry.spec.name, hex(&frame)));
                    }
                }
            }
        }
    }
    println!("{frames} frames through the crate");
    assert!(frames > 1000, "the crate has few of the messages");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
}

fn request(api: ApiKey, mut frame: Bytes, version: i16) -> Result<Bytes, String> {
    let read = RequestKind::decode(api, &mut frame, version).map_err(|error| format!("{error:#}"))?;
    let mut written = BytesMut::new();
    read.encode(&mut written, version).map_err(|error| format!("{error:#}"))?;
    Ok(written.freeze())
}

fn response(api: ApiKey, mut frame: Bytes, version: i16) -> Result<Bytes, String> {
    let read = ResponseKind::decode(api, &mut frame, version).map_err(|error| format!("{error:#}"))?;
    let mut written = BytesMut::new();
    read.encode(&mut written, version).map_err(|error| format!("{error:#}"))?;
    Ok(written.freeze())
}
