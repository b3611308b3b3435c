//! Randomness comes in as an argument, beside the clock: nothing else here draws any.
//!
//! What nobody may guess, such as the link of an approval, comes from the operating system. A simulation gives a seed
//! instead, and the same seed gives the same bytes.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The operating system gave no random bytes. There is nothing to put in their place: what needed them is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes: {0}")]
pub struct NoRandomness(#[from] getrandom::Error);

/// Where random bytes come from. Clones draw from one source.
#[derive(Debug, Clone)]
pub struct Random(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    /// Blocks of SHA-256 over the seed and the number of the block.
    Seeded {
        seed: u64,
        next_block: Arc<AtomicU64>,
    },
}

impl Random {
    /// The operating system's.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// What follows from `seed` alone, for simulations: whoever knows the seed knows the bytes.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded { seed, next_block: Arc::default() })
    }

    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// [`NoRandomness`]; a seeded source has no errors. `bytes` then holds nothing of use.
    #[allow(clippy::disallowed_methods, reason = "this is where it comes in")]
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        match &self.0 {
            Source::System => Ok(getrandom::fill(bytes)?),
            Source::Seeded { seed, next_block } => {
                for part in bytes.chunks_mut(Sha256::output_size()) {
                    let block = next_block.fetch_add(1, Ordering::Relaxed);
                    let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(block.to_be_bytes());
                    part.iter_mut().zip(digest.finalize()).for_each(|(byte, random)| *byte = random);
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn draw(random: &Random, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        random.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_seed_gives_the_same_bytes_again_and_no_other_seed_does() {
        let history = |seed| {
            let random = Random::seeded(seed);
            let other = random.clone();
            [draw(&random, 32), draw(&other, 5), draw(&random, 80)].concat()
        };
        assert_eq!(history(7), history(7));
        assert_ne!(history(7), history(8));
    }

    #[test]
    fn no_two_draws_are_alike_and_every_bit_is_as_often_set_as_not() {
        for random in [Random::system(), Random::seeded(1)] {
            // Every second one by a clone, as functions that share one source draw.
            let clone = random.clone();
            let draws: BTreeSet<_> =
                (0..1_000).map(|turn| draw(if turn % 2 == 0 { &random } else { &clone }, 40)).collect();
            assert_eq!(draws.len(), 1_000, "{random:?}");
            for bit in 0..40 * 8 {
                let set = draws.iter().filter(|bytes| bytes[bit / 8] >> (bit % 8) & 1 == 1).count();
                // Six standard deviations: once in a million runs.
                assert!((405..=595).contains(&set), "{random:?}: bit {bit} is set in {set} of 1000");
            }
        }
    }
}
