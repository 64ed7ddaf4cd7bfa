//! What somebody chose on the page, as it stands in its address: so that a link or a download is the same for whoever opens it.

use url::Url;
use url::form_urlencoded::{Serializer, parse};

use crate::engine::KitWishes;
use crate::powerbi::m::Variant;
use crate::store::LINK_VERSION;

/// Tables and form of what is shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// Empty = all.
    tables: Vec<String>,
    is_self_contained: bool,
    /// By a signed link of this daemon, wherever the files are.
    pub is_by_link: bool,
}

impl Choice {
    pub(super) fn read(query: Option<&str>) -> Self {
        let mut choice = Choice::default();
        for (name, value) in parse(query.unwrap_or_default().as_bytes()) {
            match (&*name, &*value) {
                ("table", table) => choice.tables.push(table.to_owned()),
                ("form", form) => choice.is_self_contained = form == "self-contained",
                ("by", by) => choice.is_by_link = by == "link",
                // Whatever somebody's tracking adds to a link.
                _ => {}
            }
        }
        choice
    }

    /// The same as the query of an address.
    pub(super) fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(self.tables.iter().map(|table| ("table", table)));
        query.append_pair("form", self.form());
        if self.is_by_link {
            query.append_pair("by", "link");
        }
        query.finish()
    }

    pub(super) fn form(&self) -> &'static str {
        if self.is_self_contained { "self-contained" } else { "shared" }
    }

    pub(super) fn variant(&self) -> Variant {
        if self.is_self_contained { Variant::SelfContained } else { Variant::Shared }
    }

    pub(super) fn has(&self, table: &str) -> bool {
        self.tables.is_empty() || self.tables.iter().any(|chosen| chosen == table)
    }

    /// `site` = where readers find this daemon; `share` = a link that somebody made there.
    pub(super) fn wishes(&self, job: &str, site: Option<&Url>, share: &str) -> KitWishes {
        let address = site.filter(|_| self.is_by_link).map(|site| link_of(site, job, share));
        KitWishes { tables: self.tables.clone(), address, ..KitWishes::default() }
    }
}

/// Where the daemon serves a job's files. Whoever has a link fills its signature in.
fn link_of(site: &Url, job: &str, share: &str) -> Url {
    let mut url = site.clone();
    url.set_path(&format!("{}/data/{job}", site.path().trim_end_matches('/')));
    url.query_pairs_mut().clear().extend_pairs([("sv", LINK_VERSION), ("si", share), ("sig", "")]);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_what_its_address_says() {
        let check = |query: &str, expect: &str| assert_eq!(Choice::read(Some(query)).query(), expect, "{query}");
        check("", "form=shared");
        check("table=orders&table=a+b%26c&form=self-contained", "table=orders&table=a+b%26c&form=self-contained");
        check("by=link&form=odd&utm=x", "form=shared&by=link");
        assert_eq!(Choice::read(None), Choice::default());
        let all = Choice::default();
        assert!(all.has("orders") && !Choice::read(Some("table=lines")).has("orders"));
    }

    #[test]
    fn links_are_those_of_the_daemon() {
        let site: Url = "https://haul.example.com/".parse().expect("a URL");
        let link = link_of(&site, "sales", "haul-sales-90d-x");
        assert_eq!(link.as_str(), "https://haul.example.com/data/sales?sv=haul-1&si=haul-sales-90d-x&sig=");
    }
}
