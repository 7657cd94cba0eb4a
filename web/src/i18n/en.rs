//! English.

use super::Text;

pub fn text(key: Text) -> &'static str {
    match key {
        Text::Title => "Ottla playground",
        Text::Crumb => "A Kafka cluster in a browser tab",
        Text::Seed => "seed",
        Text::CopyLink => "Copy link",
        Text::CopiedLink => "Copied",
        Text::Language => "Language",
        Text::Theme => "Theme",
        Text::Light => "Light",
        Text::Dark => "Dark",
        Text::Panes => "Panes",
        Text::Steps => "First steps",
        Text::Cluster => "Cluster",
        Text::Groups => "Groups",
        Text::GroupsAndLag => "Groups and lag",
        Text::Terminal => "Terminal",
        Text::StepsLead => {
            "Three real brokers run inside this tab. Press a command to type it into the terminal; Enter runs it."
        }
        Text::StepTopic => "Make a topic",
        Text::StepTopicWhy => "A topic is a name under which records pile up; this one has three partitions.",
        Text::StepProduce => "Write",
        Text::StepProduceWhy => {
            "Start a producer and send line after line. What stands before the colon is the key. Ctrl C ends it."
        }
        Text::StepProduceLines => "lines to send",
        Text::StepConsume => "Read",
        Text::StepConsumeWhy => {
            "The consumer reads from the beginning and commits its place under the name of its group."
        }
        Text::StepLag => "See the lag",
        Text::StepLagWhy => "Stop the consumer and write more: what has not been read yet is the lag.",
        Text::TypeIt => "type",
        Text::StepsFoot => "help lists the commands. Tab completes, ↑↓ walk through earlier lines.",
        Text::ActiveController => "active controller",
        Text::BrokerDown => "down",
        Text::Brokers => "Brokers",
        Text::BrokerPaused => "paused",
        Text::BrokerCutOff => "cut off",
        Text::BrokerJoining => "joining",
        Text::Kill => "Kill",
        Text::Stop => "Stop",
        Text::Start => "Start",
        Text::PauseBroker => "Pause",
        Text::Resume => "Resume",
        Text::CutOff => "Cut off",
        Text::Reconnect => "Reconnect",
        Text::Follower => "follower",
        Text::Replicas => "replicas",
        Text::NoLeader => "no leader",
        Text::Request => "request",
        Text::Response => "response",
        Text::StepReplicas => "See the replicas",
        Text::StepReplicasWhy => {
            "Make a topic with three replicas, then kill a broker in the drawing: another replica leads, and the ISR shrinks."
        }
        Text::Internal => "internal",
        Text::Partitions => "partitions",
        Text::Unfold => "unfold",
        Text::Fold => "fold",
        Text::NoTopic => "No topic yet",
        Text::NoTopicWhy => "Make one: its partitions appear as rows, and records pile up in them as cells.",
        Text::NoGroup => "No group yet",
        Text::NoGroupWhy => {
            "When a group begins to read, how far it got and how much is left (the lag) shows here."
        }
        Text::Partition => "partition",
        Text::Member => "member",
        Text::Committed => "committed",
        Text::LogEnd => "log end",
        Text::Lag => "lag",
        Text::Generation => "generation",
        Text::Assignor => "assignor",
        Text::Members => "members",
        Text::Unassigned => "no member owns it",
        Text::Record => "Selected record",
        Text::RecordNone => "Press a cell to see its record here.",
        Text::Key => "key",
        Text::NoKey => "none",
        Text::Value => "value",
        Text::Timestamp => "timestamp",
        Text::Bytes => "size",
        Text::Records => "records",
        Text::Leader => "leader",
        Text::LogStart => "log start",
        Text::Clock => "Clock",
        Text::Play => "Play",
        Text::Pause => "Pause",
        Text::Step => "One step",
        Text::Speed => "Speed",
        Text::Paused => "paused",
        Text::PausedHint => "The clock stands still · press play to go on",
        Text::OpenTerminal => "Open another terminal",
        Text::TerminalLabel => "Terminal",
        Text::Composing => "composing · Enter ignored",
        Text::Interrupt => "Ctrl C",
        Text::Starting => "Starting the broker",
        Text::StartingWhy => "Receiving the engine",
        Text::Stopped => "The engine stopped",
        Text::StoppedWhy => {
            "It broke a rule of its own. The same seed and the same input break it again. It stopped at"
        }
        Text::Restart => "Start over",
        Text::Outdated => "The engine is not this page's",
        Text::OutdatedWhy => "The browser has kept an old file. Loading the page again mends it.",
        Text::Reload => "Reload",
        Text::LoadFailed => "The engine did not arrive",
        Text::LoadFailedWhy => "Check the connection and load the page again.",
    }
}
