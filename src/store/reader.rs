//! What readers need to know of a store: under which address they find the files, and how long what opens it is good.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::open::Store;
use super::sas::SAS_VERSION;

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
        options.iter().filter_map(|(_, value)| sas_end(value)).min()
    }
}

impl Store {
    /// Whether it is a folder of this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.opened_with().is_none()
    }
}

/// The version of the service that haul signs for.
pub(crate) fn sas_version() -> &'static str {
    SAS_VERSION
}

/// The end of a shared access signature, its parameter `se`
/// (<https://learn.microsoft.com/rest/api/storageservices/create-service-sas>). `None` = it is none, or its end stands in a
/// stored policy.
pub(crate) fn sas_end(text: &str) -> Option<DateTime<Utc>> {
    let query = text.trim_start_matches('?');
    let pairs = || url::form_urlencoded::parse(query.as_bytes());
    pairs().find(|(name, _)| name == "sig")?;
    let (_, end) = pairs().find(|(name, _)| name == "se")?;
    let day = |text: &str| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc());
    let minutes = |text: &str| format!("{}:00Z", text.strip_suffix('Z')?).parse().ok();
    end.parse().ok().or_else(|| minutes(&end)).or_else(|| day(&end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::Place;

    #[test]
    fn the_end_of_a_sas_is_found_in_its_spellings() {
        let check = |text: &str, expect: Option<&str>| {
            let expect = expect.map(|end| end.parse().unwrap());
            assert_eq!(sas_end(text), expect, "{text}");
        };
        check("sv=2022-11-02&sp=rw&se=2027-01-31T10:20:30Z&sig=x", Some("2027-01-31T10:20:30Z"));
        check("?sig=x&se=2027-01-31T10%3A20%3A30Z", Some("2027-01-31T10:20:30Z"));
        check("sig=x&se=2027-01-31T10:20Z", Some("2027-01-31T10:20:00Z"));
        check("sig=x&se=2027-01-31", Some("2027-01-31T00:00:00Z"));
        check("sig=x&si=policy", None);
        check("sig=x&se=soon", None);
        check("c2VjcmV0a2V5", None);
        check("se=2027-01-31", None);
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
