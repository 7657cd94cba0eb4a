//! What a configuration key is: its name, type, default, bounds, who may change it and what we do with it.

/// The type of a key's value, as Kafka names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigType {
    /// The number that DescribeConfigs carries in `ConfigType` (0 is "unknown").
    pub const fn id(self) -> i8 {
        match self {
            ConfigType::Boolean => 1,
            ConfigType::String => 2,
            ConfigType::Int => 3,
            ConfigType::Short => 4,
            ConfigType::Long => 5,
            ConfigType::Double => 6,
            ConfigType::List => 7,
            ConfigType::Class => 8,
            ConfigType::Password => 9,
        }
    }

    /// Kafka's name of the type, upper case as in its error messages.
    pub const fn name(self) -> &'static str {
        match self {
            ConfigType::Boolean => "BOOLEAN",
            ConfigType::String => "STRING",
            ConfigType::Int => "INT",
            ConfigType::Short => "SHORT",
            ConfigType::Long => "LONG",
            ConfigType::Double => "DOUBLE",
            ConfigType::List => "LIST",
            ConfigType::Class => "CLASS",
            ConfigType::Password => "PASSWORD",
        }
    }
}

/// What a key is worth when nobody set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Kafka refuses to start without it; we fall back on the single node's settings.
    Required,
    Null,
    Is(&'static str),
}

/// Which values a key takes, beyond those of its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bounds {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// A level between the two, or -1 for the codec's own default.
    LevelOrMinusOne(i64, i64),
    /// A fraction from 0 up to this.
    UpTo(f64),
    OneOf(&'static [&'static str]),
    OneOfIgnoringCase(&'static [&'static str]),
    NonEmptyString,
    /// A list without duplicates and without empty elements.
    Distinct,
    /// The same, with one element at least.
    DistinctNonEmpty,
    /// Elements of this set, without duplicates; may be empty.
    SetOf(&'static [&'static str]),
    /// The same, with one element at least.
    NonEmptySetOf(&'static [&'static str]),
    /// `*`, or `partition:broker` pairs.
    ThrottledReplicas,
    /// `{id}@{host}:{port}` entries.
    QuorumVoters,
    /// `{host}:{port}` entries.
    BootstrapServers,
    /// `latest`, `earliest` or `by_duration:<ISO 8601 duration>`.
    ShareOffsetReset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    High,
    Medium,
    Low,
}

/// The kind of thing that a key configures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Broker,
    Topic,
    Group,
    ClientMetrics,
    /// Users and client ids (KIP-13, KIP-546).
    ClientQuota,
    /// Addresses (KIP-612).
    IpQuota,
}

/// How a key may change while the broker runs (KIP-226).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateMode {
    ReadOnly,
    /// Changeable, but only for one broker at a time.
    PerBroker,
    /// Changeable for one broker or for all.
    ClusterWide,
    /// Set on the topic, group or subscription itself.
    Entity,
}

/// What we do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Honoured,
    /// Accepted without effect; the reason is for the operator.
    Ignored(&'static str),
    /// Refuses the start (or the change) when set away from its default.
    NotBuilt,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConfigKey {
    pub name: &'static str,
    pub scope: Scope,
    pub config_type: ConfigType,
    pub preset: Preset,
    pub bounds: Bounds,
    pub importance: Importance,
    pub update_mode: UpdateMode,
    pub status: Status,
    /// Kafka hides internal keys from DescribeConfigs.
    pub internal: bool,
    pub documentation: &'static str,
}

impl ConfigKey {
    /// Never shown to anybody.
    pub fn is_sensitive(&self) -> bool {
        self.config_type == ConfigType::Password
    }
}

impl ConfigKey {
    /// What the key takes, for people: `an integer of at least 1`.
    pub fn allowed(&self) -> String {
        match (self.status, self.preset) {
            (Status::NotBuilt, Preset::Is("") | Preset::Null | Preset::Required) => {
                return "nothing, for now".into();
            }
            (Status::NotBuilt, Preset::Is(text)) => return format!("only {text}, for now"),
            _ => {}
        }
        let kind = match self.config_type {
            ConfigType::Boolean => "true or false",
            ConfigType::Short => "a 16-bit integer",
            ConfigType::Int => "a 32-bit integer",
            ConfigType::Long => "a 64-bit integer",
            ConfigType::Double => "a number",
            ConfigType::List => "a list between commas",
            ConfigType::Class => "a class name",
            ConfigType::String | ConfigType::Password => "text",
        };
        let bounds = match self.bounds {
            Bounds::Any => String::new(),
            Bounds::AtLeast(low) => format!(" of at least {low}"),
            Bounds::Between(low, high) => format!(" from {low} to {high}"),
            Bounds::LevelOrMinusOne(low, high) => format!(" from {low} to {high}, or -1"),
            Bounds::UpTo(high) => format!(" from 0 to {high}"),
            Bounds::OneOf(values) => return format!("one of {}", values.join(", ")),
            Bounds::OneOfIgnoringCase(values) => return format!("one of {}, in any case", values.join(", ")),
            Bounds::NonEmptyString => ", not empty".into(),
            Bounds::Distinct => ", none twice".into(),
            Bounds::DistinctNonEmpty => ", none twice, one at least".into(),
            Bounds::SetOf(values) => format!(" of {}, none twice", values.join(", ")),
            Bounds::NonEmptySetOf(values) => format!(" of {}, none twice, one at least", values.join(", ")),
            Bounds::ThrottledReplicas => return "* or partition:broker pairs between commas".into(),
            Bounds::QuorumVoters => return "id@host:port entries between commas".into(),
            Bounds::BootstrapServers => return "host:port entries between commas".into(),
            Bounds::ShareOffsetReset => return "latest, earliest or by_duration:PnDTnHnMn.nS".into(),
        };
        format!("{kind}{bounds}")
    }
}
