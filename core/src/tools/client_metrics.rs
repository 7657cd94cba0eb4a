//! `kafka-client-metrics`: which metrics of clients brokers ask for (KIP-714).

use std::collections::VecDeque;

use ottla_protocol::Str;

use super::admin::Admin;
use super::client_config::admin_session;
use super::configs::resources::{
    CLIENT_METRICS, Setting, altered, ask_alter, ask_describe, ask_resources, described, resources,
};
use super::failure::Refusal;
use super::options::{BOOTSTRAP, Manual, OptionSpec, Options, flag, value};
use super::runner::{Next, Runner, Steps};
use super::{Environment, Exit, Output, ToolCx};
use crate::client::Reply;
use crate::rng::Rng;
use crate::time::Instant;

const MANUAL: Manual = Manual {
    about: "This tool helps to manipulate and describe client metrics configurations.",
    specs: &SPECS,
};

static SPECS: [OptionSpec; 10] = [
    flag("alter", "Sets what is given of a resource."),
    BOOTSTRAP,
    flag("delete", "Unsets all of a resource."),
    flag("describe", "Shows a resource, or all."),
    flag("generate-name", "With --alter: under a name that is drawn."),
    value("interval", "ms", "How often clients push; empty for the default."),
    flag("list", "Lists the resources."),
    value(
        "match",
        "k1=v1,k2=v2",
        "Which clients: client_id, client_instance_id, client_software_name, client_software_version, client_source_address, client_source_port.",
    ),
    value("metrics", "m1,m2", "Prefixes of metrics."),
    value("name", "name", "The resource."),
];

#[derive(Clone, Debug)]
enum ClientMetrics {
    List,
    /// Of the name, or of all; those that remain, once they are known.
    Describe(Option<Str>, Option<VecDeque<Str>>),
    Alter(Str, Vec<(Str, Option<Str>)>),
    /// What is set, once that is known.
    Delete(Str, Option<Vec<(Str, Option<Str>)>>),
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment, rng: &mut Rng) -> Result<Runner, Exit> {
    let wrong = |message: &str| MANUAL.usage(message);
    let options = MANUAL.read(arguments, |message| wrong(&message))?;
    let Some(action) = options.only(&["alter", "delete", "describe", "list"]) else {
        return Err(wrong(
            "Command must include exactly one action: --alter, --delete, --describe or --list.",
        ));
    };
    let illegal = |sentence: &str| {
        let stderr = Refusal::new("IllegalArgumentException", sentence).complaint();
        Exit { stdout: String::new(), stderr, code: 1 }
    };
    if !options.has("bootstrap-server") {
        return Err(illegal("--bootstrap-server must be specified."));
    }
    let values = ["generate-name", "interval", "match", "metrics"];
    let clash = options
        .exclude("delete", &values)
        .and_then(|()| options.exclude("describe", &values))
        .and_then(|()| options.exclude("list", &["name", "generate-name", "interval", "match", "metrics"]));
    clash.map_err(|message| wrong(&message))?;
    let name = options.value("name").map(Str::from);
    let steps = match (action, name) {
        ("alter", Some(_)) if options.has("generate-name") => None,
        ("alter", name) => {
            let drawn = || Str::from(rng.uuid().to_string().as_str());
            let name = name.or_else(|| options.has("generate-name").then(drawn));
            let settings = settings(&options).map_err(illegal)?;
            name.map(|name| ClientMetrics::Alter(name, settings))
        }
        ("delete", Some(name)) => Some(ClientMetrics::Delete(name, None)),
        ("delete", None) => {
            return Err(illegal("A client metrics resource name must be specified with --delete."));
        }
        ("describe", name) => Some(ClientMetrics::Describe(name, None)),
        _ => Some(ClientMetrics::List),
    };
    let one_of = "One of --name or --generate-name must be specified with --alter.";
    let steps = steps.ok_or_else(|| illegal(one_of))?;
    Ok(Runner::new(admin_session(&options, environment)?, steps))
}

/// What to set; what is empty is unset.
fn settings(options: &Options) -> Result<Vec<(Str, Option<Str>)>, &'static str> {
    if options.value("interval").is_some_and(|text| !text.is_empty() && text.parse::<i32>().is_err()) {
        return Err("Invalid interval value. Enter an integer, or leave empty to reset.");
    }
    let keys = [("interval", "interval.ms"), ("metrics", "metrics"), ("match", "match")];
    let setting = |(name, key): (&str, &'static str)| {
        let value = options.values(name).collect::<Vec<_>>().join(",");
        options.has(name).then(|| (key.into(), Some(value.as_str().into()).filter(|_| !value.is_empty())))
    };
    Ok(keys.into_iter().filter_map(setting).collect())
}

impl Steps for ClientMetrics {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        match self {
            Self::List | Self::Describe(_, None) => ask_resources(now, admin, CLIENT_METRICS),
            Self::Describe(_, Some(rest)) => {
                if let Some(name) = rest.front() {
                    ask_describe(now, admin, CLIENT_METRICS, name);
                }
            }
            Self::Delete(name, None) => ask_describe(now, admin, CLIENT_METRICS, name),
            Self::Alter(name, settings) | Self::Delete(name, Some(settings)) => {
                ask_alter(now, admin, CLIENT_METRICS, name, settings);
            }
        }
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let out = &mut cx.output.stdout;
        let Some(reply) = replies.first() else { return Ok(Next::Exit(0)) };
        match self {
            Self::List => {
                let names: Vec<String> = resources(reply)?.iter().map(Str::to_string).collect();
                out.push_str(&format!("{}\n", names.join("\n")));
            }
            Self::Describe(name, rest @ None) => {
                let mut names = resources(reply)?;
                if let Some(name) = name {
                    names.retain(|other| other == name);
                    if names.is_empty() {
                        out.push_str(&format!(
                            "The client metric resource {name} doesn't exist and doesn't have dynamic config.\n"
                        ));
                        return Ok(Next::Exit(0));
                    }
                }
                *rest = Some(names.into());
                return Ok(Next::Proceed);
            }
            Self::Describe(_, Some(rest)) => {
                let name = rest.pop_front().unwrap_or_default();
                out.push_str(&format!("Client metrics configs for {name} are:\n"));
                for Setting { name, value, .. } in described(reply)? {
                    let value = value.as_ref().map_or("null", |value| value);
                    out.push_str(&format!("  {name}={value}\n"));
                }
                return Ok(if rest.is_empty() { Next::Exit(0) } else { Next::Proceed });
            }
            Self::Delete(_, settings @ None) => {
                let known = described(reply)?;
                *settings = Some(known.into_iter().map(|setting| (setting.name, None)).collect());
                return Ok(Next::Proceed);
            }
            Self::Alter(name, _) => {
                if !altered(reply)? {
                    return Ok(Next::Again);
                }
                out.push_str(&format!("Altered client metrics config for {name}.\n"));
            }
            Self::Delete(name, Some(_)) => {
                if !altered(reply)? {
                    return Ok(Next::Again);
                }
                out.push_str(&format!("Deleted client metrics config for {name}.\n"));
            }
        }
        Ok(Next::Exit(0))
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        let message = &refusal.message;
        output.stdout.push_str(&format!("Error while executing client metrics command : {message}\n"));
        output.stderr.push_str(&format!("ERROR {refusal}\n"));
        1
    }
}
