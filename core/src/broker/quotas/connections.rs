//! How many connections come in a second (KIP-402, KIP-612): to a broker, to one of its listeners, and from an address.

use core::net::IpAddr;
use std::collections::BTreeMap;

use ottla_protocol::Str;

use super::{COUNTERS_MIN, Rate, Windows};
use crate::config::BrokerConfig;
use crate::metadata::{ConfigResource, ConfigResourceType, MetadataImage};
use crate::time::Instant;

const RATE: &str = "max.connection.creation.rate";

/// Connections a second; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of the broker, unless this is the listener of brokers and there are others: what clients do leaves that alone.
    pub broker: Option<i32>,
    /// Of the listener.
    pub listener: Option<i32>,
    /// Of the address.
    pub host: Option<i32>,
}

/// Connections that have come lately.
#[derive(Clone, Debug)]
pub struct ConnectionRates {
    windows: Windows,
    broker: Rate,
    listeners: BTreeMap<Str, Rate>,
    hosts: BTreeMap<IpAddr, Rate>,
}

impl ConnectionLimits {
    /// What holds for a connection from `host` to `listener`.
    pub fn new(config: &BrokerConfig, image: &MetadataImage, listener: &str, host: IpAddr) -> Self {
        let brokers = [config.node_id.to_string(), String::new()];
        let resources = brokers.map(|name| ConfigResource::new(ConfigResourceType::Broker, name));
        let rate = |key: &str| {
            let dynamic = resources.iter().find_map(|resource| image.configs.value(resource, key));
            let text = dynamic.map(|text| &**text).or_else(|| config.settings.text(key))?;
            text.trim().parse().ok().filter(|rate| *rate < i32::MAX)
        };
        let all = rate(RATE);
        let own = format!("listener.name.{}.{RATE}", listener.to_ascii_lowercase());
        let is_controller = config.is_controller_listener(listener);
        let beside =
            config.listeners.iter().filter(|one| config.is_controller_listener(&one.name) == is_controller);
        let is_protected = listener == config.inter_broker_listener_name && beside.count() > 1;
        Self {
            broker: all.filter(|_| !is_protected),
            listener: rate(&own).or(all),
            host: image.client_quotas.connection_rate(host),
        }
    }
}

impl ConnectionRates {
    /// None has come.
    pub fn new(config: &BrokerConfig) -> Self {
        Self {
            windows: Windows::new(config.quota_window_num, config.quota_window_size_seconds),
            broker: Rate::default(),
            listeners: BTreeMap::new(),
            hosts: BTreeMap::new(),
        }
    }

    /// A listener has accepted a connection: how long it waits before it lets that in and accepts another, ms.
    pub fn accept(&mut self, now: Instant, listener: &str, limits: ConnectionLimits) -> i64 {
        let windows = self.windows;
        let of_broker = limits.broker.map(|limit| count(&mut self.broker, windows, now, limit));
        let of_listener = limits.listener.map(|limit| {
            let rate = self.listeners.entry(listener.into()).or_default();
            count(rate, windows, now, limit)
        });
        of_broker.max(of_listener).unwrap_or(0)
    }

    /// Lets a connection of `host` in, or says how long it is held before it is closed, ms. Such a connection does not count.
    pub fn admit(
        &mut self,
        now: Instant,
        listener: &str,
        host: IpAddr,
        limits: ConnectionLimits,
    ) -> Result<(), i64> {
        let Some(limit) = limits.host else { return Ok(()) };
        let windows = self.windows;
        if self.hosts.len() >= COUNTERS_MIN {
            self.hosts.retain(|_, rate| !rate.is_idle(windows, now));
        }
        let rate = self.hosts.entry(host).or_default();
        let throttle_ms = count(rate, windows, now, limit);
        if throttle_ms == 0 {
            return Ok(());
        }
        rate.record(windows, now, -1.0);
        if limits.broker.is_some() {
            self.broker.record(windows, now, -1.0);
        }
        if let Some(rate) = self.listeners.get_mut(listener).filter(|_| limits.listener.is_some()) {
            rate.record(windows, now, -1.0);
        }
        Err(throttle_ms)
    }
}

/// Counts a connection: ms to wait, a window at most.
fn count(rate: &mut Rate, windows: Windows, now: Instant, limit: i32) -> i64 {
    rate.record(windows, now, 1.0);
    rate.throttle_ms(windows, now, f64::from(limit)).min(windows.size_ms)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use ottla_protocol::records::metadata::client_quota_record::EntityData;
    use ottla_protocol::records::metadata::{ClientQuotaRecord, ConfigRecord};

    use super::*;
    use crate::config::{Origin, Setting};

    const HOST: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 2));

    fn config(settings: &[(&str, &str)]) -> BrokerConfig {
        let setting = |(key, value): &(&str, &str)| {
            ((*key).to_owned(), Setting { value: (*value).to_owned(), origin: Origin::Override })
        };
        BrokerConfig::resolve(settings.iter().map(setting), true).expect("they are valid").config
    }

    fn of_host(name: Option<&str>, rate: f64) -> crate::metadata::MetadataRecord {
        let entity = EntityData { entity_type: "ip".into(), entity_name: name.map(Into::into) };
        let key = "connection_creation_rate".into();
        ClientQuotaRecord { entity: vec![entity], key, value: rate, remove: false }.into()
    }

    #[test]
    fn what_holds_for_whom() {
        let config = config(&[
            ("listeners", "PLAINTEXT://:9092,INTERNAL://:9093"),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            ("inter.broker.listener.name", "INTERNAL"),
            (RATE, "20"),
            ("listener.name.plaintext.max.connection.creation.rate", "5"),
        ]);
        let mut image = MetadataImage::empty("cluster");
        let limits = |image: &MetadataImage, listener, host| {
            let ConnectionLimits { broker, listener, host } =
                ConnectionLimits::new(&config, image, listener, host);
            (broker, listener, host)
        };
        assert_eq!(limits(&image, "PLAINTEXT", HOST), (Some(20), Some(5), None));
        assert_eq!(limits(&image, "INTERNAL", HOST), (None, Some(20), None), "brokers are let in");
        let record = ConfigRecord {
            resource_type: ConfigResourceType::Broker.code(),
            resource_name: Str::default(),
            name: RATE.into(),
            value: Some("30".into()),
        };
        for record in [record.into(), of_host(None, 9.0), of_host(Some("10.0.0.1"), 3.0)] {
            image.replay(&record).expect("it follows");
        }
        assert_eq!(limits(&image, "PLAINTEXT", HOST), (Some(30), Some(5), Some(3)));
        assert_eq!(limits(&image, "PLAINTEXT", OTHER), (Some(30), Some(5), Some(9)));
    }

    #[test]
    fn a_listener_waits_and_an_address_is_sent_away() {
        let mut rates = ConnectionRates::new(&BrokerConfig::default());
        let (now, later) = (Instant(5_000_000), Instant(5_000_000).plus_ms(900));
        let limits = ConnectionLimits { broker: Some(10), listener: None, host: Some(2) };
        // Eleven windows: as many as ten seconds allow may come at once.
        for _ in 0..20 {
            assert_eq!(rates.accept(now, "L", limits), 0);
            assert_eq!(rates.admit(now, "L", HOST, limits), Ok(()));
        }
        for _ in 0..50 {
            assert_eq!(rates.accept(now, "L", limits), 0);
            assert_eq!(rates.admit(now, "L", HOST, limits), Err(500), "what is sent away does not count");
        }
        for _ in 0..80 {
            assert_eq!(rates.accept(now, "L", limits), 0);
            assert_eq!(rates.admit(now, "L", OTHER, ConnectionLimits { host: None, ..limits }), Ok(()));
        }
        assert_eq!(rates.accept(now, "L", limits), 100);
        assert_eq!(rates.accept(later, "L", limits), 0);
        let counts: Map<_, _> = rates.hosts.keys().map(|host| (*host, ())).collect();
        assert_eq!(counts.len(), 1, "only who has a limit is counted");
    }
}
