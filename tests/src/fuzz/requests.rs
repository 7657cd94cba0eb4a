//! Clients of a broker that may ask anything of it: any API at any version, with what there is and what there is not, and
//! frames that are none. Nothing panics, and every answer reads.

use std::sync::OnceLock;

use bytes::Bytes;
use ottla_core::ids::ConnectionId;
use ottla_protocol::ApiKey;

use super::Choices;
use super::broker::Broker;
use super::fill::{empty, fill};

/// Things that happen in a run.
const STEPS_MAX: usize = 48;
const CLIENTS: usize = 3;

const SESSIONS: &[ApiKey] =
    &[ApiKey::Fetch, ApiKey::Fetch, ApiKey::Fetch, ApiKey::Produce, ApiKey::DeleteRecords];
const GROUPS: &[ApiKey] = &[
    ApiKey::JoinGroup,
    ApiKey::JoinGroup,
    ApiKey::SyncGroup,
    ApiKey::Heartbeat,
    ApiKey::LeaveGroup,
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::OffsetDelete,
    ApiKey::DescribeGroups,
    ApiKey::ListGroups,
    ApiKey::DeleteGroups,
    ApiKey::FindCoordinator,
];

pub fn run(input: &[u8]) {
    play(input, "PLAINTEXT", of_listener(ApiKey::on_broker));
}

pub fn run_controller(input: &[u8]) {
    play(input, "CONTROLLER", of_listener(ApiKey::on_controller));
}

pub fn run_sessions(input: &[u8]) {
    play(input, "PLAINTEXT", SESSIONS);
}

pub fn run_groups(input: &[u8]) {
    play(input, "PLAINTEXT", GROUPS);
}

/// All that have messages. What a listener does not answer closes the connection.
fn of_listener(answers: impl Fn(ApiKey) -> bool) -> &'static [ApiKey] {
    static ALL: OnceLock<[Vec<ApiKey>; 2]> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        [ApiKey::on_broker, ApiKey::on_controller].map(|is_there| {
            let all = ApiKey::all().iter().copied();
            all.filter(|api| is_there(*api) && api.request().is_some()).collect()
        })
    });
    &all[usize::from(!answers(ApiKey::Produce))]
}

fn play(input: &[u8], listener: &str, apis: &[ApiKey]) {
    let mut choices = Choices(input);
    let mut broker = Broker::new();
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        let client = ConnectionId(1 + choices.below(CLIENTS) as u64);
        broker.connect(client, listener);
        match choices.byte() {
            0..=15 => broker.wait(choices.number::<2>()),
            16..=19 => broker.disconnect(client),
            20..=35 => {
                let count = choices.below(300);
                broker.send_any(client, Bytes::copy_from_slice(choices.bytes(count)));
            }
            _ => {
                let api = apis[choices.below(apis.len())];
                let spec = api.request().expect("it has messages");
                let mut request = empty(spec);
                let (first, last) = (spec.versions.first, spec.versions.last);
                let version = first + choices.below(usize::from((last - first).unsigned_abs()) + 1) as i16;
                fill(&mut *request, version, &mut choices, &broker.known);
                broker.ask(client, api, version, &*request);
            }
        }
    }
    // Whatever waits comes to an end.
    broker.wait(60_000);
}
