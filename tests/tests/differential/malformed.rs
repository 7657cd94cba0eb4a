//! Bodies that are none: of every API that both advertise, at every version. Whether the connection is closed, or how
//! the answer begins, must agree.

use ottla_protocol::ApiKey;

use crate::family;
use crate::session::Session;

#[test]
fn malformed_bodies() {
    // Fetch has the most versions: a level for each.
    family("malformed", &[ApiKey::Fetch], &[("bodies", bodies)]);
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
    for (api, version) in session.apis() {
        // Before version 3, Produce is advertised and not served.
        if api == ApiKey::Produce && version < 3 {
            continue;
        }
        for (label, body) in cases {
            let mut frame = session.header(api, version);
            frame.extend_from_slice(body);
            session.ask_raw(&format!("{} v{version}: {label}", api.name()), &frame);
        }
    }
}
