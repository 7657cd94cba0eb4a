//! What tools read with: a consumer, once it is known which topics there are for it.

use ottla_protocol::Str;

use super::ToolCx;
use super::pattern::Pattern;
use crate::client::{Consumer, ConsumerConfig, LinkEffect, LinkEvent, Session, Topics};
use crate::time::{Instant, Now};

/// How long to wait for a topic whose name matches before asking again, in ms.
const LOOK_AGAIN_MS: i64 = 1_000;

/// What is read.
#[derive(Clone, Debug)]
pub enum Source {
    Topic(Str),
    Matching(Pattern),
    /// A partition from an offset; −2 is the earliest, −1 the latest.
    Partition(Str, i32, i64),
}

/// A consumer of a source.
#[derive(Clone, Debug)]
pub struct Reader {
    config: ConsumerConfig,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Which topics match is to be found out.
    Looking {
        session: Session,
        pattern: Pattern,
        epoch: u64,
    },
    Consuming(Consumer),
}

impl Reader {
    /// Of a source, with these settings.
    pub fn new(config: ConsumerConfig, source: &Source) -> Self {
        let phase = match source {
            Source::Topic(topic) => {
                Phase::Consuming(Consumer::subscribe(config.clone(), vec![topic.clone()]))
            }
            Source::Partition(topic, partition, from) => {
                let partitions = vec![((topic.clone(), *partition), Some(*from))];
                Phase::Consuming(Consumer::assign(config.clone(), partitions))
            }
            Source::Matching(pattern) => {
                let mut session = Session::new(config.session.clone());
                session.want_topics(Instant(0), Topics::All, false);
                Phase::Looking { session, pattern: pattern.clone(), epoch: 0 }
            }
        };
        Self { config, phase }
    }

    /// Takes what a link says, if it is one that spoke, and does what is due.
    pub fn handle(&mut self, cx: &ToolCx<'_>, event: Option<LinkEvent>) {
        match (event, &mut self.phase) {
            (Some(event), Phase::Looking { session, .. }) => session.handle(cx.now.monotonic, event),
            (Some(event), Phase::Consuming(consumer)) => consumer.handle(cx.now, cx.compressors, event),
            (None, _) => {}
        }
        self.look(cx.now);
    }

    /// Begins to consume once a topic matches.
    fn look(&mut self, now: Now) {
        let Phase::Looking { session, pattern, epoch } = &mut self.phase else { return };
        session.tick(now.monotonic);
        session.take_replies(now.monotonic);
        if session.metadata_epoch() == *epoch {
            return;
        }
        *epoch = session.metadata_epoch();
        let topics = session.cluster().topics.iter();
        let matching: Vec<Str> = topics
            .filter(|(name, topic)| !topic.is_internal && pattern.matches(name))
            .map(|(name, _)| name.clone())
            .collect();
        if matching.is_empty() {
            session.refresh_by(now.monotonic.plus_ms(LOOK_AGAIN_MS));
            return;
        }
        let session = session.clone();
        let consumer = Consumer::subscribe(self.config.clone(), matching).over(session, now.monotonic);
        self.phase = Phase::Consuming(consumer);
    }

    /// The consumer, once there is one.
    pub fn consumer(&mut self) -> Option<&mut Consumer> {
        match &mut self.phase {
            Phase::Looking { .. } => None,
            Phase::Consuming(consumer) => Some(consumer),
        }
    }

    /// What the consumer has to do after it was polled.
    pub fn tick(&mut self, cx: &ToolCx<'_>) {
        if let Phase::Consuming(consumer) = &mut self.phase {
            consumer.tick(cx.now, cx.compressors);
        }
    }

    /// Whether nothing is left to be said after the consumer was closed.
    pub fn is_closed(&self) -> bool {
        match &self.phase {
            Phase::Looking { .. } => true,
            Phase::Consuming(consumer) => consumer.is_closed(),
        }
    }

    fn session(&mut self) -> &mut Session {
        match &mut self.phase {
            Phase::Looking { session, .. } => session,
            Phase::Consuming(consumer) => consumer.session(),
        }
    }

    /// Closes its links.
    pub fn hang_up(&mut self) {
        self.session().network().close();
    }

    /// When it has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Looking { session, .. } => session.deadline(),
            Phase::Consuming(consumer) => consumer.deadline(),
        }
    }

    /// What to do with its links.
    pub fn take_effects(&mut self) -> Vec<LinkEffect> {
        self.session().take_effects()
    }
}
