//! What the vault keeps on this machine's own disk, besides the record store: answers that are not stored yet (`spill/`),
//! the newest generation seen of each credential (`seen/`), and a name for this very folder (`place`).
//!
//! Files are written whole under a name of their own; those with tokens are sealed and readable by their owner only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::protocol::{Child, Fingerprint};
use super::record::{Tokens, open_child, seal_child};
use super::seal::{Seat, VaultKey};

/// Room that is taken before a token is spent, so that a disk which fills up meanwhile still takes the answer. An answer
/// is two tokens in base64; the longest known, with a large JWT each, come to 20 KiB.
const SPILL_ROOM_BYTES: usize = 64 * 1024;

/// The vault's part of the local folder.
pub(super) struct Disk {
    folder: PathBuf,
    place: String,
}

/// The name of a folder, with what tells a copy of it from the original.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    id: String,
    inode: u64,
    /// When the file was created, in nanoseconds since 1970; no copying tool can set it. Zero = the file system does not say.
    created: u128,
}

impl Disk {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let wrong = |source| Error::Disk { folder: folder.to_path_buf(), source };
        for name in ["spill", "seen"] {
            match DirBuilder::new().recursive(true).mode(0o700).create(folder.join(name)) {
                Ok(()) => {}
                Err(error) => return Err(wrong(error)),
            }
        }
        let place = place_of(folder).map_err(wrong)?;
        Ok(Disk { folder: folder.to_path_buf(), place })
    }

    /// The name of this folder; a copy has another one.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    fn wrong(&self, source: io::Error) -> Error {
        Error::Disk { folder: self.folder.clone(), source }
    }

    /// One file for every announcement: room first, then the answer.
    fn spill_file(&self, id: &str, epoch: u64) -> PathBuf {
        self.folder.join("spill").join(format!("{id}.{epoch}.{}.spill", std::process::id()))
    }

    /// Takes room for an answer. Nothing may be spent without it.
    pub(super) fn reserve(&self, id: &str, epoch: u64) -> Result<(), Error> {
        let reserve = || {
            let mut file = private().create(true).truncate(true).open(self.spill_file(id, epoch))?;
            file.write_all(&[0; SPILL_ROOM_BYTES])?;
            file.sync_all()?;
            File::open(self.folder.join("spill"))?.sync_all()
        };
        reserve().map_err(|error| self.wrong(error))
    }

    /// Writes an answer so that it survives the end of the process and of the power.
    pub(super) fn spill(&self, id: &str, child: &Child<Tokens>, key: &VaultKey) -> Result<(), Error> {
        let Some(name) = child.fingerprint() else { return Ok(()) };
        let sealed = seal_child(key, child, Seat { id, field: "spill", generation: child.epoch });
        let spill = || {
            // In place: what is written over takes no new room.
            let mut file = private().create(true).truncate(false).open(self.spill_file(id, child.epoch))?;
            file.write_all(format!("{} {name} {sealed}\n", checksum(&sealed)).as_bytes())?;
            file.sync_all()?;
            File::open(self.folder.join("spill"))?.sync_all()
        };
        spill().map_err(|error| self.wrong(error))
    }

    /// Gives back the room of an announcement, unless an answer is in it.
    pub(super) fn give_back(&self, id: &str, epoch: u64) {
        let file = self.spill_file(id, epoch);
        if matches!(line_of(&file), Ok(None)) {
            // A file that stays is found to be empty by the next start, and removed then.
            let _ = std::fs::remove_file(file);
        }
    }

    /// Removes a spilled answer that is in the record.
    pub(super) fn forget(&self, id: &str, name: Fingerprint) {
        let name = name.to_string();
        for file in self.files(id).unwrap_or_default() {
            if line_of(&file).is_ok_and(|line| line.is_some_and(|line| line.name == name)) {
                let _ = std::fs::remove_file(file);
            }
        }
    }

    /// Removes everything that was spilled for a credential.
    pub(super) fn forget_all(&self, id: &str) {
        for file in self.files(id).unwrap_or_default() {
            let _ = std::fs::remove_file(file);
        }
    }

    /// The spilled answers of a credential, in the order of their purchase. A file that was cut off while it was written
    /// holds no answer, and is removed when its process is gone.
    pub(super) fn spilled(&self, id: &str, key: &VaultKey) -> Result<Vec<Child<Tokens>>, Error> {
        let mut found = Vec::new();
        for file in self.files(id).map_err(|error| self.wrong(error))? {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut parts = name.rsplit('.').skip(1);
            let (process, epoch) = (parts.next(), parts.next().and_then(|epoch| epoch.parse::<u64>().ok()));
            let (Some(process), Some(epoch)) = (process, epoch) else { continue };
            match line_of(&file) {
                Ok(Some(line)) => {
                    let seat = Seat { id, field: "spill", generation: epoch };
                    let sealed = || Error::SpillSealed { file: file.display().to_string() };
                    found.push(open_child(key, &line.sealed, seat).ok_or_else(sealed)?);
                }
                Ok(None) if is_gone(process) => {
                    let _ = std::fs::remove_file(&file);
                }
                Ok(None) => {}
                // Another process imported it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.wrong(error)),
            }
        }
        found.sort_by_key(|child| child.epoch);
        Ok(found)
    }

    /// Whether an answer of any credential is spilled.
    pub(super) fn has_spilled(&self) -> Result<bool, Error> {
        let entries = std::fs::read_dir(self.folder.join("spill")).map_err(|error| self.wrong(error))?;
        Ok(entries.flatten().any(|entry| matches!(line_of(&entry.path()), Ok(Some(_)))))
    }

    fn files(&self, id: &str) -> io::Result<Vec<PathBuf>> {
        let start = format!("{id}.");
        let entries = std::fs::read_dir(self.folder.join("spill"))?.flatten();
        Ok(entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&start))
            .map(|entry| entry.path())
            .collect())
    }

    /// The newest generation of a credential that this machine has seen. Zero = none.
    pub(super) fn seen(&self, id: &str) -> u64 {
        let text = std::fs::read_to_string(self.folder.join("seen").join(id)).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Remembers a generation. Not synced: a mark that is lost only warns less.
    pub(super) fn remember(&self, id: &str, generation: u64) {
        let write = || -> io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(self.folder.join("seen"))?;
            writeln!(file, "{generation}")?;
            file.persist(self.folder.join("seen").join(id))?;
            Ok(())
        };
        let _ = write();
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// What a spill file holds once it is whole.
struct Line {
    name: String,
    sealed: String,
}

fn checksum(sealed: &str) -> String {
    Fingerprint::of(sealed).to_string()
}

/// `None` = only room, or cut off.
fn line_of(file: &Path) -> io::Result<Option<Line>> {
    let bytes = std::fs::read(file)?;
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let Ok(text) = std::str::from_utf8(&bytes[..end]) else { return Ok(None) };
    let mut words = text.split(' ');
    Ok(match (words.next(), words.next(), words.next()) {
        (Some(sum), Some(name), Some(sealed)) if sum == checksum(sealed) => {
            Some(Line { name: name.to_owned(), sealed: sealed.to_owned() })
        }
        _ => None,
    })
}

fn is_gone(process: &str) -> bool {
    !Path::new("/proc").join(process).exists()
}

/// The folder's name; given anew when the folder is a copy of the one that was named.
fn place_of(folder: &Path) -> io::Result<String> {
    // One process at a time, so that all agree on a new name.
    let lock = private().create(true).truncate(false).open(folder.join("place.lock"))?;
    lock.lock()?;
    let file = folder.join("place");
    if let Ok(text) = std::fs::read_to_string(&file)
        && let Ok(place) = serde_json::from_str::<Place>(&text)
    {
        let (inode, created) = identity(&File::open(&file)?)?;
        if (place.inode, place.created) == (inode, created) {
            return Ok(place.id);
        }
    }
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    let (inode, created) = identity(made.as_file())?;
    let place = Place { id: ulid::Ulid::generate().to_string(), inode, created };
    made.write_all(serde_json::to_string(&place).expect("numbers and texts").as_bytes())?;
    made.as_file().sync_all()?;
    made.persist(&file).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()?;
    Ok(place.id)
}

fn identity(file: &File) -> io::Result<(u64, u128)> {
    let metadata = file.metadata()?;
    let created = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Ok((metadata.ino(), created.map_or(0, |since| since.as_nanos())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn child(refresh: &str, epoch: u64) -> Child<Tokens> {
        let tokens = Tokens {
            access: Secret::new("access-token".to_owned()),
            refresh: Some(Secret::new(refresh.to_owned())),
            expires_at: None,
            lifetime_secs: Some(600),
        };
        Child { tokens, parent: Some(Fingerprint([7; 16])), epoch }
    }

    #[test]
    fn a_spilled_answer_is_found_until_it_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = VaultKey::from_folder(folder.path()).expect("a key");
        let disk = Disk::open(folder.path()).expect("a disk");
        disk.reserve("a", 12).expect("room");
        assert!(disk.spilled("a", &key).expect("readable").is_empty(), "room is no answer");
        disk.spill("a", &child("second-token", 12), &key).expect("spilled");
        disk.spill("a", &child("first-token", 9), &key).expect("spilled without room as well");
        let found = disk.spilled("a", &key).expect("readable");
        assert_eq!(found.iter().map(|child| child.epoch).collect::<Vec<_>>(), [9, 12]);
        assert_eq!(found[1].parent, Some(Fingerprint([7; 16])));
        assert!(disk.spilled("b", &key).expect("readable").is_empty());
        disk.forget("a", found[0].fingerprint().expect("a refresh token"));
        assert_eq!(disk.spilled("a", &key).expect("readable").len(), 1);
        disk.spill("a", &child("first-token", 9), &key).expect("spilled");
        let file = disk.spill_file("a", 9);
        let whole = std::fs::read(&file).expect("a file");
        std::fs::write(&file, &whole[..whole.len() / 2]).expect("cut off");
        assert!(disk.spilled("a", &key).expect("readable").iter().all(|child| child.epoch != 9), "cut off = none");
        std::fs::write(&file, &whole).expect("whole");
        assert!(
            disk.spilled("a", &VaultKey::from_text(&Secret::new("A".repeat(43) + "="), "x").expect("a key")).is_err()
        );
        disk.forget_all("a");
        assert!(!disk.has_spilled().expect("readable"));
    }

    #[test]
    fn a_copy_of_a_folder_is_another_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let original = folder.path().join("original");
        std::fs::create_dir(&original).expect("a folder");
        let place = Disk::open(&original).expect("a disk").place().to_owned();
        assert_eq!(Disk::open(&original).expect("a disk").place(), place, "the same folder keeps its name");
        let moved = folder.path().join("moved");
        std::fs::rename(&original, &moved).expect("moved");
        assert_eq!(Disk::open(&moved).expect("a disk").place(), place, "a moved folder is no copy");
        let copy = folder.path().join("copy");
        std::fs::create_dir(&copy).expect("a folder");
        std::fs::copy(moved.join("place"), copy.join("place")).expect("copied");
        assert_ne!(Disk::open(&copy).expect("a disk").place(), place);
    }

    #[test]
    fn the_newest_generation_is_remembered() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Disk::open(folder.path()).expect("a disk");
        assert_eq!(disk.seen("a"), 0);
        disk.remember("a", 41);
        assert_eq!(Disk::open(folder.path()).expect("a disk").seen("a"), 41);
    }
}
