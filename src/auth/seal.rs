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
const KEY_FILE: &str = "vault.key";

/// The keys of the vault: the first one seals, every one opens. There is more than one while keys are rotated.
pub(crate) struct VaultKey {
    keys: Vec<LessSafeKey>,
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
    /// Keys given by the operator: 32 bytes in base64 each, separated by white space, the newest first.
    pub(crate) fn from_text(text: &Secret, place: &str) -> Result<Self, Error> {
        let wrong = || Error::Key {
            place: place.to_owned(),
            why: "32 bytes in base64 are expected, for example from `openssl rand -base64 32`".to_owned(),
        };
        let read = |text: &str| {
            let bytes = STANDARD.decode(text).ok()?;
            Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).ok()?))
        };
        let keys: Option<Vec<LessSafeKey>> = text.expose().split_whitespace().map(read).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(VaultKey { keys, random: SystemRandom::new() }),
            _ => Err(wrong()),
        }
    }

    /// The key file of the local folder, made on first use and readable by its owner only.
    pub(crate) fn from_folder(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(KEY_FILE);
        if !file.exists() {
            let key = random_key().map_err(|error| wrong(folder, &error))?;
            write_key_file(folder, &[key.expose()], Existing::Stays).map_err(|error| wrong(folder, &error))?;
        }
        refuse_open_to_others(&file)?;
        Self::from_text(&key_file(folder)?, &format!("`{}`", file.display()))
    }

    /// How many keys there are; more than one means that a rotation is under way.
    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// Whether the newest key opens it.
    pub(super) fn is_sealed_by_newest(&self, sealed: &str, seat: Seat<'_>) -> bool {
        open(&self.keys[0], sealed, seat).is_some()
    }

    /// Seals a text for its seat.
    pub(super) fn seal(&self, text: &str, seat: Seat<'_>) -> String {
        self.seal_for(text.as_bytes(), seat)
    }

    /// Seals what stands under a name of the record store and is no token.
    pub(crate) fn seal_bytes(&self, bytes: &[u8], name: &str) -> String {
        self.seal_for(bytes, Seat { id: name, field: "bytes", generation: 0 })
    }

    /// Opens what `seal_bytes` sealed; `None` = another key, another name, or damage.
    pub(crate) fn open_bytes(&self, sealed: &str, name: &str) -> Option<Vec<u8>> {
        let seat = Seat { id: name, field: "bytes", generation: 0 };
        self.keys.iter().find_map(|key| open(key, sealed, seat))
    }

    fn seal_for(&self, bytes: &[u8], seat: Seat<'_>) -> String {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).expect("the system's random source works");
        let mut sealed = bytes.to_vec();
        self.keys[0]
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(seat.bytes()), &mut sealed)
            .expect("a token is far below the cipher's limit of 64 GiB");
        STANDARD.encode([nonce.as_slice(), &sealed].concat())
    }

    /// Opens a sealed text; `None` = another key, another seat, or damage.
    pub(super) fn open(&self, sealed: &str, seat: Seat<'_>) -> Option<String> {
        self.keys.iter().find_map(|key| String::from_utf8(open(key, sealed, seat)?).ok())
    }
}

/// Puts a new key before those of the key file, unless a former rotation that was cut off did so already.
pub(crate) fn add_key(folder: &Path) -> Result<(), Error> {
    let keys = key_file(folder)?;
    let former: Vec<&str> = keys.expose().split_whitespace().collect();
    if former.len() > 1 {
        return Ok(());
    }
    let new = random_key().map_err(|error| wrong(folder, &error))?;
    let all: Vec<&str> = std::iter::once(new.expose()).chain(former).collect();
    write_key_file(folder, &all, Existing::Replaced).map_err(|error| wrong(folder, &error))
}

/// Leaves only the newest key in the key file. Nothing may be sealed with the others any more.
pub(crate) fn drop_former_keys(folder: &Path) -> Result<(), Error> {
    let keys = key_file(folder)?;
    let newest: Vec<&str> = keys.expose().split_whitespace().take(1).collect();
    write_key_file(folder, &newest, Existing::Replaced).map_err(|error| wrong(folder, &error))
}

/// A key that others could read is a key that others have.
fn refuse_open_to_others(file: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = std::fs::metadata(file)
        .map_err(|error| Error::Key { place: format!("`{}`", file.display()), why: error.to_string() })?;
    match metadata.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(Error::KeyOpen { file: file.display().to_string() }),
    }
}

fn open(key: &LessSafeKey, sealed: &str, seat: Seat<'_>) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(sealed).ok()?;
    let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
    let mut text = text.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    key.open_in_place(nonce, Aad::from(seat.bytes()), &mut text).ok().map(|opened| opened.to_vec())
}

fn wrong(folder: &Path, error: &std::io::Error) -> Error {
    Error::Key { place: format!("`{}`", folder.join(KEY_FILE).display()), why: error.to_string() }
}

fn key_file(folder: &Path) -> Result<Secret, Error> {
    let text = std::fs::read_to_string(folder.join(KEY_FILE)).map_err(|error| wrong(folder, &error))?;
    Ok(Secret::new(text.trim().to_owned()))
}

fn random_key() -> std::io::Result<Secret> {
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("no random source"))?;
    Ok(Secret::new(STANDARD.encode(bytes)))
}

enum Existing {
    Stays,
    Replaced,
}

/// Written beside, synced and put into place: a second process that is first wins, and no half key is ever read.
fn write_key_file(folder: &Path, keys: &[&str], existing: Existing) -> std::io::Result<()> {
    // Made with mode 0600 by the library.
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut made, keys.join("\n").as_bytes())?;
    made.as_file().sync_all()?;
    let file = folder.join(KEY_FILE);
    let placed = match existing {
        Existing::Stays => made.persist_noclobber(file),
        Existing::Replaced => made.persist(file),
    };
    match placed {
        Ok(_) => std::fs::File::open(folder)?.sync_all(),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bytes: &[u8]) -> VaultKey {
        let text = bytes.iter().map(|byte| STANDARD.encode([*byte; KEY_BYTES])).collect::<Vec<_>>().join(" ");
        VaultKey::from_text(&Secret::new(text), "here").expect("keys")
    }

    #[test]
    fn a_sealed_text_opens_only_at_its_seat_and_with_its_key() {
        let seven = key(&[7]);
        let seat = Seat { id: "a", field: "current", generation: 3 };
        let sealed = seven.seal("token", seat);
        assert_eq!(seven.open(&sealed, seat).as_deref(), Some("token"));
        assert_eq!(seven.open(&sealed, Seat { generation: 2, ..seat }), None);
        assert_eq!(seven.open(&sealed, Seat { id: "b", ..seat }), None);
        assert_eq!(key(&[8]).open(&sealed, seat), None);
        assert_ne!(seven.seal("token", seat), sealed, "every sealing has its own nonce");
    }

    #[test]
    fn the_newest_key_seals_and_every_key_opens() {
        let seat = Seat { id: "a", field: "current", generation: 3 };
        let sealed = key(&[7]).seal("token", seat);
        let both = key(&[8, 7]);
        assert_eq!(both.open(&sealed, seat).as_deref(), Some("token"));
        assert!(!both.is_sealed_by_newest(&sealed, seat));
        assert!(key(&[8]).open(&both.seal("token", seat), seat).is_some());
    }

    #[test]
    fn a_rotation_of_the_key_file_can_be_cut_off_anywhere() {
        let folder = tempfile::tempdir().expect("a folder");
        let seat = Seat { id: "a", field: "current", generation: 3 };
        let sealed = VaultKey::from_folder(folder.path()).expect("a key").seal("token", seat);
        for _ in 0..2 {
            add_key(folder.path()).expect("a new key");
            let keys = VaultKey::from_folder(folder.path()).expect("keys");
            assert_eq!(keys.count(), 2);
            assert!(keys.open(&sealed, seat).is_some());
        }
        drop_former_keys(folder.path()).expect("dropped");
        drop_former_keys(folder.path()).expect("dropped again");
        let newest = VaultKey::from_folder(folder.path()).expect("a key");
        assert_eq!((newest.count(), newest.open(&sealed, seat)), (1, None));
    }
}
