//! An address as somebody types it, made into a draft: what of it is the API's, what the stream's, and what is a secret
//! that must not stand anywhere.

use serde_json::json;
use url::Url;

use crate::cli::failure::Failure;
use crate::job::draft::{Draft, Said, StreamDraft, job_name, stream_name};

use super::args::InitArgs;
use super::ask::check_variable;

/// Words in the names of parameters and headers that carry a credential.
const SECRET_WORDS: &[&str] = &[
    "key",
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "signature",
    "sig",
    "auth",
    "sas",
    "session",
    "credential",
];
/// Names that hold such a word and carry none.
const PUBLIC_NAMES: &[&str] = &["keyword", "keywords", "author", "authors", "page_token", "pagetoken", "next_token"];

/// Parameters that lead to a later page or cut the table: an address that was copied from the middle of a walk has them.
const PLACES: &[&str] = &[
    "cursor",
    "page_token",
    "pageToken",
    "next_token",
    "nextToken",
    "starting_after",
    "ending_before",
    "$skiptoken",
    "$top",
    "$skip",
    "_next",
    "page[after]",
    "page[before]",
];

/// The address as a draft of a job with one stream.
pub(super) fn draft_of(typed: &str, args: &InitArgs) -> Result<Draft, Failure> {
    let url = parse(typed)?;
    let is_plain_elsewhere = url.scheme() == "http" && !crate::http::is_loopback(&url);
    if is_plain_elsewhere && !args.allow_http {
        return Err(Failure::usage("plain http shows everybody on the way what is sent and read")
            .hint("use https, or say that it is meant: `--allow-http`"));
    }
    let mut draft = Draft {
        name: match &args.name {
            Some(name) => name.clone(),
            None => job_name(&host_words(&url)),
        },
        head: Vec::new(),
        base_url: url.clone(),
        is_odata: false,
        has_metadata: true,
        auth: None,
        headers: Vec::new(),
        allow_private: args.allow_private,
        allow_http: is_plain_elsewhere,
        streams: Vec::new(),
        destination: args.destination.clone(),
        patience: args.timeout.clone(),
    };
    let (base, path) = split(&url);
    draft.base_url = base;
    let mut stream = StreamDraft { name: stream_name(words_of(&path), &[]), path, ..StreamDraft::default() };
    for (name, value) in url.query_pairs() {
        match reference(&value) {
            Some(variable) => {
                check_variable(variable).map_err(Failure::usage)?;
                key(
                    &mut draft,
                    json!({ "value": format!("${{{variable}}}"), "param": name }),
                    &format!("the parameter `{name}`"),
                )?;
            }
            None if PLACES.contains(&name.as_ref()) => {
                draft.head.push(format!(
                    "Of the address `{name}` is left out: the job reads the table from its start to its end."
                ));
            }
            None if is_secret(&name) => {
                return Err(Failure::usage(format!("the parameter `{name}` of the address looks like a secret"))
                    .hint(format!("put it into an environment variable and write its name: '…?{name}=${{MY_KEY}}', in single quotes")));
            }
            None if stream.params.iter().any(|(known, _)| *known == name) => {
                return Err(Failure::usage(format!("the parameter `{name}` stands twice in the address"))
                    .hint("a job file names each parameter once; see `slices` for reading one value after the other"));
            }
            None => stream.params.push((name.into_owned(), value.into_owned())),
        }
    }
    draft.streams.push(stream);
    Ok(draft)
}

fn parse(typed: &str) -> Result<Url, Failure> {
    let typed = typed.trim();
    let whole = if typed.contains("://") { typed.to_owned() } else { format!("https://{typed}") };
    let wrong = |why: String| {
        Failure::usage(format!("this is no address: {why}")).hint("for example `https://api.example.com/v1/orders`")
    };
    let mut url: Url = whole.parse().map_err(|error: url::ParseError| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("haul reads http and https".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::usage("the address holds a user or a password")
            .hint("leave them out and name the variables that hold them: `--user-env`, `--password-env`"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// The address of the API, and the path below it: the last segment, so that other streams may stand beside it.
pub(super) fn split(url: &Url) -> (Url, String) {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    let path = base.path().to_owned();
    let end = path.trim_end_matches('/').rfind('/').unwrap_or(0);
    base.set_path(&path[..end]);
    (base, path[end..].to_owned())
}

/// The words of a path that name what stands there.
pub(super) fn words_of(path: &str) -> &str {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or(path);
    let last = last.split('(').next().unwrap_or(last);
    last.strip_suffix(".json").unwrap_or(last)
}

/// `https://api.example.com` is of example; a number is of nobody.
fn host_words(url: &Url) -> String {
    match url.host() {
        Some(url::Host::Domain(name)) => {
            let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
            let dull = ["www", "api", "rest", "data", "odata"];
            let labels: Vec<&str> = match labels.as_slice() {
                [rest @ .., _] if !rest.is_empty() => {
                    rest.iter().copied().filter(|label| !dull.contains(label)).collect()
                }
                all => all.to_vec(),
            };
            labels.last().map_or_else(|| name.to_owned(), |label| (*label).to_owned())
        }
        _ => "api".to_owned(),
    }
}

/// The name in `${NAME}`.
fn reference(value: &str) -> Option<&str> {
    value.strip_prefix("${")?.strip_suffix('}')
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !PUBLIC_NAMES.contains(&name.as_str()) && SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Headers of the arguments: with a reference one is the credential, without one it goes along.
pub(super) fn headers(draft: &mut Draft, args: &InitArgs) -> Result<(), Failure> {
    for typed in &args.headers {
        let Some((name, value)) = typed.split_once(':').map(|(name, value)| (name.trim(), value.trim())) else {
            return Err(Failure::usage("a header is written as `Name: value`"));
        };
        if let (Some(start), true) = (value.find("${"), value.ends_with('}')) {
            let variable = &value[start + 2..value.len() - 1];
            check_variable(variable).map_err(Failure::usage)?;
            let mut said = json!({ "value": format!("${{{variable}}}"), "header": name });
            if start > 0 {
                said["prefix"] = json!(value[..start].to_owned());
            }
            key(draft, said, &format!("the header `{name}`"))?;
        } else if is_secret(name) || name.eq_ignore_ascii_case("cookie") {
            return Err(Failure::usage(format!("the header `{name}` looks like a secret")).hint(format!(
                "put it into an environment variable and write its name: --header '{name}: ${{MY_KEY}}'"
            )));
        } else {
            draft.headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(())
}

fn key(draft: &mut Draft, said: serde_json::Value, place: &str) -> Result<(), Failure> {
    if draft.auth.is_some() {
        return Err(Failure::usage(format!("{place} is a second credential, and a job has one")));
    }
    draft.auth = Some(Said::new(json!({ "key": said }), format!("A key in {place}, as you said.")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_and_named() {
        let check = |text: &str, base: &str, path: &str, words: &str, job: &str| {
            let url: Url = text.parse().expect("a URL");
            let (found, rest) = split(&url);
            assert_eq!((found.as_str(), rest.as_str()), (base, path), "{text}");
            assert_eq!(words_of(&rest), words, "{text}");
            assert_eq!(job_name(&host_words(&url)), job, "{text}");
        };
        check("https://api.example.com/v1/orders?a=1", "https://api.example.com/v1", "/orders", "orders", "example");
        check("https://example.co/orders.json", "https://example.co/", "/orders.json", "orders", "example");
        check("http://127.0.0.1:8080/", "http://127.0.0.1:8080/", "/", "", "api");
        check("https://shop.example.com/a/b/", "https://shop.example.com/a", "/b/", "b", "example");
        check("http://localhost/Orders(5)", "http://localhost/", "/Orders(5)", "Orders", "localhost");
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in ["api_key", "apikey", "X-Api-Key", "access_token", "Authorization", "sig", "client_secret"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["page", "limit", "keyword", "author", "Accept", "page_token"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
