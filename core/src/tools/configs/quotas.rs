//! Limits of users, clients and addresses, and the credentials of users (KIP-546, KIP-554).

use hmac::{Hmac, Mac};
use ottla_protocol::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use ottla_protocol::messages::alter_user_scram_credentials_request::{
    AlterUserScramCredentialsRequest, ScramCredentialDeletion, ScramCredentialUpsertion,
};
use ottla_protocol::messages::describe_client_quotas_request::{ComponentData, DescribeClientQuotasRequest};
use ottla_protocol::messages::describe_user_scram_credentials_request::{
    DescribeUserScramCredentialsRequest, UserName,
};
use ottla_protocol::messages::{
    AlterClientQuotasResponse, AlterUserScramCredentialsResponse, DescribeClientQuotasResponse,
    DescribeUserScramCredentialsResponse,
};
use ottla_protocol::{Bytes, ErrorCode, Str};
use sha2::{Sha256, Sha512};

use super::options::{CLIENTS, Changes, Command, IPS, USERS};
use crate::client::Reply;
use crate::rng::Rng;
use crate::time::Instant;
use crate::tools::admin::Admin;
use crate::tools::failure::{Refusal, class, refusal};
use crate::tools::partitions::error_of;

/// Limits of users and clients.
const CLIENT_LIMITS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
/// And of addresses.
const IP_LIMITS: [&str; 1] = ["connection_creation_rate"];

/// SCRAM's mechanisms: name, name in Java, number, least number of iterations.
const MECHANISMS: [(&str, &str, i8, i32); 2] =
    [("SCRAM-SHA-256", "SCRAM_SHA_256", 1, 4096), ("SCRAM-SHA-512", "SCRAM_SHA_512", 2, 4096)];
const DEFAULT_ITERATIONS: i32 = 4096;
/// Bytes of a salt.
const SALT_LEN: usize = 26;

/// DescribeClientQuotas' numbers.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

fn is_limit(key: &str) -> bool {
    CLIENT_LIMITS.contains(&key)
}

fn mechanism(name: &str) -> Option<(&'static str, &'static str, i8, i32)> {
    MECHANISMS.iter().copied().find(|(known, ..)| *known == name)
}

/// What a change of users, clients or addresses is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Limits,
    Credentials,
}

/// Which of the two, when the settings are some that may be set of these entities.
pub fn subject(command: &Command, changes: &Changes) -> Result<Subject, Refusal> {
    let set: Vec<&str> = changes.set.iter().map(|(key, _)| &**key).collect();
    let unset: Vec<&str> = changes.unset.iter().map(|key| &**key).collect();
    let other = |keys: &[&'static str], with_scram: bool| {
        let is_other = |key: &&str| !(keys.contains(key) || with_scram && mechanism(key).is_some());
        let [set, unset] =
            [&set, &unset].map(|list| list.iter().copied().filter(is_other).collect::<Vec<_>>());
        (set, unset)
    };
    if command.types == [IPS] {
        let (set, unset) = other(&IP_LIMITS, false);
        let both = [set, unset].concat();
        if !both.is_empty() {
            return Err(unexpected("connection quota configs can be added", IPS, &both.join(",")));
        }
        return Ok(Subject::Limits);
    }
    let with_clients = command.types.contains(&CLIENTS);
    let (what, whose) = if with_clients { ("quota", CLIENTS) } else { ("quota and SCRAM credential", USERS) };
    let (set_else, unset_else) = other(&CLIENT_LIMITS, !with_clients);
    if !set_else.is_empty() {
        // What a Scala collection shows of itself.
        let kind = if set_else.len() > 4 { "HashSet" } else { "Set" };
        let names = format!("{kind}({})", set_else.join(", "));
        return Err(unexpected(&format!("{what} configs can be added"), whose, &names));
    }
    if !unset_else.is_empty() {
        let names = format!("ArrayBuffer({})", unset_else.join(", "));
        return Err(unexpected(&format!("{what} configs can be deleted"), whose, &names));
    }
    let has_limits = set.iter().chain(&unset).any(|key| is_limit(key));
    let has_scram = set.iter().chain(&unset).any(|key| mechanism(key).is_some());
    if has_scram && command.names.iter().any(|name| name.is_empty()) {
        return Err(Refusal::terse(
            "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.",
        ));
    }
    if has_scram && has_limits {
        return Err(Refusal::terse(
            "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.",
        ));
    }
    Ok(if has_limits { Subject::Limits } else { Subject::Credentials })
}

fn unexpected(what: &str, whose: &str, names: &str) -> Refusal {
    Refusal::terse(format!(
        "Only {what} for '{whose}' using --bootstrap-server. Unexpected config names: {names}"
    ))
}

/// The protocol's name of a kind of entity, and how the tool speaks of one.
fn entity_type(kind: &str) -> (&'static str, &'static str) {
    match kind {
        USERS => ("user", "user-principal"),
        CLIENTS => ("client-id", "client-id"),
        _ => ("ip", "ip"),
    }
}

/// Asks for the limits of these entities, and of no others.
pub fn ask_limits(now: Instant, admin: &mut Admin, command: &Command) {
    let component = |(at, kind): (usize, &&str)| {
        let name = command.names.get(at);
        ComponentData {
            entity_type: entity_type(kind).0.into(),
            match_type: match name {
                Some(name) if name.is_empty() => DEFAULT,
                Some(_) => EXACT,
                None => ANY,
            },
            match_: name.cloned().filter(|name| !name.is_empty()),
        }
    };
    let components = command.types.iter().enumerate().map(component).collect();
    let request = DescribeClientQuotasRequest { components, strict: true };
    admin.ask(now, &admin.anyone(), (0, 1), request);
}

/// Entities with their limits.
type Limits = Vec<(Vec<(Str, Option<Str>)>, Vec<(Str, f64)>)>;

/// The limits that were asked for.
pub fn limits(reply: &Reply) -> Result<Limits, Refusal> {
    let answer: DescribeClientQuotasResponse = reply.decode()?;
    match error_of(answer.error_code) {
        ErrorCode::None => {}
        error => return Err(refusal(error, answer.error_message.as_deref())),
    }
    let entries = answer.entries.unwrap_or_default();
    let entry = |entry: &ottla_protocol::messages::describe_client_quotas_response::EntryData| {
        let entity = entry.entity.iter();
        let entity =
            entity.map(|part| (part.entity_type.detached(), part.entity_name.as_ref().map(Str::detached)));
        let mut values: Vec<(Str, f64)> =
            entry.values.iter().map(|value| (value.key.detached(), value.value)).collect();
        values.sort_by(|one, other| one.0.cmp(&other.0));
        (entity.collect(), values)
    };
    Ok(entries.iter().map(entry).collect())
}

/// A line for each entity.
pub fn limits_shown(limits: &Limits) -> String {
    let mut text = String::new();
    for (entity, values) in limits {
        let parts = [USERS, CLIENTS, IPS].map(entity_type).into_iter().filter_map(|(kind, shown)| {
            let (_, name) = entity.iter().find(|(other, _)| **other == *kind)?;
            Some(match name {
                Some(name) => format!("{shown} '{name}'"),
                None => format!("the default {shown}"),
            })
        });
        let parts = parts.collect::<Vec<_>>().join(", ");
        let values: Vec<String> =
            values.iter().map(|(key, value)| format!("{key}={}", java_double(*value))).collect();
        text.push_str(&format!("Quota configs for {parts} are {}\n", values.join(", ")));
    }
    text
}

/// As Java shows a double.
fn java_double(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) || !magnitude.is_finite() {
        return match format!("{value:?}").as_str() {
            "inf" => "Infinity".into(),
            "-inf" => "-Infinity".into(),
            shown => shown.to_owned(),
        };
    }
    let shown = format!("{value:E}");
    match shown.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => shown,
    }
}

/// The keys among these that the entity has no limit for: they cannot be unset.
pub fn without_limit(limits: &Limits, unset: &[Str]) -> Result<(), Refusal> {
    let known = limits.first().map_or(&[][..], |(_, values)| values);
    let missing = unset.iter().filter(|key| !known.iter().any(|(known, _)| known == *key));
    let missing: Vec<&str> = missing.map(|key| &**key).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::terse(format!("Invalid config(s): {}", missing.join(","))))
}

/// The limits to set, as numbers.
pub fn numbers(changes: &Changes) -> Result<Vec<(Str, Option<f64>)>, Refusal> {
    let number = |(key, value): &(Str, Str)| {
        let parsed = value.trim().parse().map_err(|_| {
            Refusal::terse(format!("Cannot parse quota configuration value for {key}: {value}"))
        });
        Ok((key.clone(), Some(parsed?)))
    };
    let set = changes.set.iter().map(number);
    set.chain(changes.unset.iter().map(|key| Ok((key.clone(), None)))).collect()
}

/// Asks to set limits, and to unset those without a number.
pub fn ask_alter_limits(now: Instant, admin: &mut Admin, command: &Command, limits: &[(Str, Option<f64>)]) {
    let entity = command.types.iter().zip(&command.names).map(|(kind, name)| EntityData {
        entity_type: entity_type(kind).0.into(),
        entity_name: Some(name.clone()).filter(|name| !name.is_empty()),
    });
    let ops = limits.iter().map(|(key, value)| OpData {
        key: key.clone(),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    });
    let entry = EntryData { entity: entity.collect(), ops: ops.collect() };
    let request = AlterClientQuotasRequest { entries: vec![entry], validate_only: false };
    admin.ask(now, &admin.anyone(), (0, 1), request);
}

/// Whether it was done; not yet, when it may be tried again.
pub fn limits_altered(reply: &Reply) -> Result<bool, Refusal> {
    let answer: AlterClientQuotasResponse = reply.decode()?;
    for entry in &answer.entries {
        match error_of(entry.error_code) {
            ErrorCode::None => {}
            ErrorCode::NotController => return Ok(false),
            error => return Err(refusal(error, entry.error_message.as_deref())),
        }
    }
    Ok(true)
}

/// Asks which credentials users have; all users, when none is named.
pub fn ask_credentials(now: Instant, admin: &mut Admin, users: &[Str]) {
    let users = users.iter().map(|name| UserName { name: name.clone() }).collect();
    admin.ask(now, &admin.anyone(), (0, 0), DescribeUserScramCredentialsRequest { users: Some(users) });
}

/// A line for each user that has some.
pub fn credentials_shown(reply: &Reply) -> Result<String, Refusal> {
    let answer: DescribeUserScramCredentialsResponse = reply.decode()?;
    match error_of(answer.error_code) {
        ErrorCode::None => {}
        error => return Err(refusal(error, answer.error_message.as_deref())),
    }
    let mut text = String::new();
    for result in &answer.results {
        let user = &result.user;
        let infos = result.credential_infos.iter().map(|info| {
            let known = MECHANISMS.iter().find(|(.., number, _)| *number == info.mechanism);
            format!("{}=iterations={}", known.map_or("UNKNOWN", |(name, ..)| name), info.iterations)
        });
        let infos = infos.collect::<Vec<_>>().join(", ");
        text.push_str(&match error_of(result.error_code) {
            ErrorCode::None => {
                format!("SCRAM credential configs for user-principal '{user}' are {infos}\n")
            }
            ErrorCode::ResourceNotFound => continue,
            error => format!(
                "Error retrieving SCRAM credential configs for user-principal '{user}': {}: {}\n",
                class(error),
                refusal(error, result.error_message.as_deref()).message
            ),
        });
    }
    Ok(text)
}

/// What changes of a user's credentials. Passwords go no further than this.
#[derive(Clone, Debug)]
pub struct Credentials {
    deletions: Vec<ScramCredentialDeletion>,
    upsertions: Vec<ScramCredentialUpsertion>,
}

impl Credentials {
    /// Of the settings, `[iterations=8192,password=secret]`.
    pub fn of(user: &Str, changes: &Changes, rng: &mut Rng) -> Result<Self, Refusal> {
        let deletions = changes.unset.iter().filter_map(|name| mechanism(name));
        let deletions =
            deletions.map(|(.., mechanism, _)| ScramCredentialDeletion { name: user.clone(), mechanism });
        let mut upsertions = Vec::new();
        for (name, text) in &changes.set {
            let Some((name, java_name, mechanism, least)) = mechanism(name) else { continue };
            let (iterations, password) = credential(text)
                .ok_or_else(|| Refusal::terse(format!("Invalid credential property {java_name}={text}")))?;
            if iterations < least {
                return Err(Refusal::terse(format!(
                    "Iterations {iterations} is less than the minimum {least} required for {name}"
                )));
            }
            let salt: Vec<u8> = (0..SALT_LEN).map(|_| rng.next_u64().to_le_bytes()[0]).collect();
            upsertions.push(ScramCredentialUpsertion {
                name: user.clone(),
                mechanism,
                iterations,
                salted_password: salted(mechanism, password.as_bytes(), &salt, iterations),
                salt: salt.into(),
            });
        }
        Ok(Self { deletions: deletions.collect(), upsertions })
    }

    /// Asks for the change.
    pub fn ask(&self, now: Instant, admin: &mut Admin) {
        let Self { deletions, upsertions } = self.clone();
        admin.ask(now, &admin.anyone(), (0, 0), AlterUserScramCredentialsRequest { deletions, upsertions });
    }
}

/// Whether it was done; not yet, when it may be tried again.
pub fn credentials_altered(reply: &Reply) -> Result<bool, Refusal> {
    let answer: AlterUserScramCredentialsResponse = reply.decode()?;
    for result in &answer.results {
        match error_of(result.error_code) {
            ErrorCode::None => {}
            ErrorCode::NotController => return Ok(false),
            error => return Err(refusal(error, result.error_message.as_deref())),
        }
    }
    Ok(true)
}

fn credential(text: &str) -> Option<(i32, &str)> {
    let (iterations, rest) = match text.strip_prefix("iterations=").and_then(|rest| rest.split_once(',')) {
        Some((number, rest)) => (Some(number).filter(|number| *number != "-1"), rest),
        None => (None, text),
    };
    let password = rest.strip_prefix("password=")?;
    Some((iterations.map_or(Some(DEFAULT_ITERATIONS), |number| number.parse().ok())?, password))
}

/// Hi() of RFC 5802: PBKDF2 with one block.
fn salted(mechanism: i8, password: &[u8], salt: &[u8], iterations: i32) -> Bytes {
    let salted = if mechanism == 1 {
        Hmac::<Sha256>::new_from_slice(password).map(|mac| hi(&mac, salt, iterations))
    } else {
        Hmac::<Sha512>::new_from_slice(password).map(|mac| hi(&mac, salt, iterations))
    };
    // Keys of any length will do.
    salted.unwrap_or_default().into()
}

fn hi<M: Mac + Clone>(keyed: &M, salt: &[u8], iterations: i32) -> Vec<u8> {
    let mac = |text: &[u8]| keyed.clone().chain_update(text).finalize().into_bytes().to_vec();
    let mut last = mac(&[salt, &[0, 0, 0, 1]].concat());
    let mut all = last.clone();
    for _ in 1..iterations {
        last = mac(&last);
        all.iter_mut().zip(&last).for_each(|(all, byte)| *all ^= byte);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7677 and of RFC 6070's kind.
    #[test]
    fn passwords_are_salted_as_the_rfc_says() {
        let hex = |bytes: Bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(salted(1, b"password", b"salt", 4096)),
            "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"
        );
        assert_eq!(
            hex(salted(2, b"password", b"salt", 1)).get(..32),
            Some("867f70cf1ade02cff3752599a3a53dc4")
        );
    }

    #[test]
    fn numbers_as_java_shows_them() {
        let shown = [10.0, 0.5, 12_345_678.0, 1e7, 9_999_999.0, 0.0001, 0.0].map(java_double);
        assert_eq!(shown, ["10.0", "0.5", "1.2345678E7", "1.0E7", "9999999.0", "1.0E-4", "0.0"]);
    }

    #[test]
    fn credentials_with_and_without_iterations() {
        assert_eq!(credential("password=a,b=c"), Some((4096, "a,b=c")));
        assert_eq!(credential("iterations=8192,password="), Some((8192, "")));
        assert_eq!(credential("iterations=-1,password=x"), Some((4096, "x")));
        assert_eq!(credential("x"), None);
    }
}
