//! Where an object or a list ends, found by its brackets: 64 bytes at a time, without reading what stands inside.
//!
//! Proved on the way: that every bracket is closed by its own kind, that every text is closed and holds no control
//! characters, and that what stands outside of texts begins as a number or a word of JSON does. Everything else of the
//! grammar is proved where records are decoded: proving it here as well cost as much again as the whole pass.

use wide::u8x16;

use crate::limits::JSON_DEPTH_MAX;

/// Levels that are followed. More than the decoder takes, because it can say which record is nested too deep.
const LEVELS_MAX: usize = 2 * JSON_DEPTH_MAX;
const BLOCK_BYTES: usize = 64;

/// What is wrong, and at which byte of those at hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub why: &'static str,
    pub at: usize,
}

/// One object or list on the way to its end; it may come in several hands.
pub(super) struct Nest {
    /// What closes each level that is open.
    closers: [u8; LEVELS_MAX],
    depth: usize,
    /// All bits set = the bytes before ended inside a text.
    text: u64,
    /// 1 = the bytes before ended with a backslash that escapes the next byte.
    escaped: u64,
    /// 1 = the bytes before ended inside a number or word.
    word: u64,
}

/// The bytes of a block by kind, a bit each, the first byte lowest.
#[derive(Default)]
struct Kinds {
    quote: u64,
    backslash: u64,
    bracket: u64,
    control: u64,
    /// Brackets, commas, colons and white space: what may stand beside a number or word.
    apart: u64,
}

impl Nest {
    pub(super) fn new() -> Self {
        Nest { closers: [0; LEVELS_MAX], depth: 0, text: 0, escaped: 0, word: 0 }
    }

    /// Goes on through the bytes at hand, which begin with the bracket that opens, or where the last hand ended.
    /// `None` = the end is not among them; else where it is, and the next object or list may begin.
    pub(super) fn feed(&mut self, hand: &[u8]) -> Result<Option<usize>, Wrong> {
        let (blocks, rest) = hand.as_chunks::<BLOCK_BYTES>();
        for (number, block) in blocks.iter().enumerate() {
            let before = number * BLOCK_BYTES;
            if let Some(end) = self.block(block, BLOCK_BYTES).map_err(|wrong| wrong.behind(before))? {
                return Ok(Some(before + end));
            }
        }
        if rest.is_empty() {
            return Ok(None);
        }
        let before = hand.len() - rest.len();
        let mut block = [b' '; BLOCK_BYTES];
        block[..rest.len()].copy_from_slice(rest);
        let end = self.block(&block, rest.len()).map_err(|wrong| wrong.behind(before))?;
        Ok(end.map(|end| before + end))
    }

    /// Goes through a block, of which so many bytes count; those behind are spaces.
    #[inline]
    fn block(&mut self, block: &[u8; BLOCK_BYTES], count: usize) -> Result<Option<usize>, Wrong> {
        let kinds = Kinds::of(block);
        let quotes = kinds.quote & !self.escape(kinds.backslash, count);
        // From a quote that opens to the byte before the one that closes.
        let text = fill_between(quotes) ^ self.text;
        self.text = if text >> 63 == 1 { u64::MAX } else { 0 };
        let word = !(text | quotes | kinds.apart);
        let starts = word & !(word << 1 | self.word);
        self.word = word >> (count - 1) & 1;

        let end = self.brackets(block, kinds.bracket & !text)?;
        // What stands behind the end belongs to somebody else.
        let ours = end.map_or(u64::MAX, |end| u64::MAX >> (BLOCK_BYTES - end));
        if let Some(at) = first(kinds.control & text & ours) {
            return Err(Wrong { why: "a text holds a control character", at });
        }
        let mut left = starts & ours;
        while let Some(at) = first(left) {
            if !begins_word(block[at]) {
                return Err(Wrong { why: "a value is expected", at });
            }
            left &= left - 1;
        }
        if end.is_some() {
            (self.text, self.escaped, self.word) = (0, 0, 0);
        }
        Ok(end)
    }

    /// The bytes that are escaped by the backslash before them.
    #[inline]
    fn escape(&mut self, backslash: u64, count: usize) -> u64 {
        let mut escaped = self.escaped;
        self.escaped = 0;
        let mut left = backslash & !escaped;
        while let Some(at) = first(left) {
            if at + 1 == count {
                self.escaped = 1;
                break;
            }
            escaped |= 2 << at;
            left &= !(3 << at);
        }
        escaped
    }

    /// Opens and closes levels. Gives the place behind the bracket that closes the last.
    #[inline]
    fn brackets(&mut self, block: &[u8; BLOCK_BYTES], mut left: u64) -> Result<Option<usize>, Wrong> {
        while let Some(at) = first(left) {
            left &= left - 1;
            let byte = block[at];
            if byte == b'{' || byte == b'[' {
                let level = self.closers.get_mut(self.depth);
                // `}` and `]` stand two behind `{` and `[`.
                *level.ok_or(Wrong { why: "it is nested too deep", at })? = byte + 2;
                self.depth += 1;
                continue;
            }
            let level = self.depth.checked_sub(1).filter(|level| self.closers[*level] == byte);
            self.depth = level.ok_or(Wrong { why: "a bracket closes what is not open", at })?;
            if self.depth == 0 {
                return Ok(Some(at + 1));
            }
        }
        Ok(None)
    }
}

impl Wrong {
    fn behind(self, bytes: usize) -> Self {
        Wrong { at: self.at + bytes, ..self }
    }
}

impl Kinds {
    #[inline]
    fn of(block: &[u8; BLOCK_BYTES]) -> Self {
        let mut kinds = Kinds::default();
        for (number, lane) in block.as_chunks::<16>().0.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let is = |byte: u8| lane.simd_eq(u8x16::splat(byte));
            let at_most = |byte: u8| lane.min(u8x16::splat(byte)).simd_eq(lane);
            // `[` and `]` differ from `{` and `}` by one bit.
            let joined = lane | u8x16::splat(0x20);
            let bracket = joined.simd_eq(u8x16::splat(b'{')) | joined.simd_eq(u8x16::splat(b'}'));
            let bits = |lane: u8x16| u64::from(lane.to_bitmask()) << (16 * number);
            kinds.quote |= bits(is(b'"'));
            kinds.backslash |= bits(is(b'\\'));
            kinds.bracket |= bits(bracket);
            kinds.control |= bits(at_most(0x1f));
            kinds.apart |= bits(bracket | is(b',') | is(b':') | at_most(b' '));
        }
        kinds
    }
}

/// The lowest bit that is set.
#[inline]
fn first(bits: u64) -> Option<usize> {
    (bits != 0).then(|| (bits.trailing_zeros() & 63) as usize)
}

/// Sets the bits from each odd bit to the one before the next.
#[inline]
fn fill_between(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// How numbers, `true`, `false` and `null` begin.
#[inline]
pub(super) fn begins_word(byte: u8) -> bool {
    matches!(byte, b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    /// The end, read in hands of so many bytes.
    fn end_of(text: &[u8], hand: usize) -> Result<Option<usize>, &'static str> {
        let mut nest = Nest::new();
        for (number, bytes) in text.chunks(hand).enumerate() {
            if let Some(end) = nest.feed(bytes).map_err(|wrong| wrong.why)? {
                return Ok(Some(number * hand + end));
            }
        }
        Ok(None)
    }

    const HANDS: [usize; 8] = [1, 2, 7, 63, 64, 65, 127, 1 << 20];

    #[track_caller]
    fn check(text: &str, expect: Result<Option<usize>, &'static str>) {
        // At every place of a block.
        for indent in 0..66 {
            let text = format!("[{}{text}", " ".repeat(indent));
            for hand in [HANDS[indent % HANDS.len()], text.len()] {
                let end = expect.map(|end| end.map(|end| end + 1 + indent));
                assert_eq!(end_of(text.as_bytes(), hand), end, "{text} in hands of {hand}");
            }
        }
    }

    #[test]
    fn an_end_is_found_and_what_is_broken_is_refused() {
        check("]", Ok(Some(1)));
        check("] ]}\u{0}NaN\"", Ok(Some(1)));
        check(r#"{"a":[1,-2.5e3,true,false,null]},"x"]"#, Ok(Some(37)));
        check(r#""]}","\"]","\\",{"{":"["}]]"#, Ok(Some(26)));
        check(r#""\\\\\\\"]\\"]"#, Ok(Some(14)));
        check("\"\u{e9}\u{1F600}\u{7f}\"]", Ok(Some(10)));
        check("1,\n\t2\r\n]", Ok(Some(8)));
        check("", Ok(None));
        check("{\"a\":1}", Ok(None));
        check("\"]", Ok(None));
        check("\"\\\"]", Ok(None));
        check("}", Err("a bracket closes what is not open"));
        check("{]", Err("a bracket closes what is not open"));
        check("\"\n\"]", Err("a text holds a control character"));
        check("\"\u{0}\"]", Err("a text holds a control character"));
        for word in ["NaN", "Infinity", "undefined", "None", "'a'", "<br>", "//", "+1", ".5", "\\", "\u{e9}", "True"] {
            check(&format!("{{\"a\":{word}}}]"), Err("a value is expected"));
        }
    }

    #[test]
    fn levels_are_bounded() {
        let nested = |levels: usize| [b"[".repeat(levels), b"]".repeat(levels)].concat();
        for hand in HANDS {
            assert_eq!(end_of(&nested(LEVELS_MAX), hand), Ok(Some(2 * LEVELS_MAX)));
            assert_eq!(end_of(&nested(LEVELS_MAX + 1), hand), Err("it is nested too deep"));
        }
    }

    /// xorshift64*.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
        }

        fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
            of[self.below(of.len())]
        }

        /// Adds a value as servers write it: with white space or without, its texts full of what matters elsewhere.
        fn write(&mut self, out: &mut String, depth: usize) {
            out.push_str(self.one(&["", "", "", " ", "\r\n\t  "]));
            match self.below(if depth > 6 { 4 } else { 8 }) {
                0 => out.push_str(self.one(&["null", "true", "false"])),
                1 => out.push_str(self.one(&["0", "-1", "12.50", "1e5", "-0.1E-7", "123456789012345678901234567890"])),
                2 | 3 => self.write_text(out),
                kind => {
                    let [open, close] = if kind < 6 { ['[', ']'] } else { ['{', '}'] };
                    out.push(open);
                    for at in 0..self.below(5) {
                        out.push_str(if at > 0 { "," } else { "" });
                        if open == '{' {
                            self.write_text(out);
                            out.push_str(self.one(&[":", ": ", " :"]));
                        }
                        self.write(out, depth + 1);
                    }
                    out.push(close);
                }
            }
            out.push_str(self.one(&["", "", "", " "]));
        }

        fn write_text(&mut self, out: &mut String) {
            out.push('"');
            for _ in 0..self.below(9) {
                out.push_str(self.one(&[
                    "a",
                    "]}",
                    "{[",
                    "\\\"",
                    "\\\\",
                    "\\u00e9",
                    "\\n",
                    ",:",
                    "\u{e9}",
                    "long words ",
                ]));
            }
            out.push('"');
        }
    }

    /// Every list of valid JSON ends where it ends; every start of it has no end; and where a byte was changed, what is
    /// still JSON is still read as such.
    #[test]
    fn random_lists_end_where_serde_json_says() {
        let mut random = Random(0x5EED);
        let (mut valid, mut refused) = (0, 0);
        for _ in 0..1_500 {
            let mut text = "[".to_owned();
            for at in 0..random.below(4) {
                text.push_str(if at > 0 { "," } else { "" });
                random.write(&mut text, 0);
            }
            text.push(']');
            let hand = HANDS[random.below(HANDS.len())];
            serde_json::from_str::<IgnoredAny>(&text).expect("JSON");
            assert_eq!(end_of(text.as_bytes(), hand), Ok(Some(text.len())), "{text}");
            let cut = random.below(text.len());
            assert_eq!(end_of(&text.as_bytes()[..cut], hand), Ok(None), "{text} cut at {cut}");
            for _ in 0..8 {
                let mut changed = text.clone().into_bytes();
                let at = 1 + random.below(text.len() - 1);
                changed[at] = b"{}[]\",:\\0 an\n\x00"[random.below(14)];
                let end = end_of(&changed, hand);
                match serde_json::from_slice::<IgnoredAny>(&changed) {
                    Ok(_) => {
                        valid += 1;
                        assert_eq!(end, Ok(Some(changed.len())), "{}", String::from_utf8_lossy(&changed));
                    }
                    Err(_) => refused += u32::from(end != Ok(Some(changed.len()))),
                }
            }
        }
        // The loop saw enough of both kinds to mean something.
        assert!(valid > 1_000 && refused > 2_000, "{valid} valid, {refused} refused");
    }
}
