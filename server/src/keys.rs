//! `ottla config`: every configuration key, from the table that the server itself reads.

use std::process::ExitCode;

use ottla_core::config::{ConfigKey, Preset, Scope, Status, UpdateMode, keys};

use crate::cli::{refuse, say};

const HELP: &str = "\
ottla config [--scope SCOPE] [--status STATUS] [TEXT]...
    Lists the configuration keys whose names contain each TEXT: what they take, their defaults, who may change them while
    the server runs, and what Ottla does with them.

  --scope SCOPE    broker, topic, group, client-metrics, user or ip
  --status STATUS  honoured, ignored (accepted without effect; the reason is given) or not-built (any other value than
                   the default refuses the start)
";

const SCOPES: [(&str, Scope); 6] = [
    ("broker", Scope::Broker),
    ("topic", Scope::Topic),
    ("group", Scope::Group),
    ("client-metrics", Scope::ClientMetrics),
    ("user", Scope::ClientQuota),
    ("ip", Scope::IpQuota),
];
const STATUSES: [&str; 3] = ["honoured", "ignored", "not-built"];

/// Runs it.
pub fn run(arguments: &[String]) -> ExitCode {
    let mut texts = Vec::new();
    let (mut scope, mut status) = (None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let place = match argument.as_str() {
            "--help" | "-h" => return say(HELP),
            "--scope" => &mut scope,
            "--status" => &mut status,
            option if option.starts_with('-') => {
                return refuse(&format!("{option} is no option of ottla config: see ottla config --help"));
            }
            text => {
                texts.push(text);
                continue;
            }
        };
        *place = match rest.next() {
            Some(value) => Some(value.as_str()),
            None => return refuse(&format!("{argument} needs a value: see ottla config --help")),
        };
    }
    if let Some(unknown) = scope.filter(|name| SCOPES.iter().all(|(known, _)| known != name)) {
        let known = SCOPES.map(|(known, _)| known).join(", ");
        return refuse(&format!("--scope {unknown}: it is none of {known}"));
    }
    if let Some(unknown) = status.filter(|name| !STATUSES.contains(name)) {
        return refuse(&format!("--status {unknown}: it is none of {}", STATUSES.join(", ")));
    }
    let scopes = SCOPES.iter().filter(|(name, _)| scope.is_none_or(|scope| scope == *name));
    let found =
        scopes.flat_map(|(name, scope)| keys(*scope).map(move |key| (*name, key))).filter(|(_, key)| {
            let is_wanted = status.is_none_or(|name| status_of(key.status) == name);
            !key.internal && is_wanted && texts.iter().all(|text| key.name.contains(text))
        });
    let text: String = found.map(|(scope, key)| describe(scope, key)).collect();
    if text.is_empty() {
        return refuse("no key is like that: ottla config lists all");
    }
    say(&text)
}

fn describe(scope: &str, key: &ConfigKey) -> String {
    let default = match key.preset {
        Preset::Required => "none: it has to be set".to_owned(),
        Preset::Null => "none".to_owned(),
        Preset::Is("") => "empty".to_owned(),
        Preset::Is(text) => text.to_owned(),
    };
    let change = match key.update_mode {
        UpdateMode::ReadOnly => "at a start only",
        UpdateMode::PerBroker => "while it runs, for one broker",
        UpdateMode::ClusterWide => "while it runs, for one broker or all",
        UpdateMode::Entity => "at any time",
    };
    let status = match key.status {
        Status::Honoured => String::new(),
        Status::Ignored(reason) => format!("    without effect: {reason}\n"),
        Status::NotBuilt => "    not built yet: another value than the default is refused\n".to_owned(),
    };
    format!(
        "{} ({scope})\n    {}\n    takes {}; default {default}; changes {change}\n{status}\n",
        key.name,
        key.documentation.trim(),
        key.allowed(),
    )
}

fn status_of(status: Status) -> &'static str {
    match status {
        Status::Honoured => "honoured",
        Status::Ignored(_) => "ignored",
        Status::NotBuilt => "not-built",
    }
}
