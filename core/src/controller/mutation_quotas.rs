//! How many partitions clients may have created and deleted (KIP-599): a bucket of tokens for each, of which some come back every second.

use std::collections::BTreeMap;

use ottla_protocol::{ErrorCode, Str};

use super::ApiError;
use crate::broker::quotas::Windows;
use crate::config::BrokerConfig;
use crate::metadata::quotas::{ClientQuotasImage, QuotaKind, QuotaTags};
use crate::time::Instant;

/// Buckets above which those are looked for that are full again.
const BUCKETS_MIN: usize = 256;

/// Who asks for changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The name of the principal.
    pub user: Str,
    /// `client.id`
    pub client_id: Option<Str>,
    /// What would be too much is refused: the version of the request has a place for that.
    pub is_strict: bool,
}

/// What clients have left.
#[derive(Clone, Debug)]
pub struct MutationQuotas {
    windows: Windows,
    buckets: BTreeMap<QuotaTags, Bucket>,
    /// With so many buckets it looks for full ones.
    buckets_max: usize,
}

/// Tokens, below 0 of who has taken more than there were.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// That there can be.
    tokens_max: f64,
    filled: Instant,
    /// That come back in a second.
    rate: f64,
}

/// What one request may do.
#[derive(Debug)]
pub struct MutationQuota<'a> {
    /// `None` without a limit.
    bucket: Option<&'a mut Bucket>,
    is_strict: bool,
    throttle_ms: i64,
}

impl MutationQuotas {
    /// Every bucket is full.
    pub fn new(config: &BrokerConfig) -> Self {
        let (count, size) = (config.controller_quota_window_num, config.controller_quota_window_size_seconds);
        Self { windows: Windows::new(count, size), buckets: BTreeMap::new(), buckets_max: BUCKETS_MIN }
    }

    /// What a request of `asker` may do.
    pub fn of(&mut self, now: Instant, quotas: &ClientQuotasImage, asker: &Asker) -> MutationQuota<'_> {
        let mut bucket = None;
        if quotas.is_limited(QuotaKind::ControllerMutation) {
            let kind = QuotaKind::ControllerMutation;
            let (tags, limit) = quotas.limit(kind, &asker.user, asker.client_id.as_ref());
            bucket = limit.map(|limit| self.bucket(now, tags, limit));
        }
        MutationQuota { bucket, is_strict: asker.is_strict, throttle_ms: 0 }
    }

    fn bucket(&mut self, now: Instant, tags: QuotaTags, rate: f64) -> &mut Bucket {
        if self.buckets.len() >= self.buckets_max {
            self.buckets.retain(|_, bucket| {
                bucket.fill(now);
                bucket.tokens < bucket.tokens_max
            });
            self.buckets_max = self.buckets.len().saturating_mul(2).max(BUCKETS_MIN);
        }
        let tokens_max = rate * (self.windows.span_ms() as f64 / 1_000.0);
        let full = Bucket { tokens: tokens_max, tokens_max, filled: now, rate };
        let bucket = self.buckets.entry(tags).or_insert(full);
        (bucket.rate, bucket.tokens_max) = (rate, tokens_max);
        bucket.fill(now);
        bucket
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let seconds = now.ms_since(self.filled) as f64 / 1_000.0;
        self.tokens = (self.tokens + self.rate * seconds).min(self.tokens_max);
        self.filled = now;
    }
}

impl MutationQuota<'_> {
    /// So many partitions are to be created or deleted. Who has tokens may take more than there are, and waits before the next; who
    /// has none is refused if it can be told so, or waits all the longer.
    pub fn take(&mut self, partitions: usize) -> Result<(), ApiError> {
        let Some(bucket) = &mut self.bucket else { return Ok(()) };
        let must_wait_ms = |bucket: &Bucket| (-bucket.tokens / bucket.rate * 1_000.0 + 0.5).floor() as i64;
        if self.is_strict && bucket.tokens < 0.0 {
            self.throttle_ms = must_wait_ms(bucket);
            return Err(ApiError::bare(ErrorCode::ThrottlingQuotaExceeded));
        }
        bucket.tokens -= partitions as f64;
        if !self.is_strict && bucket.tokens < 0.0 {
            self.throttle_ms = must_wait_ms(bucket);
        }
        Ok(())
    }

    /// How long the client has to wait, ms.
    pub fn throttle_time_ms(&self) -> i32 {
        i32::try_from(self.throttle_ms).unwrap_or(i32::MAX)
    }
}
