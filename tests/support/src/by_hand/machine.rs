//! A machine on which nothing is left to chance: a clock that somebody else moves, keys and nonces that follow from the
//! handler's name.
//!
//! Keys are Ed25519, whatever is asked for: its signatures have no random part, so a handler that is run twice with
//! the same answers does the same twice.

use std::cell::Cell;

use aws_lc_rs::digest;
use docker_tls_certgen::pki::authority::{Mint, SERIAL_BYTES};
use docker_tls_certgen::pki::private_key::{KeyAlgorithm, PrivateKey};
use time::{Duration, OffsetDateTime};

use crate::sets::NOW;

/// When every test begins, in milliseconds since 1970.
pub const EPOCH: i64 = NOW.unix_timestamp() * 1000;
/// The DER of an Ed25519 key (RFC 8410, section 7), but for its 32 bytes.
const ED25519_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A time from milliseconds since 1970.
pub fn time_at(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::milliseconds(milliseconds)
}

/// One handler's chance: everything follows from its name and from how much it has drawn.
#[derive(Debug)]
pub struct Chance {
    name: String,
    drawn: Cell<u64>,
}

impl Chance {
    /// The chance of the handler with that name.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            drawn: Cell::new(0),
        }
    }

    /// A nonce that no other name has.
    pub fn nonce(&self) -> String {
        self.name.clone()
    }

    fn draw(&self) -> [u8; 32] {
        let drawn = self.drawn.replace(self.drawn.get() + 1);
        let text = format!("{} {drawn}", self.name);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        bytes
    }
}

/// The mint of one handler.
pub struct ChanceMint<'a>(pub &'a Chance);

impl Mint for ChanceMint<'_> {
    fn key(&mut self, _: KeyAlgorithm) -> Result<PrivateKey, rcgen::Error> {
        let der = [&ED25519_PREFIX[..], &self.0.draw()].concat();
        Ok(PrivateKey::from_der(&der).expect("any 32 bytes are an Ed25519 key"))
    }

    fn serial(&mut self) -> Result<[u8; SERIAL_BYTES], rcgen::Error> {
        let mut serial = [0; SERIAL_BYTES];
        serial.copy_from_slice(&self.0.draw()[..SERIAL_BYTES]);
        Ok(serial)
    }
}
