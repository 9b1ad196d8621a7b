//! How many calls an account may make: AWS counts them in token buckets.

use std::time::Instant;

use crate::lambda::clock;

/// Buckets, each for the actions that begin with a word.
pub struct Limits(Vec<(&'static str, Bucket)>);

/// Calls that may be made at once. It fills up at its rate, and holds one second's worth.
struct Bucket {
    rate: f64,
    calls: f64,
    filled_at: Instant,
}

impl Limits {
    /// Full buckets, from the first word of the actions and the calls a second.
    pub fn new(rates: &[(&'static str, f64)]) -> Self {
        let filled_at = clock::instant();
        let buckets = rates.iter().map(|(actions, rate)| {
            let bucket = Bucket {
                rate: *rate,
                calls: *rate,
                filled_at,
            };
            (*actions, bucket)
        });
        Self(buckets.collect())
    }

    /// Whether a call of this action passes, which then is counted; any does for which there is no bucket.
    pub fn take(&mut self, action: &str) -> bool {
        let mut buckets = self.0.iter_mut();
        buckets
            .find(|(actions, _)| action.starts_with(actions))
            .is_none_or(|(_, bucket)| bucket.take())
    }
}

impl Bucket {
    fn take(&mut self) -> bool {
        let now = clock::instant();
        let filled = self.calls + self.rate * (now - self.filled_at).as_secs_f64();
        self.calls = filled.min(self.rate);
        self.filled_at = now;
        let has_one = self.calls >= 1.0;
        if has_one {
            self.calls -= 1.0;
        }
        has_one
    }
}
