//! Strings that are never printed, and the one place that masks them in text that is.

use std::fmt;
use std::sync::{Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// A string that no formatter shows; wiped from memory on drop.
///
/// Its value is remembered, so that [`mask`] can remove it from text that came from outside.
#[derive(Clone)]
pub(crate) struct Secret(SecretString);

impl Secret {
    /// Takes a secret value and remembers it for [`mask`].
    pub(crate) fn new(value: String) -> Self {
        remember(&value);
        Secret(SecretString::from(value))
    }

    /// The value itself; only for the wire and for sealing.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A URL that prints without user, password, query or fragment: all of them may carry credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SafeUrl(Url);

impl SafeUrl {
    pub(crate) fn new(url: Url) -> Self {
        SafeUrl(url)
    }

    /// The whole URL; only for the wire.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin().ascii_serialization(), self.0.path())?;
        if self.0.query().is_some() {
            f.write_str("?…")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shorter values would mask ordinary words of a message.
const MASKED_CHARS_MIN: usize = 6;

/// Values that are masked at once: a daemon buys tokens for years, and each line is searched for all of them. Far more than
/// the secrets of a folder of jobs with the tokens of some hours; each use of a value keeps it.
const MASKED_VALUES_MAX: usize = 2_000;

#[derive(Default)]
struct Remembered {
    /// Every spelling with the number of its value's last use; longest first, so that a value inside another one does not leave the
    /// other's rest behind.
    spellings: Vec<(String, u64)>,
    uses: u64,
}

fn remembered() -> &'static Mutex<Remembered> {
    static VALUES: OnceLock<Mutex<Remembered>> = OnceLock::new();
    VALUES.get_or_init(Mutex::default)
}

fn remember(value: &str) {
    if value.chars().count() < MASKED_CHARS_MIN {
        return;
    }
    let mut remembered = remembered().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    remembered.remember(value, MASKED_VALUES_MAX);
}

impl Remembered {
    fn remember(&mut self, value: &str, values_max: usize) {
        self.uses += 1;
        let url: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let json =
            serde_json::to_string(value).map(|quoted| quoted[1..quoted.len() - 1].to_owned()).unwrap_or_default();
        let mut is_new = false;
        for spelling in [value.to_owned(), url, json, STANDARD.encode(value), URL_SAFE_NO_PAD.encode(value)] {
            match self.spellings.iter_mut().find(|(known, _)| *known == spelling) {
                Some((_, used)) => *used = self.uses,
                None if spelling.len() >= MASKED_CHARS_MIN => {
                    self.spellings.push((spelling, self.uses));
                    is_new = true;
                }
                None => {}
            }
        }
        if !is_new {
            return;
        }
        let mut uses: Vec<u64> = self.spellings.iter().map(|(_, used)| *used).collect();
        uses.sort_unstable();
        uses.dedup();
        if uses.len() > values_max {
            let oldest = uses[uses.len() - values_max];
            self.spellings.retain(|(_, used)| *used >= oldest);
        }
        self.spellings.sort_by_key(|(spelling, _)| std::cmp::Reverse(spelling.len()));
    }
}

/// Text with every secret known to this process replaced by `***`, in raw, URL, JSON and base64 spelling.
pub(crate) fn mask(text: &str) -> String {
    let remembered = remembered().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut masked = text.to_owned();
    for (spelling, _) in &remembered.spellings {
        if masked.contains(spelling.as_str()) {
            masked = masked.replace(spelling.as_str(), "***");
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_masked_in_every_spelling_and_never_printed() {
        let secret = Secret::new("s3cr3t/+\"value".to_owned());
        assert_eq!(format!("{secret:?}"), "***");
        for spelling in
            ["s3cr3t/+\"value", "s3cr3t%2F%2B%22value", "s3cr3t/+\\\"value", &STANDARD.encode("s3cr3t/+\"value")]
        {
            assert_eq!(mask(&format!("before {spelling} after")), "before *** after");
        }
    }

    #[test]
    fn of_very_many_values_those_used_last_stay() {
        let mut remembered = Remembered::default();
        for token in 0..50 {
            remembered.remember("password", 10);
            remembered.remember(&format!("token-{token}"), 10);
        }
        let holds = |value: &str| remembered.spellings.iter().any(|(spelling, _)| spelling == value);
        assert!(holds("password") && holds("token-49") && holds("token-41"));
        assert!(!holds("token-40") && remembered.spellings.len() <= 50);
    }

    #[test]
    fn a_safe_url_shows_neither_user_nor_query() {
        let url = SafeUrl::new("https://u:p@h.example/a/b?sig=x#f".parse().expect("a URL"));
        assert_eq!(url.to_string(), "https://h.example/a/b?…");
    }
}
