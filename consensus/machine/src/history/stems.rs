//! Which subtrees a run of changes may have touched.

const WORDS: usize = 32;
const BITS: u64 = WORDS as u64 * 64;

/// The hash of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed(pub(super) u64);

/// A Bloom filter over changed paths and all their ancestors, so that whoever asks for a subtree passes by the runs in
/// which nothing happened there. For a run of 64 changes and as many parents it errs once in seventy times.
#[derive(Debug, Default)]
pub(super) struct Stems([u64; WORDS]);

impl Stems {
    /// Notes that something happened at this path or below.
    pub(super) fn add(&mut self, path: Hashed) {
        for bit in bits(path) {
            self.0[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    /// Whether something may have happened at this path or below; if not, nothing did.
    pub(super) fn may_hold(&self, path: Hashed) -> bool {
        bits(path).into_iter().all(|bit| self.0[(bit / 64) as usize] & (1 << (bit % 64)) != 0)
    }
}

const fn bits(path: Hashed) -> [u64; 2] {
    [path.0 % BITS, (path.0 >> 32) % BITS]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any mixing will do here.
    fn hashed(number: u64) -> Hashed {
        Hashed(
            (number + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9),
        )
    }

    #[test]
    fn what_was_added_is_held_and_most_else_is_not() {
        let mut stems = Stems::default();
        assert!(!stems.may_hold(hashed(1)));
        for number in 0..128 {
            stems.add(hashed(number));
        }
        assert!((0..128).all(|number| stems.may_hold(hashed(number))));
        let wrong = (128..10_128).filter(|&number| stems.may_hold(hashed(number))).count();
        assert!(wrong < 300, "{wrong} of 10000");
    }
}
