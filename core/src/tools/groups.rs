//! `kafka-groups`: lists groups of all types.

use ottla_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use ottla_protocol::{ErrorCode, Str};

use super::admin::Admin;
use super::client_config::admin_session;
use super::failure::{Refusal, refusal};
use super::options::{BOOTSTRAP, Manual, OptionSpec, flag, value};
use super::partitions::error_of;
use super::runner::{Next, Runner, Steps};
use super::table::capitalized;
use super::{Environment, Exit, Output, ToolCx};
use crate::client::{Destination, Reply};
use crate::time::Instant;

const MANUAL: Manual = Manual { about: "This tool helps to list groups of all types.", specs: &SPECS };

static SPECS: [OptionSpec; 7] = [
    BOOTSTRAP,
    flag("consumer", "Only consumer groups, of both protocols, simple ones among them."),
    value("group-type", "type", "Only groups of this type: classic, consumer, share or streams."),
    flag("list", "REQUIRED: lists the groups."),
    value("protocol", "name", "Only groups of this protocol type."),
    flag("share", "Only share groups."),
    flag("streams", "Only streams groups."),
];

const TYPES: [&str; 4] = ["classic", "consumer", "share", "streams"];

#[derive(Clone, Debug, Default)]
struct Groups {
    kind: Option<String>,
    protocol: Option<String>,
    /// `--consumer`, `--share` or `--streams`.
    filter: Option<&'static str>,
}

/// Reads the arguments.
pub fn start(arguments: &[String], environment: &Environment) -> Result<Runner, Exit> {
    let wrong = |message: &str| MANUAL.usage(message);
    if arguments.is_empty() {
        return Err(wrong("Missing required option(s) [bootstrap-server]"));
    }
    let options = MANUAL.read(arguments, |message| wrong(&message))?;
    if !options.has("bootstrap-server") {
        return Err(wrong("Missing required option(s) [bootstrap-server]"));
    }
    if !options.has("list") {
        return Err(wrong("Command must include exactly one action: --list."));
    }
    let kind = options.value("group-type").map(str::to_ascii_lowercase);
    if kind.as_deref().is_some_and(|kind| !TYPES.contains(&kind)) {
        let sentence = "--group-type must be a valid group type.";
        let stderr = Refusal::new("IllegalArgumentException", sentence).complaint();
        return Err(Exit { stdout: String::new(), stderr, code: 1 });
    }
    const OTHERS: [[&str; 5]; 3] = [
        ["consumer", "group-type", "protocol", "share", "streams"],
        ["share", "consumer", "group-type", "protocol", "streams"],
        ["streams", "consumer", "group-type", "protocol", "share"],
    ];
    for [used, others @ ..] in &OTHERS {
        options.exclude(used, others).map_err(|message| wrong(&message))?;
    }
    let protocol = options.value("protocol").map(str::to_owned);
    let filter = options.only(&["consumer", "share", "streams"]);
    let steps = Groups { kind, protocol, filter };
    Ok(Runner::new(admin_session(&options, environment)?, steps))
}

impl Groups {
    fn shows(&self, kind: &str, protocol: &str) -> bool {
        let of_protocol = self.protocol.as_deref().is_none_or(|wanted| wanted == protocol);
        match (&self.kind, self.filter) {
            (Some(wanted), _) => wanted == kind && of_protocol,
            (None, _) if self.protocol.is_some() => of_protocol,
            (None, Some("consumer")) => matches!(protocol, "consumer" | "") || kind == "consumer",
            (None, Some(filter)) => kind == filter,
            (None, None) => true,
        }
    }
}

/// Groups as brokers list them: id, type, protocol type, state. `None` while a coordinator loads.
pub fn listed(replies: &[Reply]) -> Result<Option<Vec<[Str; 4]>>, Refusal> {
    let mut groups = Vec::new();
    for reply in replies {
        let answer: ListGroupsResponse = reply.decode()?;
        match error_of(answer.error_code) {
            ErrorCode::None => {}
            ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress => return Ok(None),
            error => return Err(refusal(error, None)),
        }
        groups.extend(answer.groups.iter().map(|group| {
            let words = [&group.group_id, &group.group_type, &group.protocol_type, &group.group_state];
            words.map(Str::detached)
        }));
    }
    Ok(Some(groups))
}

/// Asks every broker for the groups that it coordinates.
pub fn ask_groups(now: Instant, admin: &mut Admin) {
    for broker in admin.brokers() {
        admin.ask(now, &Destination::Node(broker), (0, 5), ListGroupsRequest::default());
    }
}

impl Steps for Groups {
    fn ask(&mut self, now: Instant, admin: &mut Admin) {
        ask_groups(now, admin);
    }

    fn answered(&mut self, cx: &mut ToolCx<'_>, _admin: &Admin, replies: &[Reply]) -> Result<Next, Refusal> {
        let Some(groups) = listed(replies)? else { return Ok(Next::Again) };
        let shown = groups.iter().filter(|[_, kind, protocol, _]| self.shows(kind, protocol));
        let rows: Vec<[String; 3]> = shown
            .map(|[group, kind, protocol, _]| [group.to_string(), capitalized(kind), protocol.to_string()])
            .collect();
        let width = rows.iter().flatten().map(|cell| cell.chars().count()).max().unwrap_or(0).max(20);
        let out = &mut cx.output.stdout;
        out.push_str(&format!("{:<width$} {:<width$} {:<width$}\n", "GROUP", "TYPE", "PROTOCOL"));
        for [group, kind, protocol] in rows {
            out.push_str(&format!("{group:<width$} {kind:<width$} {protocol:<width$} \n"));
        }
        Ok(Next::Exit(0))
    }

    fn refused(&self, output: &mut Output, refusal: Refusal) -> i32 {
        let message = &refusal.message;
        output.stdout.push_str(&format!("Error while executing groups command : {message}\n"));
        output.stderr.push_str(&format!("ERROR {refusal}\n"));
        1
    }
}
