//! Tools that load a cluster and measure it: performance and latency, and clients whose doings can be verified.

pub mod consumer_performance;
mod date_format;
pub mod end_to_end_latency;
mod payload;
pub mod producer_performance;
mod sized_record;
mod stats;
mod throttle;
mod two_clients;
pub mod verifiable_consumer;
pub mod verifiable_producer;

use super::client_config::Properties;
use super::failure::Refusal;
use super::options::Options;
use super::{Environment, Exit, addresses};
use crate::client::Target;

/// What an exception that nobody catches ends a tool with.
fn uncaught(stdout: String, refusal: &Refusal) -> Exit {
    Exit { stdout, stderr: format!("Exception in thread \"main\" {refusal}\n"), code: 1 }
}

/// The file among those that options name which is not there.
fn missing_file<'o>(options: &'o Options, environment: &Environment, names: &[&str]) -> Option<&'o str> {
    let mut paths = names.iter().filter_map(|name| options.value(name));
    paths.find(|path| !environment.files.contains_key(*path))
}

/// Where the properties say that the cluster is.
fn bootstrap(properties: &Properties, client: &str) -> Result<Vec<Target>, Refusal> {
    let servers = properties.get("bootstrap.servers").unwrap_or_default();
    addresses(servers).map_err(|exit| {
        let cause = Refusal::new("ConfigException", exit.stderr.trim_end());
        Refusal::new("KafkaException", format!("Failed to construct kafka {client}\nCaused by: {cause}"))
    })
}

/// The table that `--print-metrics` ends with. This client counts fewer things than Java's.
fn metrics(counts: &[(&str, &str, u64)], client_id: &str) -> String {
    let name = |(group, name, _): &(&str, &str, u64)| format!("{group}:{name}:{{client-id={client_id}}}");
    let width = counts.iter().map(|count| name(count).len()).max().unwrap_or(0);
    let mut text = format!("\n{:<width$}   Value\n", "Metric Name");
    for count in counts {
        text.push_str(&format!("{:<width$} : {}.000\n", name(count), count.2));
    }
    text
}
