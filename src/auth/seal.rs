//! Sealing of tokens at rest: AES-256-GCM, with the record's id, field and generation as associated data, so that a
//! sealed value cannot be moved to another record or put back to an older generation unnoticed.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::error::Error;
use crate::secret::Secret;

const KEY_BYTES: usize = 32;

/// The key that seals the vault.
pub(crate) struct VaultKey {
    key: LessSafeKey,
    random: SystemRandom,
}

/// What a sealed value belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat<'a> {
    pub id: &'a str,
    pub field: &'a str,
    pub generation: u64,
}

impl Seat<'_> {
    fn bytes(&self) -> Vec<u8> {
        format!("haul/1|{}|{}|{}", self.id, self.field, self.generation).into_bytes()
    }
}

impl VaultKey {
    /// A key given by the operator: 32 bytes in base64.
    pub(crate) fn from_text(text: &Secret, place: &str) -> Result<Self, Error> {
        let wrong = || Error::Key {
            place: place.to_owned(),
            why: "32 bytes in base64 are expected, for example from `openssl rand -base64 32`".to_owned(),
        };
        let bytes = STANDARD.decode(text.expose().trim()).map_err(|_| wrong())?;
        Self::from_bytes(&bytes).ok_or_else(wrong)
    }

    /// The key file of the state folder, made on first use and readable by its owner only.
    pub(crate) fn from_folder(folder: &Path) -> Result<Self, Error> {
        let file = folder.join("vault.key");
        let wrong = |why: String| Error::Key { place: format!("`{}`", file.display()), why };
        if !file.exists() {
            create_key_file(&file).map_err(|error| wrong(error.to_string()))?;
        }
        let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        Self::from_text(&Secret::new(text.trim().to_owned()), &format!("`{}`", file.display()))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).ok()?;
        Some(VaultKey { key: LessSafeKey::new(key), random: SystemRandom::new() })
    }

    /// Seals a text for its seat.
    pub(super) fn seal(&self, text: &str, seat: Seat<'_>) -> String {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).expect("the system's random source works");
        let mut sealed = text.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(seat.bytes()), &mut sealed)
            .expect("a token is far below the cipher's limit of 64 GiB");
        STANDARD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a sealed text; `None` = another key, another seat, or damage.
    pub(super) fn open(&self, sealed: &str, seat: Seat<'_>) -> Option<String> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(seat.bytes()), &mut text).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

/// Written beside, synced and linked into place: a second process that is first wins, and no half key is ever read.
fn create_key_file(file: &Path) -> std::io::Result<()> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("no random source"))?;
    let folder = file.parent().expect("a file in a folder");
    // Made with mode 0600 by the library.
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut made, STANDARD.encode(bytes).as_bytes())?;
    made.as_file().sync_all()?;
    match made.persist_noclobber(file) {
        Ok(_) => std::fs::File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_text_opens_only_at_its_seat_and_with_its_key() {
        let key = VaultKey::from_bytes(&[7; KEY_BYTES]).expect("a key");
        let seat = Seat { id: "a", field: "current", generation: 3 };
        let sealed = key.seal("token", seat);
        assert_eq!(key.open(&sealed, seat).as_deref(), Some("token"));
        assert_eq!(key.open(&sealed, Seat { generation: 2, ..seat }), None);
        assert_eq!(key.open(&sealed, Seat { id: "b", ..seat }), None);
        assert_eq!(VaultKey::from_bytes(&[8; KEY_BYTES]).expect("a key").open(&sealed, seat), None);
        assert_ne!(key.seal("token", seat), sealed, "every sealing has its own nonce");
    }
}
