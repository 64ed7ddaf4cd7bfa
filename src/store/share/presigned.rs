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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Place;

    fn store(url: &str, options: &[(&str, &str)]) -> Store {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Store::open(&Place::Remote(url.parse().expect("a URL")), "sales", options).expect("it opens nothing")
    }

    /// A service account with a key of this test.
    fn account() -> String {
        let made = std::process::Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .expect("openssl runs (package openssl)");
        let key = String::from_utf8(made.stdout).expect("a key");
        let email = "haul-test@example.iam.gserviceaccount.com";
        serde_json::json!({ "private_key": key, "private_key_id": "1", "client_email": email }).to_string()
    }

    /// No server of Google looks at the signature here.
    #[tokio::test]
    async fn addresses_of_google_have_the_shape_that_it_wants() {
        let store = store("gs://tables/prod", &[("service_account_key", &account())]);
        let files = BTreeMap::from([("orders".to_owned(), "orders/current.parquet".to_owned())]);
        let signed = store.presign(&files, Duration::from_secs(7 * 86_400)).await.expect("addresses");
        let address = &signed["orders"];
        let place = "https://storage.googleapis.com/tables/prod/sales/orders/current.parquet";
        assert_eq!(&address[..url::Position::AfterPath], place);
        let fields: BTreeMap<_, _> = address.query_pairs().into_owned().collect();
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        assert_eq!((field("X-Goog-Algorithm"), field("X-Goog-Expires")), ("GOOG4-RSA-SHA256", "604800"));
        assert!(field("X-Goog-Credential").starts_with("haul-test@example.iam.gserviceaccount.com/"), "{fields:?}");
        assert_eq!(field("X-Goog-SignedHeaders"), "host");
        let signature = field("X-Goog-Signature");
        assert!(signature.len() == 512 && signature.bytes().all(|byte| byte.is_ascii_hexdigit()), "{fields:?}");
        let longer = store.presign(&files, Duration::from_secs(8 * 86_400)).await;
        assert!(longer.is_err_and(|error| error.to_string().contains("7 days")));
    }

    #[test]
    fn each_place_has_its_own_kind_of_share() {
        let azure = store("az://tables/prod", &[("account_name", "contoso"), ("access_key", "eHh4eHh4")]);
        assert!(!azure.has_presigned() && azure.has_shares() && !azure.has_delegation());
        let entra = store("az://tables/prod", &[("account_name", "contoso"), ("token", "x")]);
        assert!(entra.has_delegation() && !entra.has_shares());
        let shared = store("az://tables/prod", &[("account_name", "contoso"), ("sas_key", "sv=x&sig=y")]);
        assert!(!shared.has_delegation() && !shared.has_shares());
        let s3 = store("s3://tables/prod", &[("region", "eu-west-1")]);
        assert!(s3.has_presigned() && !s3.has_delegation() && !s3.has_shares());
    }
}
