//! AlterClientQuotas.

use ottla_protocol::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};

use super::house::House;
use crate::controller::{ControllerRequest, ControllerResponse};
use crate::coordinator::Append;

/// One entry: (`kind`, name) parts, and (`key`, value) limits, of which none removes.
fn entry(entity: &[(&str, Option<&str>)], ops: &[(&str, Option<f64>)]) -> EntryData {
    let part = |(kind, name): &(&str, Option<&str>)| EntityData {
        entity_type: (*kind).into(),
        entity_name: name.map(Into::into),
    };
    let op = |(key, value): &(&str, Option<f64>)| OpData {
        key: (*key).into(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    };
    EntryData { entity: entity.iter().map(part).collect(), ops: ops.iter().map(op).collect() }
}

fn alter(house: &mut House, entries: Vec<EntryData>, validate_only: bool) -> Vec<(i16, Option<String>)> {
    let request = AlterClientQuotasRequest { entries, validate_only };
    match house.ask(ControllerRequest::AlterClientQuotas(request)) {
        ControllerResponse::AlterClientQuotas(response) => {
            let entries = response.entries.into_iter();
            entries.map(|one| (one.error_code, one.error_message.map(String::from))).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_set_and_removed() {
    let mut house = House::new();
    let of_alice = |ops: &[(&str, Option<f64>)]| entry(&[("user", Some("alice")), ("client-id", None)], ops);
    let both = of_alice(&[("producer_byte_rate", Some(10.0)), ("consumer_byte_rate", Some(7.0))]);
    assert_eq!(alter(&mut house, vec![both.clone()], true), [(0, None)]);
    assert_eq!(house.image().client_quotas.entities.size(), 0);
    assert_eq!(alter(&mut house, vec![both.clone()], false), [(0, None)]);
    let (entity, quotas) = house.image().client_quotas.entities.iter().next().expect("it is there");
    assert_eq!((entity.len(), quotas.get("producer_byte_rate")), (2, Some(&10.0)));
    let written = house.log.next_offset();
    assert_eq!(alter(&mut house, vec![both], false), [(0, None)]);
    assert_eq!(house.log.next_offset(), written, "nothing changes");
    let less = of_alice(&[("producer_byte_rate", None), ("request_percentage", None)]);
    assert_eq!(alter(&mut house, vec![less], false), [(0, None)]);
    assert_eq!(house.log.next_offset(), written + 1);
    let quotas = house.image().client_quotas.entities.values().next().expect("it is there");
    assert_eq!((quotas.size(), quotas.get("consumer_byte_rate")), (1, Some(&7.0)));
}

#[test]
fn what_is_refused() {
    let rate = [("producer_byte_rate", Some(10.0))];
    let connections =
        |value| entry(&[("ip", Some("10.0.0.1"))], &[("connection_creation_rate", Some(value))]);
    for (entry, sentence) in [
        (entry(&[], &rate), "Invalid empty client quota entity"),
        (entry(&[("group", None)], &rate), "Unhandled client quota entity type: group"),
        (entry(&[("user", Some(""))], &rate), "Empty user not supported"),
        (
            entry(&[("user", None), ("ip", None)], &rate),
            "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId",
        ),
        (entry(&[("ip", Some("no host"))], &rate), "no host is not a valid IP or resolvable host."),
        (entry(&[("ip", None)], &rate), "Invalid configuration key producer_byte_rate"),
        (entry(&[("user", None)], &[("x", Some(1.0))]), "Invalid configuration key x"),
        (connections(0.0), "Quota connection_creation_rate must be greater than 0"),
        (connections(1.5), "connection_creation_rate cannot be a fractional value."),
        (connections(3e9), "Proposed value for connection_creation_rate is too large for an INT."),
        (
            entry(&[("user", Some("a"))], &[("producer_byte_rate", Some(1.0)), ("producer_byte_rate", None)]),
            "Ignoring duplicate entity ClientQuotaEntity(entries={user=a})",
        ),
    ] {
        let mut house = House::new();
        assert_eq!(alter(&mut house, vec![entry], false), [(42, Some(sentence.to_owned()))]);
        assert_eq!(house.image().client_quotas.entities.size(), 0);
    }
    let mut house = House::new();
    assert_eq!(alter(&mut house, vec![connections(12.0)], false), [(0, None)]);
}
