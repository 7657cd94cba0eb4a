//! The kinds of worlds that the simulator knows.

use ottla_core::sim::mutation::Mutation;
use ottla_core::sim::{Tally, checkers, cluster, one_log, quorum, scenario};

use super::runner::{Kind, Shown, named};

/// A broker and its clients.
pub fn broker() -> Kind {
    Kind {
        name: "worlds",
        option: "",
        faults: names(scenario::Fault::all()),
        checkers: names(checkers::Checker::ALL),
        mutations: &Mutation::BROKER,
        seeds_per_mutation: 300,
        is_trimmed: false,
        run: |seed, mutation, _| {
            let report = scenario::run(seed, mutation);
            let Tally { events, frames, frames_delayed, frames_lost, halts, losses } = report.tally;
            Shown {
                hash: report.hash,
                faults: named(&report.faults),
                exercised: named(&report.exercised),
                counts: vec![
                    ("events", events),
                    ("frames sent", frames),
                    ("frames delayed", frames_delayed),
                    ("frames lost", frames_lost),
                    ("brokers that gave up", halts),
                    ("files a power loss changed", losses.files),
                    ("names a power loss undid", losses.entries),
                ],
                violations: told(report.violations),
                journal: Vec::new(),
            }
        },
    }
}

/// Several brokers and their clients.
pub fn cluster() -> Kind {
    /// What is asked of the logs of brokers that are alone, and of what leaders have committed.
    const OF_LOGS: [checkers::Checker; 14] = [
        checkers::Checker::LogsAreSound,
        checkers::Checker::HighWatermarkInLog,
        checkers::Checker::AcknowledgedIsThere,
        checkers::Checker::CompactionKeepsNewest,
        checkers::Checker::NoDuplicate,
        checkers::Checker::ProducerOrder,
        checkers::Checker::ProducerIdsUnique,
        checkers::Checker::LeaderEpochsRise,
        checkers::Checker::ReadInOrder,
        checkers::Checker::EverythingIsRead,
        checkers::Checker::CommitsBehindReads,
        checkers::Checker::GenerationsRise,
        checkers::Checker::OneOwner,
        checkers::Checker::AcknowledgedTopics,
    ];
    let mut checkers = names(cluster::Promise::ALL);
    checkers.extend(names(OF_LOGS));
    Kind {
        name: "clusters",
        option: "--cluster ",
        faults: names(cluster::Fault::ALL),
        checkers,
        mutations: &Mutation::CLUSTER,
        seeds_per_mutation: 1_000,
        is_trimmed: true,
        run: |seed, mutation, trim| {
            let report = cluster::run(seed, mutation, trim);
            let Tally { events, frames, frames_delayed, frames_lost, losses, .. } = report.tally;
            let mut exercised = named(&report.exercised);
            exercised.extend(named(&report.exercised_of_logs));
            Shown {
                hash: report.hash,
                faults: named(&report.faults),
                exercised,
                counts: vec![
                    ("events", events),
                    ("frames sent", frames),
                    ("frames delayed", frames_delayed),
                    ("frames lost", frames_lost),
                    ("leaders of partitions", report.elections.0),
                    ("active controllers", report.elections.1),
                    ("files a power loss changed", losses.files),
                    ("names a power loss undid", losses.entries),
                ],
                violations: report.violations,
                journal: report.journal,
            }
        },
    }
}

/// A log alone.
pub fn log() -> Kind {
    Kind {
        name: "logs",
        option: "--log ",
        faults: names(one_log::LogFault::all()),
        checkers: names(one_log::LogChecker::ALL),
        mutations: &Mutation::LOG,
        seeds_per_mutation: 1_000,
        is_trimmed: false,
        run: |seed, mutation, _| {
            let report = one_log::run(seed, mutation);
            Shown {
                hash: report.hash,
                faults: named(&report.faults),
                exercised: named(&report.exercised),
                violations: told(report.violations),
                ..Shown::default()
            }
        },
    }
}

/// The replicas of a quorum.
pub fn quorum() -> Kind {
    Kind {
        name: "quorums",
        option: "--quorum ",
        faults: names(quorum::Fault::all()),
        checkers: names(quorum::Checker::ALL),
        mutations: &Mutation::QUORUM,
        seeds_per_mutation: 1_000,
        is_trimmed: false,
        run: |seed, mutation, _| {
            let report = quorum::run(seed, mutation);
            let counts = report.counts;
            Shown {
                hash: report.hash,
                faults: named(&report.faults),
                exercised: named(&report.exercised),
                counts: vec![
                    ("events", counts.events),
                    ("messages sent", counts.messages),
                    ("messages lost", counts.lost),
                    ("messages repeated", counts.repeated),
                    ("syncs", counts.syncs),
                    ("elections", counts.elections),
                    ("snapshots taken", counts.snapshots),
                    ("snapshots installed", counts.installed),
                    ("voters added", counts.voters_added),
                    ("voters removed", counts.voters_removed),
                    ("files a power loss changed", counts.losses.files),
                    ("names a power loss undid", counts.losses.entries),
                ],
                violations: told(report.violations),
                journal: report.journal,
            }
        },
    }
}

fn names<T: std::fmt::Debug>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    all.into_iter().map(|one| format!("{one:?}")).collect()
}

fn told<T: std::fmt::Debug>(violations: Vec<(T, String)>) -> Vec<(String, String)> {
    violations.into_iter().map(|(checker, sentence)| (format!("{checker:?}"), sentence)).collect()
}
