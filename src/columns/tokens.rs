//! The tokens of a page's records. jiter reads them; what it cannot do is go to another place, take a key that is known
//! beforehand for what it is (most members come in the order of the record before, so their keys need no parsing), and
//! look for the end of a string in a text that was found to be UTF-8 as a whole.

use jiter::{Jiter, JiterError, JiterResult, Peek};

/// Where reading stands in a text.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    /// The same. Absent = it is not all UTF-8; then each string is looked at by itself.
    utf8: Option<&'a str>,
    /// Where the text of `jiter` begins.
    base: usize,
    jiter: Jiter<'a>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Tokens { text, utf8: simdutf8::basic::from_utf8(text).ok(), base: 0, jiter: Jiter::new(text) }
    }

    /// Number of the next byte in the text.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.base + self.jiter.current_index()
    }

    /// The text from `start` to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.text[start..self.at()]
    }

    /// Reads on from here, where a value begins, or the comma or bracket behind one.
    #[inline]
    pub(super) fn go_to(&mut self, at: usize) {
        self.base = at;
        self.jiter = Jiter::new(&self.text[at..]);
    }

    /// Whether the next key of an object is this one, which is a string with its quotes; goes on to its value if so, and
    /// stays otherwise. `mark` is the byte before the key: `{` or `,`.
    #[inline]
    pub(super) fn take_key(&mut self, mark: u8, key: &[u8]) -> bool {
        let start = self.after_blanks(self.at());
        if self.text.get(start) != Some(&mark) {
            return false;
        }
        let start = self.after_blanks(start + 1);
        if !self.text[start..].starts_with(key) {
            return false;
        }
        let colon = self.after_blanks(start + key.len());
        if self.text.get(colon) != Some(&b':') {
            return false;
        }
        self.go_to(colon + 1);
        true
    }

    /// The string that begins here, if its characters stand for themselves; stays where it is otherwise.
    #[inline]
    pub(super) fn take_str(&mut self) -> Option<&'a str> {
        let text = self.utf8?;
        let start = self.at() + 1;
        let rest = text.as_bytes().get(start..)?;
        let length = memchr::memchr2(b'"', b'\\', rest)?;
        // Control characters are no JSON; jiter says so.
        let has_control = rest[..length].iter().fold(false, |found, byte| found | (*byte < b' '));
        if rest[length] != b'"' || has_control {
            return None;
        }
        self.go_to(start + length + 1);
        text.get(start..start + length)
    }

    #[inline]
    fn after_blanks(&self, mut at: usize) -> usize {
        while matches!(self.text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        at.min(self.text.len())
    }

    #[inline]
    pub(super) fn peek(&mut self) -> JiterResult<Peek> {
        self.jiter.peek().map_err(|error| placed(self.base, error))
    }

    pub(super) fn known_null(&mut self) -> JiterResult<()> {
        self.jiter.known_null().map_err(|error| placed(self.base, error))
    }

    pub(super) fn known_bool(&mut self, peek: Peek) -> JiterResult<bool> {
        self.jiter.known_bool(peek).map_err(|error| placed(self.base, error))
    }

    #[inline]
    pub(super) fn known_number_bytes(&mut self, peek: Peek) -> JiterResult<&[u8]> {
        self.jiter.known_number_bytes(peek).map_err(|error| placed(self.base, error))
    }

    #[inline]
    pub(super) fn known_str(&mut self) -> JiterResult<&str> {
        self.jiter.known_str().map_err(|error| placed(self.base, error))
    }

    pub(super) fn known_skip(&mut self, peek: Peek) -> JiterResult<()> {
        self.jiter.known_skip(peek).map_err(|error| placed(self.base, error))
    }

    pub(super) fn next_skip(&mut self) -> JiterResult<()> {
        self.jiter.next_skip().map_err(|error| placed(self.base, error))
    }

    pub(super) fn known_object(&mut self) -> JiterResult<Option<&str>> {
        self.jiter.known_object().map_err(|error| placed(self.base, error))
    }

    pub(super) fn next_key(&mut self) -> JiterResult<Option<&str>> {
        self.jiter.next_key().map_err(|error| placed(self.base, error))
    }

    pub(super) fn known_array(&mut self) -> JiterResult<Option<Peek>> {
        self.jiter.known_array().map_err(|error| placed(self.base, error))
    }

    pub(super) fn array_step(&mut self) -> JiterResult<Option<Peek>> {
        self.jiter.array_step().map_err(|error| placed(self.base, error))
    }

    pub(super) fn finish(&mut self) -> JiterResult<()> {
        self.jiter.finish().map_err(|error| placed(self.base, error))
    }
}

#[cold]
fn placed(base: usize, mut error: JiterError) -> JiterError {
    error.index += base;
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_key_is_taken_and_another_left() {
        let mut tokens = Tokens::new(b"{ \"a\" : 1,\"b\":2 , \"cc\":3}");
        assert!(!tokens.take_key(b',', b"\"a\""));
        assert!(!tokens.take_key(b'{', b"\"b\""));
        assert!(tokens.take_key(b'{', b"\"a\""));
        let peek = tokens.peek().expect("a value");
        assert_eq!(tokens.known_number_bytes(peek).expect("a number"), b"1");
        assert!(!tokens.take_key(b',', b"\"bb\""));
        assert!(tokens.take_key(b',', b"\"b\""));
        let peek = tokens.peek().expect("a value");
        assert_eq!(tokens.known_number_bytes(peek).expect("a number"), b"2");
        assert!(!tokens.take_key(b',', b"\"c\""));
        assert_eq!(tokens.next_key().expect("a key"), Some("cc"));
        let peek = tokens.peek().expect("a value");
        assert_eq!(tokens.known_number_bytes(peek).expect("a number"), b"3");
        assert_eq!(tokens.next_key().expect("the end"), None);
        assert!(!tokens.take_key(b',', b"\"d\""));
        tokens.finish().expect("the end");
    }

    #[test]
    fn plain_strings_are_taken_whole() {
        let check = |text: &[u8], expect: Option<&str>| {
            let mut tokens = Tokens::new(text);
            let at = tokens.at();
            assert_eq!(tokens.take_str(), expect, "{text:?}");
            let end = expect.map_or(at, |expect| expect.len() + 2);
            assert_eq!(tokens.at(), end, "{text:?}");
        };
        check(b"\"\"", Some(""));
        check("\"a\u{e4}\u{1f600}\",".as_bytes(), Some("a\u{e4}\u{1f600}"));
        check(br#""a\"b""#, None);
        check(b"\"a\nb\"", None);
        check(b"\"a", None);
        check(b"\"\xff\"", None);
    }

    #[test]
    fn errors_name_their_place_in_the_whole_text() {
        let mut tokens = Tokens::new(b"{\"a\":1,\"b\":x}");
        assert!(tokens.take_key(b'{', b"\"a\""));
        tokens.next_skip().expect("a value");
        assert!(tokens.take_key(b',', b"\"b\""));
        assert_eq!(tokens.next_skip().expect_err("no value").index, 11);
    }
}
