//! Chance that comes out the same every time.

/// xorshift64*: the same seed gives the same numbers. The seed is not 0.
pub struct Random(pub u64);

impl Random {
    /// A number from 0 up to this bound, which is not among them.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}
