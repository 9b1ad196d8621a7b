//! A hash that is quick rather than safe from those who choose what is hashed: nobody does.

use std::hash::Hasher;

/// Multiplies, as rustc does for its own tables.
#[derive(Default)]
pub struct QuickHasher(u64);

impl QuickHasher {
    /// An odd number of which half the bits are set.
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    /// How far what was hashed is turned before more is.
    const TURN_BITS: u32 = 5;

    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(Self::TURN_BITS) ^ word).wrapping_mul(Self::FACTOR);
    }
}

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.add(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.add(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
