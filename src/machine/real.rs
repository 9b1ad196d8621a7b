//! The real machine: the system's clock and the system's randomness.

use std::cell::Cell;
use std::fmt::Write as _;

use aws_lc_rs::rand;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;

use crate::machine::Machine;
use crate::pki::authority::{Mint, SERIAL_BYTES};
use crate::pki::private_key::{KeyAlgorithm, PrivateKey};

/// Random bytes of a nonce.
const NONCE_BYTES: usize = 16;

/// The time by the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the wall clock is read"
)]
pub fn system_time() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A number from 0 to 1 that nobody can foretell.
pub fn jitter() -> f64 {
    f64::from(random::<1>()[0]) / f64::from(u8::MAX)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system's random generator works");
    bytes
}

/// The clock and the randomness of the machine, for one event.
#[derive(Clone, Debug)]
pub struct RealMachine {
    began: Instant,
    began_at: OffsetDateTime,
    deadline: Instant,
    has_paused: Cell<bool>,
}

impl RealMachine {
    /// A machine whose clock shows `now`, and in which there is time until `deadline`.
    pub fn new(now: OffsetDateTime, deadline: Instant) -> Self {
        Self {
            began: Instant::now(),
            began_at: now,
            deadline,
            has_paused: Cell::new(false),
        }
    }

    /// Whether time was spent on waiting.
    pub fn has_paused(&self) -> bool {
        self.has_paused.get()
    }
}

impl Machine for RealMachine {
    fn now(&self) -> OffsetDateTime {
        self.began_at + self.began.elapsed()
    }

    fn time_left(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        Duration::try_from(left).unwrap_or(Duration::MAX)
    }

    async fn pause(&self, duration: Duration) {
        self.has_paused.set(true);
        tokio::time::sleep(duration.unsigned_abs()).await;
    }

    fn jitter(&self) -> f64 {
        jitter()
    }

    fn nonce(&self) -> String {
        let mut nonce = String::with_capacity(2 * NONCE_BYTES);
        for byte in random::<NONCE_BYTES>() {
            write!(nonce, "{byte:02x}").expect("writing to a String cannot fail");
        }
        nonce
    }

    fn mint(&self) -> impl Mint {
        SystemMint
    }
}

/// Keys and serial numbers from the system's randomness.
#[derive(Clone, Copy, Debug)]
pub struct SystemMint;

impl Mint for SystemMint {
    fn key(&mut self, algorithm: KeyAlgorithm) -> Result<PrivateKey, rcgen::Error> {
        PrivateKey::generate(algorithm)
    }

    fn serial(&mut self) -> Result<[u8; SERIAL_BYTES], rcgen::Error> {
        Ok(random())
    }
}
