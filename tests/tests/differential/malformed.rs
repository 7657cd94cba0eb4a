//! Bodies that are none, of every API that both advertise, at every version: whether the connection is closed, and what
//! is answered where it is not, must agree.

#[path = "../../codec/common/mod.rs"]
#[allow(dead_code)]
mod common;

use ottla_protocol::{ApiKey, registry};

use self::common::random::{Random, fill};
use crate::family;
use crate::session::Session;

#[test]
fn malformed_bodies() {
    // Fetch has the most versions: a level for each.
    family("malformed", &[ApiKey::Fetch], &[("bodies", bodies), ("cut off", cut_off)]);
}

fn bodies(session: &mut Session) {
    let cases: [(&str, &[u8]); 6] = [
        ("empty", &[]),
        ("a byte", &[0]),
        ("ones", &[0xff; 64]),
        ("large numbers", &[0x7f; 64]),
        ("a count of millions", &[0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x00, 0x00]),
        (
            "text that is none",
            &[0, 2, 0xff, 0xfe, 0, 2, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ),
    ];
    let group = session.name("group");
    crate::groups::ready(session, &group);
    session.producer_id();
    for (api, version) in served(session) {
        for (label, body) in cases {
            let mut frame = session.header(api, version);
            frame.extend_from_slice(body);
            session.ask_raw(&format!("{} v{version}: {label}", api.name()), &frame);
        }
    }
}

/// Requests that would read, were they not too short.
fn cut_off(session: &mut Session) {
    let entries = registry::all();
    for (api, version) in served(session) {
        let request = api.request().map_or("", |spec| spec.name);
        let Some(entry) = entries.iter().find(|entry| entry.spec.name == request) else { continue };
        let mut random =
            Random::new(u64::from(api.key().unsigned_abs()) << 8 | u64::from(version.unsigned_abs()));
        for number in 0..3 {
            let mut message = (entry.make)();
            fill(&mut *message, version, &mut random);
            let body = common::encode(entry, version, &*message).expect("a message of its own version");
            if body.is_empty() {
                continue;
            }
            for cut in [1, 2, 1 + random.below(body.len())] {
                let mut frame = session.header(api, version);
                frame.extend_from_slice(&body[..body.len().saturating_sub(cut)]);
                session.ask_raw(&format!("{} v{version}: {number} without {cut}", api.name()), &frame);
            }
        }
    }
}

/// Before version 3, Produce is advertised and not served; ApiVersions is not read: it may come from a client of any time.
fn served(session: &Session) -> Vec<(ApiKey, i16)> {
    let mut apis = session.apis();
    apis.retain(|(api, version)| *api != ApiKey::Produce || *version >= 3);
    apis
}
