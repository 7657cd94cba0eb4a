//! Listeners: `NAME://host:port`, the protocol map, and which listener serves whom.

use std::collections::BTreeMap;

use super::error::ConfigError;

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => SecurityProtocol::Plaintext,
            "SSL" => SecurityProtocol::Ssl,
            "SASL_PLAINTEXT" => SecurityProtocol::SaslPlaintext,
            "SASL_SSL" => SecurityProtocol::SaslSsl,
            _ => return None,
        })
    }

    /// The number in registrations and in the Metadata image.
    pub const fn id(self) -> i16 {
        match self {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
            SecurityProtocol::SaslPlaintext => 2,
            SecurityProtocol::SaslSsl => 3,
        }
    }
}

/// An address with the name of the listener that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Upper case, as Kafka normalises it.
    pub name: String,
    pub security_protocol: SecurityProtocol,
    /// Without the brackets of IPv6. Empty binds to every interface; an empty *advertised* host means that the shell
    /// puts the machine's name there.
    pub host: String,
    /// 0 lets the system choose.
    pub port: u16,
}

/// Parses `listener.security.protocol.map`.
pub(super) fn parse_protocol_map(text: &str) -> Result<BTreeMap<String, SecurityProtocol>, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mut map = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let (name, protocol) = entry
            .split_once(':')
            .ok_or_else(|| ConfigError::invalid(KEY, text, format!("{entry} is not NAME:PROTOCOL")))?;
        let protocol = SecurityProtocol::parse(protocol.trim()).ok_or_else(|| {
            ConfigError::invalid(
                KEY,
                text,
                format!("{protocol} is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
            )
        })?;
        map.insert(name.trim().to_ascii_uppercase(), protocol);
    }
    Ok(map)
}

/// Parses the entries of `listeners` or `advertised.listeners` (`key` says which): names and ports are distinct.
pub(super) fn parse_listeners(
    key: &str,
    entries: &[String],
    protocols: &BTreeMap<String, SecurityProtocol>,
) -> Result<Vec<Listener>, ConfigError> {
    let mut listeners: Vec<Listener> = Vec::with_capacity(entries.len());
    for entry in entries {
        let refuse = |reason: String| ConfigError::invalid(key, entry, reason);
        let (name, host, port) =
            split_entry(entry).ok_or_else(|| refuse("it is not NAME://host:port".into()))?;
        let name = name.to_ascii_uppercase();
        let security_protocol = protocols
            .get(&name)
            .copied()
            .ok_or_else(|| refuse(format!("no protocol for {name} in listener.security.protocol.map")))?;
        if listeners.iter().any(|l| l.name == name) {
            return Err(refuse(format!("each listener needs a name of its own, and {name} is there twice")));
        }
        // Advertised listeners may share a port behind a proxy.
        if key == "listeners" && port != 0 && listeners.iter().any(|l| l.port == port && l.host == host) {
            return Err(refuse(format!("each listener needs a port of its own, and {port} is there twice")));
        }
        listeners.push(Listener { name, security_protocol, host: host.to_owned(), port });
    }
    Ok(listeners)
}

fn split_entry(entry: &str) -> Option<(&str, &str, u16)> {
    let (name, address) = entry.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let plain =
        host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'%' | b'.' | b'_' | b':'));
    if name.is_empty() || !plain {
        return None;
    }
    Some((name, host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[&str]) -> Result<Vec<Listener>, ConfigError> {
        let map = parse_protocol_map("PLAINTEXT:PLAINTEXT, external:SSL,CONTROLLER:plaintext")?;
        let entries: Vec<String> = entries.iter().map(|e| (*e).to_owned()).collect();
        parse_listeners("listeners", &entries, &map)
    }

    #[test]
    fn names_hosts_and_ports() {
        let listeners =
            parse(&["plaintext://:9092", "EXTERNAL://[::1]:9093", "CONTROLLER://a-b.c:0"]).unwrap();
        let seen: Vec<_> = listeners.iter().map(|l| (l.name.as_str(), l.host.as_str(), l.port)).collect();
        assert_eq!(seen, [("PLAINTEXT", "", 9092), ("EXTERNAL", "::1", 9093), ("CONTROLLER", "a-b.c", 0)]);
        assert_eq!(listeners[1].security_protocol, SecurityProtocol::Ssl);
    }

    #[test]
    fn wrong_entries_are_refused() {
        for wrong in [
            &["9092"][..],
            &["PLAINTEXT://h"],
            &["PLAINTEXT://h:99999"],
            &["OTHER://h:1"],
            &["PLAINTEXT://a b:1"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(parse(&["PLAINTEXT://h:1", "PLAINTEXT://h:2"]).is_err());
        assert!(parse(&["PLAINTEXT://h:1", "CONTROLLER://h:1"]).is_err());
        assert!(parse_protocol_map("A").is_err());
        assert!(parse_protocol_map("A:TLS").is_err());
    }
}
