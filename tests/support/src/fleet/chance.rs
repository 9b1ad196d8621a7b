//! What nobody can guess.

use std::hash::{BuildHasher, RandomState};

/// Hexadecimal digits, sixteen a time.
pub(super) fn random_digits(times: usize) -> String {
    let sixteen = |_| format!("{:016x}", RandomState::new().hash_one("digits"));
    (0..times).map(sixteen).collect()
}

/// An id as commands have it.
pub(super) fn random_uuid() -> String {
    let digits = random_digits(2);
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| &digits[part]).join("-")
}
