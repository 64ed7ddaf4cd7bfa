//! What the API remembers from one process to the next, as `api.json`.
//!
//! Format, version 1: `{"version":1,"port":N,"families_made":N,"families":[{"id":N,"current":F,"used":[F…]}]}`, where
//! `F` is the SHA-256 of a refresh token in base64url without padding. No token stands in it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::Error;

/// Version of the format above.
const VERSION: u32 = 1;
/// Logins remembered; a demo folder sees a handful, and each costs about 100 bytes of `api.json`.
const FAMILIES_MAX: usize = 100;
/// Used refresh tokens remembered for one login: at ten minutes each these cover a week without a pause.
const USED_MAX: usize = 1_000;

/// SHA-256 of a token or code, in base64url.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Fingerprint(String);

impl Fingerprint {
    /// Of this token or code.
    pub(super) fn of(token: &str) -> Self {
        Fingerprint(URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())))
    }

    /// The base64url text, which is also what PKCE's S256 compares.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The refresh tokens that grew from one login. Dropped when it is revoked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    id: u64,
    /// The one token that is good.
    current: Fingerprint,
    /// Its predecessors, oldest first.
    used: Vec<Fingerprint>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    /// Absent = no process has listened yet.
    port: Option<u16>,
    /// Families ever made; the last one's id.
    families_made: u64,
    families: Vec<Family>,
}

/// What a refresh token is to this API.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Unknown,
    /// The good one of this family.
    Current(u64),
    /// A predecessor of this family's good one.
    Used(u64),
}

/// The remembered facts and the file that keeps them.
///
/// - Every change is on disk, synced, before the method returns; a change that cannot be written did not happen.
pub(super) struct Memory {
    folder: PathBuf,
    contents: Contents,
}

impl Memory {
    /// Reads `api.json` of this folder; a missing file is an API that remembers nothing.
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("api.json");
        let contents = match std::fs::read(&path) {
            Ok(bytes) => parse(&path, &bytes)?,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                Contents { version: VERSION, port: None, families_made: 0, families: Vec::new() }
            }
            Err(source) => return Err(Error::ReadMemory { path, source }),
        };
        Ok(Memory { folder: folder.to_owned(), contents })
    }

    /// The last port; absent when no process has listened yet.
    pub(super) fn port(&self) -> Option<u16> {
        self.contents.port
    }

    pub(super) fn set_port(&mut self, port: u16) -> Result<(), Error> {
        self.change(|contents| contents.port = Some(port))
    }

    pub(super) fn standing(&self, refresh_token: &Fingerprint) -> Standing {
        for family in &self.contents.families {
            if family.current == *refresh_token {
                return Standing::Current(family.id);
            }
            if family.used.contains(refresh_token) {
                return Standing::Used(family.id);
            }
        }
        Standing::Unknown
    }

    /// Starts a family with its first refresh token; returns its id. Beyond the limit the oldest login is forgotten,
    /// which its client sees as a revocation.
    pub(super) fn add_family(&mut self, first: Fingerprint) -> Result<u64, Error> {
        let id = self.contents.families_made + 1;
        self.change(|contents| {
            contents.families_made = id;
            contents.families.push(Family { id, current: first, used: Vec::new() });
            let excess = contents.families.len().saturating_sub(FAMILIES_MAX);
            contents.families.drain(..excess);
        })?;
        Ok(id)
    }

    /// Makes `next` the family's good token and its predecessor a used one.
    pub(super) fn rotate(&mut self, id: u64, next: Fingerprint) -> Result<(), Error> {
        self.change(|contents| {
            let family = contents.families.iter_mut().find(|family| family.id == id);
            let family = family.expect("the caller found this family under the same lock");
            let used = std::mem::replace(&mut family.current, next);
            family.used.push(used);
            // A forgotten token is refused all the same; it only no longer costs its family.
            let excess = family.used.len().saturating_sub(USED_MAX);
            family.used.drain(..excess);
        })
    }

    /// Forgets a family: all its tokens are unknown from now on.
    pub(super) fn drop_family(&mut self, id: u64) -> Result<(), Error> {
        self.change(|contents| contents.families.retain(|family| family.id != id))
    }

    fn change(&mut self, edit: impl FnOnce(&mut Contents)) -> Result<(), Error> {
        let mut contents = self.contents.clone();
        edit(&mut contents);
        let path = self.folder.join("api.json");
        write_whole(&self.folder, &path, &contents).map_err(|source| Error::WriteMemory { path, source })?;
        self.contents = contents;
        Ok(())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Contents, Error> {
    /// Only the version, so that a later format is named as such rather than as damage.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let wrong = |source| Error::ParseMemory { path: path.to_owned(), source };
    let Versioned { version } = serde_json::from_slice(bytes).map_err(wrong)?;
    if version != VERSION {
        return Err(Error::MemoryVersion { path: path.to_owned(), version, known: VERSION });
    }
    serde_json::from_slice(bytes).map_err(wrong)
}

/// The old file or the new one, also after a power cut. The temporary name is fixed, because the folder's lock leaves
/// one writer and a killed one must not leave litter.
fn write_whole(folder: &Path, path: &Path, contents: &Contents) -> io::Result<()> {
    let text = serde_json::to_vec(contents)?;
    let temporary = folder.join("api.json.tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&text)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    // Elsewhere a folder cannot be opened as a file; the rename is then as durable as the system makes it.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}
