//! Any bytes as any message at any version: the first three choose the message and the version, the rest is the
//! frame. What reads must write, and read again to the same.

use bytes::Bytes;
use ottla_protocol::{Decoder, Encoder, decode_request_header, tree};

use super::fill::all;

pub fn run(input: &[u8]) {
    let Some((&[high, low, version], frame)) = input.split_first_chunk() else { return };
    let messages = all();
    let entry = &messages[usize::from(u16::from_be_bytes([high, low])) % messages.len()];
    let versions = entry.spec.versions;
    let version = versions.first + i16::from(version) % (versions.last - versions.first + 1);
    let frame = Bytes::copy_from_slice(frame);

    let _ = decode_request_header(&mut Decoder::new(frame.clone()));
    let _ = tree::request_tree(frame.clone());

    let mut message = (entry.make)();
    let read = entry.spec.decode(&mut Decoder::new(frame.clone()), version, Some(&mut *message));
    let (_, error) = tree::message_tree(entry.spec, version, &mut Decoder::new(frame));
    assert_eq!(read.as_ref().err(), error.as_ref(), "the tree and the structure are read by one walk");
    if read.is_ok() {
        let write = |message: &dyn ottla_protocol::Struct| {
            let mut encoder = Encoder::new();
            entry.spec.encode(&mut encoder, version, message).expect("what was read can be written");
            encoder.into_bytes().expect("a frame has no slices")
        };
        let written = write(&*message);
        let mut again = (entry.make)();
        entry
            .spec
            .decode(&mut Decoder::new(written.clone()), version, Some(&mut *again))
            .expect("ours reads");
        assert_eq!(written, write(&*again));
    }
}
