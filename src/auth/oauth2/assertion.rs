//! Signed statements: JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, as grants and as proof of a client
//! (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value, json};

use crate::auth::error::Error;
use crate::clock::Clock;
use crate::model::credential::Algorithm;
use crate::secret::Secret;

/// A private key at hand.
pub(crate) struct SigningKey {
    key: KeyPair,
    algorithm: Algorithm,
    /// Header without the algorithm: `kid`, `x5t#S256`.
    header: Map<String, Value>,
    random: SystemRandom,
}

enum KeyPair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// A key in PEM, or Google's JSON file around one. `algorithm` absent = RS256 or ES256, by the key.
    pub(crate) fn new(
        key: &Secret,
        algorithm: Option<Algorithm>,
        kid: Option<&str>,
        certificate: Option<&str>,
    ) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let key = read_key(&pem_of(key), &random)?;
        let algorithm = match (algorithm, &key) {
            (None, KeyPair::Rsa(_)) => Algorithm::Rs256,
            (None, KeyPair::P256(_)) => Algorithm::Es256,
            (Some(algorithm @ (Algorithm::Rs256 | Algorithm::Ps256)), KeyPair::Rsa(_)) => algorithm,
            (Some(algorithm @ Algorithm::Es256), KeyPair::P256(_)) => algorithm,
            (Some(_), KeyPair::Rsa(_)) => return Err(wrong("it is an RSA key, which signs `rs256` and `ps256`")),
            (Some(_), KeyPair::P256(_)) => return Err(wrong("it is a P-256 key, which signs `es256`")),
        };
        let mut header = Map::new();
        if let Some(kid) = kid {
            header.insert("kid".to_owned(), kid.into());
        }
        if let Some(certificate) = certificate {
            let der = CertificateDer::from_pem_slice(certificate.as_bytes())
                .map_err(|error| wrong(&format!("its certificate is no PEM: {error}")))?;
            let print = URL_SAFE_NO_PAD.encode(digest(&SHA256, der.as_ref()));
            header.insert("x5t#S256".to_owned(), print.into());
        }
        Ok(SigningKey { key, algorithm, header, random })
    }

    /// A statement with these claims, made now, good for so many seconds and for one use.
    pub(super) fn sign(&self, mut claims: Map<String, Value>, lifetime_secs: i64) -> Result<Secret, Error> {
        let now = Clock.now().timestamp();
        let mut jti = [0; 16];
        self.random.fill(&mut jti).map_err(|_| wrong("the system's random source does not work"))?;
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), (now + lifetime_secs).into());
        claims.insert("jti".to_owned(), URL_SAFE_NO_PAD.encode(jti).into());
        let mut header = self.header.clone();
        header.insert("alg".to_owned(), json!(name(self.algorithm)));
        header.insert("typ".to_owned(), json!("JWT"));
        let encoded = |part: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(part).to_string());
        let text = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.signature(text.as_bytes()).map_err(|_| wrong("it does not sign"))?;
        Ok(Secret::new(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    fn signature(&self, text: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        match &self.key {
            KeyPair::P256(key) => Ok(key.sign(&self.random, text)?.as_ref().to_vec()),
            KeyPair::Rsa(key) => {
                let padding: &dyn ring::signature::RsaEncoding = match self.algorithm {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Rs256 | Algorithm::Es256 => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &self.random, text, &mut signature)?;
                Ok(signature)
            }
        }
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Rs256 => "RS256",
        Algorithm::Ps256 => "PS256",
        Algorithm::Es256 => "ES256",
    }
}

fn wrong(why: &str) -> Error {
    Error::SigningKey { why: why.to_owned() }
}

/// A service account's key comes from Google as JSON with the PEM inside.
fn pem_of(key: &Secret) -> Secret {
    let inside = serde_json::from_str::<Value>(key.expose()).ok();
    match inside.as_ref().and_then(|json| json.get("private_key")).and_then(Value::as_str) {
        Some(pem) => Secret::new(pem.to_owned()),
        None => key.clone(),
    }
}

fn read_key(pem: &Secret, random: &SystemRandom) -> Result<KeyPair, Error> {
    let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes())
        .map_err(|_| wrong("no `BEGIN PRIVATE KEY` in it, in PEM and without a passphrase"))?;
    match &der {
        PrivateKeyDer::Pkcs1(der) => rsa(RsaKeyPair::from_der(der.secret_pkcs1_der())),
        PrivateKeyDer::Pkcs8(der) => {
            let der = der.secret_pkcs8_der();
            match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, random) {
                Ok(key) => Ok(KeyPair::P256(key)),
                Err(_) => rsa(RsaKeyPair::from_pkcs8(der)),
            }
        }
        _ => Err(wrong("it is in an older form; `openssl pkcs8 -topk8 -nodes` turns it into PKCS#8")),
    }
}

fn rsa(key: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<KeyPair, Error> {
    key.map(KeyPair::Rsa).map_err(|why| wrong(&format!("neither RSA of 2048 to 8192 bits nor P-256: {why}")))
}
