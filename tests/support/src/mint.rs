//! Where the tests take fresh keys and serial numbers from.

use std::collections::HashMap;
use std::sync::LazyLock;

use aws_lc_rs::digest;
/// Makes everything fresh, as the function does.
pub use docker_tls_certgen::machine::real::SystemMint as FreshMint;
use docker_tls_certgen::pki::authority::{Mint, SERIAL_BYTES};
use docker_tls_certgen::pki::private_key::{KeyAlgorithm, PrivateKey};

/// How many P-256 keys are made ahead.
const POOL_KEYS: usize = 64;

/// P-256 keys that are made once, in a fixed order.
static POOL: LazyLock<Vec<PrivateKey>> = LazyLock::new(|| {
    let make = |_| PrivateKey::generate(KeyAlgorithm::EcdsaP256).expect("a key can be made");
    (0..POOL_KEYS).map(make).collect()
});

/// Which key of the pool has a public key.
static NUMBERS: LazyLock<HashMap<Vec<u8>, usize>> = LazyLock::new(|| {
    let public_keys = POOL.iter().map(|key| key.public_key().to_vec());
    public_keys.zip(0..).collect()
});

/// A key of the pool.
pub fn pool_key(number: usize) -> PrivateKey {
    POOL[number].clone()
}

/// Which key of the pool this public key belongs to.
pub fn pool_number(public_key: &[u8]) -> Option<usize> {
    NUMBERS.get(public_key).copied()
}

/// Hands out given keys of the pool, and serial numbers that a text and their place decide.
pub struct PoolMint {
    numbers: Box<dyn Iterator<Item = usize> + Send>,
    salt: String,
    serials: usize,
}

impl PoolMint {
    /// The keys with these numbers.
    pub fn with_keys(
        numbers: impl IntoIterator<Item = usize, IntoIter: Send + 'static>,
        salt: &str,
    ) -> Self {
        Self {
            numbers: Box::new(numbers.into_iter()),
            salt: salt.to_owned(),
            serials: 0,
        }
    }
}

impl Mint for PoolMint {
    fn key(&mut self, algorithm: KeyAlgorithm) -> Result<PrivateKey, rcgen::Error> {
        let number = self.numbers.next().expect("the pool has keys enough");
        match algorithm {
            KeyAlgorithm::EcdsaP256 => Ok(pool_key(number)),
            algorithm => PrivateKey::generate(algorithm),
        }
    }

    fn serial(&mut self) -> Result<[u8; SERIAL_BYTES], rcgen::Error> {
        self.serials += 1;
        let text = format!("{} {}", self.salt, self.serials);
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        let mut serial = [0; SERIAL_BYTES];
        serial.copy_from_slice(&hash.as_ref()[..SERIAL_BYTES]);
        Ok(serial)
    }
}
