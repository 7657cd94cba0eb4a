//! Every sentence of the page: a key, and a table per language. A missing sentence does not compile.

mod en;
mod ko;
pub mod particle;

/// Korean is written first; English says the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    Ko,
    En,
}

impl Lang {
    pub const ALL: [Lang; 2] = [Lang::Ko, Lang::En];

    /// The value of the `lang` attribute, and of `?lang=`.
    pub fn tag(self) -> &'static str {
        match self {
            Lang::Ko => "ko",
            Lang::En => "en",
        }
    }

    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lang| tag == lang.tag() || tag.starts_with(&format!("{}-", lang.tag())))
    }

    pub fn text(self, key: Text) -> &'static str {
        match self {
            Lang::Ko => ko::text(key),
            Lang::En => en::text(key),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    Title,
    Crumb,
    Seed,
    CopyLink,
    CopiedLink,
    Language,
    Theme,
    Light,
    Dark,
    Panes,
    Steps,
    Cluster,
    Groups,
    GroupsAndLag,
    Terminal,
    StepsLead,
    StepTopic,
    StepTopicWhy,
    StepProduce,
    StepProduceWhy,
    StepProduceLines,
    StepConsume,
    StepConsumeWhy,
    StepLag,
    StepLagWhy,
    TypeIt,
    StepsFoot,
    ActiveController,
    BrokerDown,
    Brokers,
    BrokerPaused,
    BrokerCutOff,
    BrokerJoining,
    Kill,
    Stop,
    Start,
    PauseBroker,
    Resume,
    CutOff,
    Reconnect,
    Follower,
    Replicas,
    NoLeader,
    Request,
    Response,
    StepReplicas,
    StepReplicasWhy,
    Internal,
    Partitions,
    Unfold,
    Fold,
    NoTopic,
    NoTopicWhy,
    NoGroup,
    NoGroupWhy,
    Partition,
    Member,
    Committed,
    LogEnd,
    Lag,
    Generation,
    Assignor,
    Members,
    Unassigned,
    Record,
    RecordNone,
    Key,
    NoKey,
    Value,
    Timestamp,
    Bytes,
    Records,
    Leader,
    LogStart,
    Clock,
    Play,
    Pause,
    Step,
    Speed,
    Paused,
    PausedHint,
    OpenTerminal,
    TerminalLabel,
    Composing,
    Interrupt,
    Starting,
    StartingWhy,
    Stopped,
    StoppedWhy,
    Restart,
    Outdated,
    OutdatedWhy,
    Reload,
    LoadFailed,
    LoadFailedWhy,
}
