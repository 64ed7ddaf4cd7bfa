//! Links with which the daemon lets others read a job's files: what is signed, and the bytes. A link opens one job's folder in one
//! destination; until when, its record says. It does not know HTTP.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use ring::hmac;
use ring::rand::SystemRandom;

use super::error::Error;
use super::layout;
use super::open::{Backend, Store, below};
use super::signed::{Field, SignedLink};

/// Form of the link, the field `sv`: what is signed may change, and old links stay good.
pub(crate) const LINK_VERSION: &str = "haul-1";
const KEY_BYTES: usize = 32;

/// The key of one link. No formatter shows it.
pub(crate) struct LinkKey {
    bytes: [u8; KEY_BYTES],
}

impl LinkKey {
    pub(crate) fn generate() -> Self {
        let bytes = ring::rand::generate(&SystemRandom::new()).expect("the system's random source works");
        LinkKey { bytes: bytes.expose() }
    }

    /// `None` = these are no bytes of a key.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(LinkKey { bytes: bytes.try_into().ok()? })
    }

    /// For sealing only.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// The link that opens a job's files at a daemon's address.
    pub(crate) fn link(&self, address: &str, job: &str, id: &str) -> SignedLink {
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key(), signed(job, id).as_bytes()));
        let fields: Vec<Field> = vec![("sv", LINK_VERSION.to_owned()), ("si", id.to_owned()), ("sig", signature)];
        SignedLink::new(address, &format!("data/{job}"), fields)
    }

    /// Whether a link was signed with it; how long that takes says nothing about the signature.
    pub(crate) fn is_signed(&self, version: &str, job: &str, id: &str, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        version == LINK_VERSION && hmac::verify(&self.key(), signed(job, id).as_bytes(), &signature).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.bytes)
    }
}

/// Neither holds a line break.
fn signed(job: &str, id: &str) -> String {
    format!("{LINK_VERSION}\n{job}\n{id}")
}

/// A file that readers may see.
pub(crate) struct Described {
    pub bytes: u64,
    /// Changes with the content, in quotation marks. Absent = the store names none.
    pub tag: Option<String>,
    pub modified: DateTime<Utc>,
    path: String,
    /// As the store spells it.
    raw_tag: Option<String>,
}

/// A store, and the name of a file in it.
type Readable = (Arc<dyn ObjectStore>, Path);

/// The bytes of a file, piece by piece.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, Error>>;

impl Store {
    /// A file of the job's folder, if there is one and readers may see it.
    pub(crate) async fn describe(&self, path: &str) -> Result<Option<Described>, Error> {
        if !layout::is_for_readers(path) {
            return Ok(None);
        }
        let Some((store, full)) = self.readable(path)? else { return Ok(None) };
        if let Some(run) = layout::run_of_part(path)
            && self.is_held(&run).await?
        {
            return Ok(None);
        }
        let meta = match store.head(&full).await {
            Ok(meta) => meta,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(unread(path, source)),
        };
        let tag = meta.e_tag.clone().map(|tag| match tag.starts_with(['"', 'W']) {
            true => tag,
            false => format!("\"{tag}\""),
        });
        let (bytes, modified) = (meta.size, meta.last_modified);
        Ok(Some(Described { bytes, tag, modified, path: path.to_owned(), raw_tag: meta.e_tag }))
    }

    /// Some bytes of that file; none of another content, which is an error.
    pub(crate) async fn pieces(&self, file: &Described, range: Range<u64>) -> Result<Pieces, Error> {
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let Some((store, full)) = self.readable(&file.path)? else {
            return Err(Error::Gone { path: file.path.clone() });
        };
        let options = GetOptions {
            if_match: file.raw_tag.clone(),
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let got = store.get_opts(&full, options).await.map_err(|source| unread(&file.path, source))?;
        let path = file.path.clone();
        Ok(got.into_stream().map(move |piece| piece.map_err(|source| unread(&path, source))).boxed())
    }

    /// Whether a gate holds the run back, so that readers must not see its parts yet.
    async fn is_held(&self, run: &str) -> Result<bool, Error> {
        let path = layout::held(run);
        let Some((store, full)) = self.readable(&path)? else { return Ok(false) };
        match store.head(&full).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(unread(&path, source)),
        }
    }

    /// `None` = a link in the folder leads somewhere else, or nothing is there.
    fn readable(&self, path: &str) -> Result<Option<Readable>, Error> {
        match self.backend() {
            Backend::Remote { store, prefix } => Ok(Some((Arc::clone(store), below(prefix, path)))),
            Backend::Local(folder) => {
                let real = |path: &std::path::Path| std::fs::canonicalize(path);
                let (Ok(real_folder), Ok(real_file)) = (real(folder), real(&folder.join(path))) else {
                    return Ok(None);
                };
                if !real_file.starts_with(&real_folder) {
                    return Ok(None);
                }
                let store = LocalFileSystem::new_with_prefix(&real_folder).map_err(|source| unread(path, source))?;
                Ok(Some((Arc::new(store), below(&Path::default(), path))))
            }
        }
    }
}

fn unread(path: &str, source: object_store::Error) -> Error {
    Error::Object { path: path.to_owned(), doing: "read", source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_what_it_was_signed_for_and_nothing_else() {
        let key = LinkKey::generate();
        let link = key.link("http://127.0.0.1:8733/", "sales", "haul-sales-90d-x");
        assert_eq!(link.folder_address(), "http://127.0.0.1:8733/data/sales");
        let [("sv", version), ("si", id), ("sig", signature)] = link.expose_fields() else { panic!("other fields") };
        assert!(signature.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert!(key.is_signed(version, "sales", id, signature));
        let again = LinkKey::from_bytes(key.expose()).expect("a key");
        assert!(again.is_signed(version, "sales", id, signature));
        for (version, job, id, signature) in [
            ("haul-2", "sales", id.as_str(), signature.as_str()),
            (version, "other", id, signature),
            (version, "sales", "haul-sales-90d-y", signature),
            (version, "sales", id, ""),
            (version, "sales", id, &signature[..42]),
            (version, "sales", id, &signature.to_lowercase()),
            (version, "sales", id, "no base64!"),
        ] {
            assert!(!key.is_signed(version, job, id, signature), "{version} {job} {id} {signature}");
        }
        assert!(!LinkKey::generate().is_signed(version, "sales", id, signature));
        assert!(LinkKey::from_bytes(b"short").is_none());
    }
}
