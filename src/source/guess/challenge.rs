//! What a refusal says of the credential that is wanted: `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750,
//! RFC 9728).

/// What is wanted, as far as it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Challenged {
    /// Schemes in small letters, in the order of the answer: `bearer`, `basic`, `negotiate`.
    pub schemes: Vec<String>,
    /// Where the service describes itself (RFC 9728). Absent = it does not say.
    pub resource_metadata: Option<String>,
    /// Where Microsoft's services name their login. Absent = they do not.
    pub authorization_uri: Option<String>,
    /// What the token must be good for. Absent = it does not say.
    pub scope: Option<String>,
}

/// Reads all challenges of an answer.
pub(crate) fn challenged(offers: &[String]) -> Challenged {
    let mut found = Challenged::default();
    for offer in offers {
        for part in parts(offer) {
            // A scheme stands alone or before a blank, the name of a parameter before its `=`.
            let end = part.find(|sign: char| sign == '=' || sign.is_whitespace()).unwrap_or(part.len());
            let (word, rest) = part.split_at(end);
            let is_param = rest.trim_start().starts_with('=');
            if !is_param {
                found.schemes.push(word.to_ascii_lowercase());
            }
            let Some((name, value)) = (if is_param { part.as_str() } else { rest }).split_once('=') else { continue };
            let value = value.trim().trim_matches('"').to_owned();
            if value.is_empty() {
                continue;
            }
            match name.trim().to_ascii_lowercase().as_str() {
                "resource_metadata" => found.resource_metadata = Some(value),
                "authorization_uri" => found.authorization_uri = Some(value),
                "scope" => found.scope = Some(value),
                _ => {}
            }
        }
    }
    found
}

/// Split at commas outside quotes.
fn parts(offer: &str) -> Vec<String> {
    let mut is_quoted = false;
    let split = |sign: char| {
        is_quoted ^= sign == '"';
        sign == ',' && !is_quoted
    };
    offer.split(split).map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}
