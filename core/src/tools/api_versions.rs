//! `kafka-broker-api-versions`: which APIs each broker serves, at which versions.

use std::collections::BTreeMap;

use ottla_protocol::messages::metadata_response::MetadataResponseBroker;
use ottla_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, MetadataResponse, api_versions_response::ApiVersion,
};
use ottla_protocol::{ApiKey, ErrorCode};

use super::KAFKA_VERSION;
use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, refusal};
use super::options::{BOOTSTRAP, Manual, OptionSpec};
use super::partitions::{ask_metadata, error_of};
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, ToolCx};
use crate::client::{Destination, Reply};
use crate::time::Instant;

const MANUAL: Manual =
    Manual { about: "This tool helps to retrieve broker version information.", specs: &SPECS };

static SPECS: [OptionSpec; 1] = [BOOTSTRAP];

#[derive(Clone, Debug, Default)]
struct BrokerApiVersions {
    brokers: Vec<MetadataResponseBroker>,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let options = MANUAL.read(arguments, |message| {
        let stderr = Refusal::new("UnrecognizedOptionException", message).complaint();
        Exit { stdout: String::new(), stderr, code: 1 }
    })?;
    options.require(&["bootstrap-server"]).map_err(|message| MANUAL.usage(&message))?;
    Ok(Runner::new(admin_session(&options, environment)?, BrokerApiVersions::default()))
}

impl Steps for BrokerApiVersions {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        if self.brokers.is_empty() {
            ask_metadata(now, admin, Some(&mut std::iter::empty()));
        }
        for broker in &self.brokers {
            let request = ApiVersionsRequest {
                client_software_name: "ottla".into(),
                client_software_version: KAFKA_VERSION.into(),
            };
            admin.ask(now, &Destination::Node(broker.node_id), (0, 4), request);
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        if self.brokers.is_empty() {
            let Some(reply) = replies.first() else { return Ok(Next::Again) };
            let answer: MetadataResponse = reply.decode()?;
            self.brokers = answer.brokers;
            self.brokers.sort_unstable_by_key(|broker| broker.node_id);
            return Ok(if self.brokers.is_empty() { Next::Again } else { Next::Proceed });
        }
        for (broker, reply) in self.brokers.iter().zip(replies) {
            let answer: ApiVersionsResponse = reply.decode()?;
            let MetadataResponseBroker { node_id, host, port, rack } = broker;
            let rack = rack.as_ref().map_or("null", |rack| rack);
            let versions = match error_of(answer.error_code) {
                ErrorCode::None => format!("(\n\t{}\n)", versions(&answer.api_keys).join(",\n\t")),
                error => format!("ERROR: {}", refusal(error, None)),
            };
            let broker = format!("{host}:{port} (id: {node_id} rack: {rack} isFenced: false)");
            cx.output.stdout.push_str(&format!("{broker} -> {versions}\n"));
        }
        Ok(Next::Exit(0))
    }
}

/// What a broker serves, and what it does not that others do.
fn versions(served: &[ApiVersion]) -> Vec<String> {
    let mut lines = BTreeMap::new();
    for api in ApiKey::all().iter().filter(|api| api.on_broker()) {
        lines.insert(api.key(), format!("{}({}): UNSUPPORTED", api.name(), api.key()));
    }
    for ApiVersion { api_key, min_version, max_version } in served {
        let known = ApiKey::from_key(*api_key);
        let name = known.map_or("UNKNOWN", ApiKey::name);
        let range = if min_version == max_version {
            min_version.to_string()
        } else {
            format!("{min_version} to {max_version}")
        };
        let usable = match known.and_then(ApiKey::valid_versions) {
            Some(own) if own.last < *min_version => " [unusable: node too new]".to_owned(),
            Some(own) if *max_version < own.first => " [unusable: node too old]".to_owned(),
            Some(own) => format!(" [usable: {}]", own.last.min(*max_version)),
            None => String::new(),
        };
        lines.insert(*api_key, format!("{name}({api_key}): {range}{usable}"));
    }
    lines.into_values().collect()
}
