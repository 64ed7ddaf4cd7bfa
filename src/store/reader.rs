//! What readers need to know of a store: under which address they find the files, and how long what opens it is good.

use chrono::{DateTime, Utc};

use super::open::Store;

impl Store {
    /// Address of the account and path of the job's folder below it, for readers of Azure Blob. `None` = another store, or an
    /// account that is not named.
    pub(crate) fn reader_address(&self) -> Option<(String, String)> {
        let (url, options) = self.opened_with()?;
        if !matches!(url.scheme(), "az" | "azure" | "adl" | "abfs" | "abfss") {
            return None;
        }
        let option =
            |names: &[&str]| options.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value);
        let base = match option(&["endpoint", "azure_storage_endpoint"]) {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => {
                let account = option(&["account_name", "azure_storage_account_name"])?;
                format!("https://{account}.blob.core.windows.net")
            }
        };
        let path = self.shown().split_once("://")?.1;
        Some((base, path.to_owned()))
    }

    /// When the SAS that opens the store expires. `None` = no SAS, or one that a stored policy ends.
    pub(crate) fn share_until(&self) -> Option<DateTime<Utc>> {
        let (_, options) = self.opened_with()?;
        let names = ["sas_token", "sas_key", "azure_storage_sas_token", "azure_storage_sas_key"];
        let (_, token) = options.iter().find(|(name, _)| names.contains(&name.as_str()))?;
        expiry_of(token)
    }
}

/// The `se` of a SAS.
fn expiry_of(token: &str) -> Option<DateTime<Utc>> {
    let fields = url::form_urlencoded::parse(token.trim_start_matches('?').as_bytes());
    let (_, text) = fields.into_iter().find(|(name, _)| name == "se")?;
    let instant = DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
    // The day alone means its first instant.
    instant.or_else(|_| format!("{text}T00:00:00Z").parse()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Place;

    #[test]
    fn a_sas_says_when_it_expires() {
        let check = |token: &str, expect: Option<&str>| {
            assert_eq!(expiry_of(token), expect.map(|text| text.parse().expect("an instant")), "{token}");
        };
        check("sv=2024-11-04&se=2027-01-31T12%3A00%3A00Z&sr=c&sp=rl&sig=x", Some("2027-01-31T12:00:00Z"));
        check("?se=2027-01-31&sig=x", Some("2027-01-31T00:00:00Z"));
        check("sv=2024-11-04&si=readers&sig=x", None);
        check("se=soon", None);
    }

    #[test]
    fn readers_of_azure_find_the_account_and_the_folder() {
        let open = |url: &str, options: &[(&str, &str)]| {
            let place = Place::Remote(url.parse().expect("a URL"));
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Store::open(&place, "sales", options).expect("it opens nothing")
        };
        let azure = open("az://tables/prod", &[("account_name", "contoso"), ("access_key", "eHh4eHh4")]);
        let expect = ("https://contoso.blob.core.windows.net".to_owned(), "tables/prod/sales".to_owned());
        assert_eq!(azure.reader_address(), Some(expect));
        assert_eq!(azure.share_until(), None);
        let s3 =
            open("s3://tables/prod", &[("region", "eu-west-1"), ("access_key_id", "x"), ("secret_access_key", "y")]);
        assert_eq!(s3.reader_address(), None);
    }
}
