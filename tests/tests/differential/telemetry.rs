//! Client telemetry (KIP-714): without a receiver, which neither broker has, clients are not told of it.

use ottla_protocol::ApiKey;
use ottla_tests::peer::{Kind, Peer};

use crate::session;

#[test]
fn telemetry_is_not_offered() {
    for kind in [Kind::Kafka, Kind::Ottla] {
        let advertised = session::advertised(Peer::shared(kind));
        for api in [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry] {
            assert!(!advertised.contains_key(&api.key()), "{kind:?} advertises {api}");
        }
    }
}
