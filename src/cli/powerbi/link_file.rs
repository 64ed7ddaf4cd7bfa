//! Links and signatures that somebody gives in a file or on standard input, because arguments can be seen by every user of the
//! machine. No error shows what stands there.

use std::io::Read;
use std::path::Path;

use serde_json::Value;
use url::Url;

use crate::cli::failure::Failure;
use crate::limits::LINK_FILE_BYTES_MAX;
use crate::secret::Secret;

/// What `haul share create` prints where the path of a file belongs.
const FILE: &str = "/FILE";

/// The text of the file, masked from here on, whatever it turns out to be.
pub(super) fn read(file: &Path) -> Result<Secret, Failure> {
    let wrong = |why: String| Failure::usage(format!("`{}` cannot be read: {why}", file.display()));
    let from: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| wrong(error.to_string()))?)
    };
    let mut text = String::new();
    from.take(LINK_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > LINK_FILE_BYTES_MAX {
        return Err(wrong(format!("it is larger than {LINK_FILE_BYTES_MAX} bytes, limit LINK_FILE_BYTES_MAX")));
    }
    Ok(Secret::new(text.trim().to_owned()))
}

/// The address of a job's folder, as it is or as `haul share create` prints it, with or without `--json`.
pub(super) fn read_address(file: &Path) -> Result<Url, Failure> {
    let text = read(file)?;
    address(text.expose()).ok_or_else(|| {
        Failure::usage(format!("`{}` holds no address", file.display()))
            .hint("it is like https://h/tables/sales?sig=…, or what `haul share create --json` printed")
    })
}

fn address(text: &str) -> Option<Url> {
    if let Ok(Value::Object(printed)) = serde_json::from_str(text) {
        let mut url: Url = printed.get("base_url")?.as_str()?.parse().ok()?;
        url.set_query(printed.get("query").and_then(Value::as_str));
        return Some(url);
    }
    let mut url: Url = text.parse().ok()?;
    if let Some(folder) = url.path().strip_suffix(FILE).map(str::to_owned) {
        url.set_path(&folder);
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_printed() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(address(text).as_ref().map(Url::as_str), expect, "{text}");
        };
        check("https://h/data/sales?sig=x", Some("https://h/data/sales?sig=x"));
        check("https://h/data/sales/FILE?sig=x", Some("https://h/data/sales?sig=x"));
        check(
            r#"{"base_url":"https://h/data/sales","query":"si=a&sig=b%2F"}"#,
            Some("https://h/data/sales?si=a&sig=b%2F"),
        );
        check(r#"{"addresses":{}}"#, None);
        check("h/data/sales", None);
        check("", None);
    }
}
