//! Any text as a properties file: it is read, and a broker may be started so or hears why not.

use ottla_core::config::{BrokerConfig, file_settings, override_setting, parse_properties};

pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(properties) = parse_properties(&text) else { return };
    for (at, property) in properties.iter().enumerate() {
        assert!(property.line >= 1 && (at == 0 || properties[at - 1].line < property.line));
        let _ = override_setting(&format!("{}={}", property.key, property.value));
    }
    let resolved = BrokerConfig::resolve(file_settings("server.properties", properties), true);
    if let Err(errors) = resolved {
        assert!(errors.iter().all(|error| !error.to_string().is_empty()));
    }
}
