//! Presigned addresses of Amazon S3 and Google Cloud Storage: one a file, for seven days at most. None can be taken back alone, and
//! all of them end with the credential that signed them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::signer::Signer;
use url::Url;

use super::error::ShareError;
use super::wire::{bounded, innermost};
use crate::store::error::Error;
use crate::store::open::{Backend, Store, below};

/// Both services sign for so long at most.
pub(crate) const PRESIGNED_DAYS_MAX: u32 = 7;

impl Store {
    /// Whether its files have presigned addresses.
    pub(crate) fn has_presigned(&self) -> bool {
        self.opened_with().is_some_and(|(url, _)| matches!(url.scheme(), "s3" | "gs"))
    }

    /// Presigned addresses of files of the job's folder, by what the caller names them. No formatter hides them: they are for
    /// whoever asked for the share.
    pub(crate) async fn presign(
        &self,
        files: &BTreeMap<String, String>,
        time: Duration,
    ) -> Result<BTreeMap<String, Url>, Error> {
        let signer = self.signer()?;
        let Backend::Remote { prefix, .. } = self.backend() else {
            return Err(ShareError::NoSigner { place: self.shown().to_owned() }.into());
        };
        let sign = async {
            let mut signed = BTreeMap::new();
            for (name, file) in files {
                let address = signer.signed_url(Method::GET, &below(prefix, file), time).await;
                signed.insert(name.clone(), address.map_err(|error| self.unsigned(&error))?);
            }
            Ok(signed)
        };
        Ok(bounded(sign).await?)
    }

    fn unsigned(&self, error: &object_store::Error) -> ShareError {
        ShareError::Unsigned { place: self.shown().to_owned(), why: innermost(error) }
    }

    fn signer(&self) -> Result<Arc<dyn Signer>, ShareError> {
        let no_signer = || ShareError::NoSigner { place: self.shown().to_owned() };
        let (url, options) = self.opened_with().ok_or_else(no_signer)?;
        macro_rules! built {
            ($builder:ty) => {{
                let builder = <$builder>::new().with_url(url.to_string());
                let keyed = options.iter().filter_map(|(name, value)| Some((name.parse().ok()?, value)));
                let builder = keyed.fold(builder, |builder, (key, value)| builder.with_config(key, value));
                Arc::new(builder.build().map_err(|error| self.unsigned(&error))?)
            }};
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(match url.scheme() {
            "s3" => built!(AmazonS3Builder),
            "gs" => built!(GoogleCloudStorageBuilder),
            _ => return Err(no_signer()),
        })
    }
}
