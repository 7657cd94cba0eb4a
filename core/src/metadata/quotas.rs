//! Client quotas (KIP-13, KIP-55, KIP-546): what is set, and which limit a client has.

use core::net::IpAddr;
use std::collections::BTreeMap;

use ottla_protocol::Str;
use rpds::RedBlackTreeMapSync;

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";
const CONNECTIONS: &str = "connection_creation_rate";

/// Whom a quota is for: kinds (`user`, `client-id`, `ip`) with names; `None` is the default of that kind.
pub type QuotaEntity = BTreeMap<Str, Option<Str>>;

/// What a client is limited in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum QuotaKind {
    /// Bytes of Produce requests a second.
    Produce,
    /// Bytes of Fetch responses a second.
    Fetch,
    /// Per cent of one thread's time.
    Request,
    /// Partitions created or deleted a second (KIP-599).
    ControllerMutation,
}

/// Whose use counts together: an empty name counts those of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaTags {
    /// The name of the principal.
    pub user: Str,
    /// `None` of a client that did not say.
    pub client_id: Option<Str>,
}

/// All client quotas. An entity without any is not in the map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientQuotasImage {
    /// Limits by key (`producer_byte_rate`, …) by entity.
    pub entities: RedBlackTreeMapSync<QuotaEntity, RedBlackTreeMapSync<Str, f64>>,
    /// How many entities have a limit, by kind and level.
    levels: [Levels; 4],
    /// How many addresses have one.
    hosts: usize,
}

/// How many limits of one kind there are for…
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Levels {
    clients: usize,
    users: usize,
    both: usize,
}

/// One part of an entity: a name, or the default of its kind.
type Name<'a> = Option<&'a Str>;

impl QuotaKind {
    const ALL: [Self; 4] = [Self::Produce, Self::Fetch, Self::Request, Self::ControllerMutation];

    fn key(self) -> &'static str {
        match self {
            Self::Produce => "producer_byte_rate",
            Self::Fetch => "consumer_byte_rate",
            Self::Request => "request_percentage",
            Self::ControllerMutation => "controller_mutation_rate",
        }
    }
}

impl Levels {
    /// The counter for an entity.
    fn of(&mut self, entity: &QuotaEntity) -> Option<&mut usize> {
        match (entity.contains_key(USER), entity.contains_key(CLIENT_ID)) {
            (true, true) => Some(&mut self.both),
            (true, false) => Some(&mut self.users),
            (false, true) => Some(&mut self.clients),
            (false, false) => None,
        }
    }
}

impl ClientQuotasImage {
    /// Whether anybody has a limit of this kind.
    pub fn is_limited(&self, kind: QuotaKind) -> bool {
        self.levels.get(kind as usize).is_some_and(|levels| *levels != Levels::default())
    }

    /// With whom a client's use of this kind counts, and what is allowed; `None` is without limit. The most specific limit holds: of the user and
    /// the client id, of the user, of the client id; and at each, a name before the default.
    pub fn limit(&self, kind: QuotaKind, user: &Str, client_id: Option<&Str>) -> (QuotaTags, Option<f64>) {
        let tags = self.tags(kind, user, client_id);
        let limit = match &tags {
            QuotaTags { client_id: None, .. } => None,
            QuotaTags { user, client_id: Some(client_id) } if !user.is_empty() && !client_id.is_empty() => {
                let names = [Some(user), None].into_iter();
                let mut pairs = names.flat_map(|user| [(user, Some(client_id)), (user, None)]);
                pairs.find_map(|(user, client_id)| self.get(kind, Some(user), Some(client_id)))
            }
            QuotaTags { user, .. } if !user.is_empty() => {
                [Some(user), None].into_iter().find_map(|user| self.get(kind, Some(user), None))
            }
            QuotaTags { client_id, .. } => {
                let named = client_id.as_ref().filter(|client_id| !client_id.is_empty());
                named.and_then(|named| {
                    [Some(named), None]
                        .into_iter()
                        .find_map(|client_id| self.get(kind, None, Some(client_id)))
                })
            }
        };
        (tags, limit)
    }

    /// Connections that an address may open in a second; `None` is without limit.
    pub fn connection_rate(&self, host: IpAddr) -> Option<i32> {
        if self.hosts == 0 {
            return None;
        }
        let of = |entity: &QuotaEntity| self.entities.get(entity)?.get(CONNECTIONS).copied();
        // An address can be written in several ways.
        let is_it = |name: &Option<Str>| name.as_ref().is_some_and(|name| name.parse() == Ok(host));
        let own = self.entities.keys().find(|entity| entity.get(IP).is_some_and(is_it)).and_then(of);
        let rate = own.or_else(|| of(&QuotaEntity::from([(IP.into(), None)])))?;
        Some(rate as i32).filter(|rate| *rate < i32::MAX)
    }

    /// With one level of limits it is that level; with several it is where the client has its limit.
    fn tags(&self, kind: QuotaKind, user: &Str, client_id: Option<&Str>) -> QuotaTags {
        let tags = |user: &Str, client_id: Option<&Str>| QuotaTags {
            user: user.clone(),
            client_id: client_id.cloned(),
        };
        let (nobody, both) = (Str::default(), tags(user, client_id));
        let of_user = tags(user, Some(&nobody));
        let of_client = tags(&nobody, client_id);
        let levels = self.levels.get(kind as usize).copied().unwrap_or_default();
        match levels {
            Levels { users: 0, both: 0, .. } => of_client,
            Levels { clients: 0, both: 0, .. } => of_user,
            Levels { clients: 0, users: 0, .. } => both,
            _ => {
                let has_both = |user, client_id| self.get(kind, Some(user), Some(client_id)).is_some();
                // A client without an id is met by defaults only.
                let has = |user| client_id.is_some() && has_both(user, client_id) || has_both(user, None);
                let has_user = |user| self.get(kind, Some(user), None).is_some();
                if has(Some(user)) {
                    both
                } else if has_user(Some(user)) {
                    of_user
                } else if has(None) {
                    both
                } else if has_user(None) {
                    of_user
                } else {
                    of_client
                }
            }
        }
    }

    fn get(&self, kind: QuotaKind, user: Option<Name<'_>>, client_id: Option<Name<'_>>) -> Option<f64> {
        let part = |kind: &str, name: Option<Name<'_>>| name.map(|name| (Str::from(kind), name.cloned()));
        let entity: QuotaEntity = part(USER, user).into_iter().chain(part(CLIENT_ID, client_id)).collect();
        self.entities.get(&entity)?.get(kind.key()).copied()
    }

    pub(super) fn set(&mut self, entity: QuotaEntity, key: Str, value: Option<f64>) {
        let mut quotas = self.entities.get(&entity).cloned().unwrap_or_default();
        let had = quotas.contains_key(&key);
        let kind = QuotaKind::ALL.into_iter().find(|kind| kind.key() == &*key);
        let levels = kind.and_then(|kind| self.levels.get_mut(kind as usize));
        let count = match levels {
            Some(levels) => levels.of(&entity),
            None => (&*key == CONNECTIONS).then_some(&mut self.hosts),
        };
        if let Some(count) = count {
            match (had, value.is_some()) {
                (false, true) => *count = count.saturating_add(1),
                (true, false) => *count = count.saturating_sub(1),
                _ => {}
            }
        }
        match value {
            Some(value) => quotas.insert_mut(key, value),
            None => _ = quotas.remove_mut(&key),
        }
        if quotas.is_empty() {
            self.entities.remove_mut(&entity);
        } else {
            self.entities.insert_mut(entity, quotas);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Limits of produced bytes; `-` is not in the entity, `*` is the default.
    fn image(limits: &[(&str, &str, f64)]) -> ClientQuotasImage {
        let mut image = ClientQuotasImage::default();
        for (user, client_id, limit) in limits {
            let parts = [(USER, user), (CLIENT_ID, client_id)].into_iter().filter(|(_, name)| **name != "-");
            let part = |(kind, name): (&str, &&str)| (kind.into(), (*name != "*").then(|| Str::from(*name)));
            image.set(parts.map(part).collect(), QuotaKind::Produce.key().into(), Some(*limit));
        }
        image
    }

    fn limit(image: &ClientQuotasImage, user: &str, client_id: &str) -> (String, String, Option<f64>) {
        let (tags, limit) = image.limit(QuotaKind::Produce, &user.into(), Some(&client_id.into()));
        (tags.user.to_string(), tags.client_id.map(|id| id.to_string()).unwrap_or_default(), limit)
    }

    fn told(user: &str, client_id: &str, limit: f64) -> (String, String, Option<f64>) {
        (user.to_owned(), client_id.to_owned(), Some(limit))
    }

    #[test]
    fn the_most_specific_limit_holds() {
        let mut all = vec![
            ("-", "*", 8.0),
            ("-", "c", 7.0),
            ("*", "-", 6.0),
            ("*", "*", 5.0),
            ("*", "c", 4.0),
            ("u", "-", 3.0),
            ("u", "*", 2.0),
            ("u", "c", 1.0),
        ];
        let counted =
            [("u", "c"), ("u", "c"), ("u", ""), ("u", "c"), ("u", "c"), ("u", ""), ("", "c"), ("", "c")];
        for (limit_expected, (user, client_id)) in (1..).zip(counted) {
            assert_eq!(limit(&image(&all), "u", "c"), told(user, client_id, f64::from(limit_expected)));
            all.pop();
        }
    }

    #[test]
    fn what_is_of_one_level_counts_there() {
        assert_eq!(limit(&image(&[("-", "*", 1.0)]), "u", "c"), told("", "c", 1.0));
        assert_eq!(limit(&image(&[("*", "-", 1.0)]), "u", "c"), told("u", "", 1.0));
        assert_eq!(limit(&image(&[("x", "y", 1.0)]), "u", "c"), ("u".into(), "c".into(), None));
        let image = image(&[("-", "*", 1.0)]);
        assert_eq!(image.limit(QuotaKind::Produce, &"u".into(), None).1, None, "no client id, no default");
        assert!(!image.is_limited(QuotaKind::Fetch));
    }

    #[test]
    fn what_is_removed_limits_nobody() {
        let mut image = image(&[("u", "-", 1.0)]);
        assert!(image.is_limited(QuotaKind::Produce));
        let entity = QuotaEntity::from([(USER.into(), Some("u".into()))]);
        for _ in 0..2 {
            image.set(entity.clone(), QuotaKind::Produce.key().into(), None);
        }
        assert!(!image.is_limited(QuotaKind::Produce));
        assert_eq!(image, ClientQuotasImage::default());
    }
}
