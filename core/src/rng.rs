//! The one named generator: ChaCha with eight rounds, seeded from outside, the same numbers on every target.

use rand::{Rng as _, SeedableRng as _};

/// Seeded randomness. A clone goes on with the same numbers.
#[derive(Debug)]
pub struct Rng(rand::rngs::ChaCha8Rng);

impl Clone for Rng {
    fn clone(&self) -> Self {
        let mut generator = rand::rngs::ChaCha8Rng::from_seed(self.0.get_seed());
        generator.set_word_pos(self.0.get_word_pos());
        Self(generator)
    }
}

impl Rng {
    /// A generator that a seed determines.
    pub fn from_seed(seed: u64) -> Self {
        Self(rand::rngs::ChaCha8Rng::seed_from_u64(seed))
    }

    /// An independent generator, for a part with a life of its own.
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.next_u64())
    }

    /// Any 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift keeps the bias under 2⁻⁶⁴ · bound without a loop.
        u64::try_from((u128::from(self.next_u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// True in `numerator` of `denominator` draws.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// A random (version 4) UUID that is none of Kafka's reserved ones and whose text does not begin with a dash.
    pub fn uuid(&mut self) -> ottla_protocol::Uuid {
        loop {
            let [high, low] = [self.next_u64(), self.next_u64()];
            let mut bytes = [0; 16];
            let bits = (u128::from(high) << 64) | u128::from(low);
            bytes.copy_from_slice(&bits.to_be_bytes());
            let [.., version, _, variant, _, _, _, _, _, _, _] = &mut bytes;
            *version = (*version & 0x0f) | 0x40;
            *variant = (*variant & 0x3f) | 0x80;
            let uuid = ottla_protocol::Uuid(bytes);
            if !uuid.to_string().starts_with('-') {
                return uuid;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn a_clone_goes_on_with_the_same_numbers() {
        let mut one = Rng::from_seed(7);
        for _ in 0..37 {
            one.next_u64();
        }
        let mut other = one.clone();
        assert!((0..100).all(|_| one.next_u64() == other.next_u64()));
    }
}
