//! Client telemetry (KIP-714) without a receiver, which neither broker has.

use ottla_protocol::ApiKey;
use ottla_protocol::messages::{GetTelemetrySubscriptionsRequest, PushTelemetryRequest};
use ottla_protocol::{Encoder, Request, Uuid, encode_request};
use ottla_tests::peer::{Kind, Peer};

use crate::family;
use crate::session::{self, Session};

#[test]
fn telemetry_is_not_offered() {
    for kind in [Kind::Kafka, Kind::Ottla] {
        let advertised = session::advertised(Peer::shared(kind));
        for api in [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry] {
            assert!(!advertised.contains_key(&api.key()), "{kind:?} advertises {api}");
        }
    }
    family("telemetry", &[ApiKey::ApiVersions], &[("asked for all the same", asked)]);
}

fn asked(session: &mut Session) {
    raw(session, "subscriptions", &GetTelemetrySubscriptionsRequest::default());
    let named = GetTelemetrySubscriptionsRequest { client_instance_id: Uuid::from_u128(5) };
    raw(session, "subscriptions of a known instance", &named);
    raw(session, "push", &PushTelemetryRequest::default());
}

fn raw<R: Request>(session: &mut Session, label: &str, request: &R) {
    let mut encoder = Encoder::new();
    encode_request(&mut encoder, 0, 1, None, request).expect("a request");
    session.ask_raw(label, &encoder.into_bytes().expect("bytes").slice(4..));
}
