//! What `haul share` prints of shares.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use url::Url;

use super::LATE;
use crate::cli::output::{Output, columns};
use crate::clock::Clock;
use crate::engine::{ShareKind, Shared, widened};
use crate::http::is_loopback;
use crate::state::LinkKind;
use crate::store::SignedLink;

/// How the first line begins.
pub(super) struct Head {
    before: &'static str,
    is_new: bool,
}

pub(super) const HEAD_MADE: Head = Head { before: "made ", is_new: true };
pub(super) const HEAD_SHOWN: Head = Head { before: "", is_new: false };

/// What a share opens, with its signature.
pub(super) enum Opens {
    /// A container of Azure, or the job's folder in it.
    Container { container: String, link: SignedLink },
    /// The job's tables, by way of the daemon.
    Job(SignedLink),
    /// One file a table.
    Files(BTreeMap<String, Url>),
}

/// A share with its signature. No formatter shows it.
pub(super) struct Made {
    pub share: Shared,
    pub opens: Opens,
}

/// The parameters of Power BI and the fields that they hold.
const PARAMETERS: [(&str, &str); 3] = [("SasVersion", "sv"), ("SasPolicy", "si"), ("SasSignature", "sig")];

impl Made {
    /// Prints it with the signature: a person asked for that.
    pub(super) fn tell(&self, output: Output, job: &str, head: &Head) {
        if output.is_json {
            output.json_with_link(&self.document(job));
        } else {
            self.tell_people(output, job, head);
        }
        if let Some(why) = widened(&self.share.terms) {
            output.note(format!("{why}: `haul share rotate JOBFILE POLICY --revoke` ends that"));
        }
    }

    fn link(&self) -> Option<&SignedLink> {
        match &self.opens {
            Opens::Container { link, .. } | Opens::Job(link) => Some(link),
            Opens::Files(_) => None,
        }
    }

    fn document(&self, job: &str) -> Value {
        let mut document = Map::from_iter([
            ("job".to_owned(), json!(job)),
            ("kind".to_owned(), json!(self.share.kind.word())),
            ("share".to_owned(), shown(&self.share)),
        ]);
        let mut add = |name: &str, value: Value| drop(document.insert(name.to_owned(), value));
        match &self.opens {
            Opens::Container { container, .. } => add("container", json!(container)),
            Opens::Job(_) => {}
            Opens::Files(addresses) => add("addresses", json!(addresses)),
        }
        if let Some(link) = self.link() {
            let fields = link.expose_fields();
            let field = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
            if field("si").is_some() {
                let parameters =
                    PARAMETERS.iter().map(|(parameter, name)| ((*parameter).to_owned(), json!(field(name))));
                add("parameters", parameters.collect::<Map<_, _>>().into());
            }
            add("resource", json!(field("sr")));
            add("depth", json!(field("sdd").and_then(|depth| depth.parse::<u64>().ok())));
            add("protocol", json!(field("spr")));
            add("base_url", json!(link.folder_address()));
            add("base", json!(link.base));
            add("folder", json!(link.folder));
            let named = fields.iter().map(|(name, value)| json!({ "name": name, "value": value }));
            add("fields", named.collect::<Vec<_>>().into());
            add("query", json!(link.expose_query()));
        }
        document.into()
    }

    fn tell_people(&self, output: Output, job: &str, head: &Head) {
        let terms = &self.share.terms;
        let what = match &self.opens {
            Opens::Container { container, .. } if terms.wanted().is_folder_only => {
                format!("the job's folder in the container `{container}`")
            }
            Opens::Container { container, .. } => format!("all of the container `{container}`"),
            Opens::Job(_) => format!("the tables of `{job}`"),
            Opens::Files(_) => format!("one file a table of `{job}`"),
        };
        output.line(format!("{}`{}`: whoever has its signature may {} {what}", head.before, terms.id, terms.may()));
        output.line(self.end());
        if let Some(link) = self.link() {
            fields(output, link, self.share.kind);
        }
        match &self.opens {
            Opens::Container { link, .. } | Opens::Job(link) => {
                output.line("\nAddress for other readers, with the path of a file for FILE:");
                output.link(&format!("  {}/FILE?{}", link.folder_address(), link.expose_query()));
            }
            Opens::Files(addresses) => {
                output.line("\nAddresses, each a file with all rows of its table:");
                for (table, address) in addresses {
                    output.link(&format!("  {table}\n    {address}"));
                }
            }
        }
        self.remark(output, head);
    }

    fn end(&self) -> String {
        let (end, now) = (self.share.terms.expires_at(), Clock.now());
        let time = time(end);
        match end {
            Some(end) if end <= now => format!("it ended at {time}; `haul share extend JOBFILE` lets it go on"),
            _ if self.share.terms.is_ending() => {
                format!("until {time}; it is not extended, because another one took its place")
            }
            _ if self.share.kind.is_extended() => format!("until {time}; runs extend it"),
            _ => format!("until {time}; nobody can extend it"),
        }
    }

    fn remark(&self, output: Output, head: &Head) {
        match (self.share.kind, &self.opens) {
            (ShareKind::Link(LinkKind::Served), Opens::Job(link)) => {
                output.note(format!(
                    "\n`haul serve` at {} answers it, with the same state and the job in its folder; the signature is a password",
                    link.base
                ));
                let is_open = link.base.parse::<Url>().is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url));
                if is_open {
                    output.note("plain http: everybody on the way can read the signature and the tables");
                }
            }
            (ShareKind::Link(LinkKind::Delegated), _) => output.note(
                "\nit ends after 7 days at the latest and cannot be extended: make another one before, and put its fields \
                 into the report's parameters; with the account's key a share goes on by itself",
            ),
            (ShareKind::Link(LinkKind::Presigned), opens) => {
                output.note(format!("\n{}", way_to_revoke(self.share.kind)));
                if has_session(opens) {
                    output.note(
                        "the credential that signed is a temporary one: the addresses end with it, often within hours; the key of \
                         a user signs for all days",
                    );
                }
                output.note(
                    "a report needs new addresses before they end; incremental refresh, and reading all tables of one \
                     snapshot, need a share that opens a folder: `--address` with that of a `haul serve`",
                );
            }
            _ if head.is_new => {
                output.note(format!("\nthe signature is a password; {LATE} it; `haul share show` prints it again"));
            }
            _ => output.note("\nthe signature is a password"),
        }
    }
}

/// Whether a credential signed that ends by itself.
fn has_session(opens: &Opens) -> bool {
    let Opens::Files(addresses) = opens else { return false };
    addresses.values().any(|address| address.query_pairs().any(|(name, _)| name == "X-Amz-Security-Token"))
}

/// The fields of the query, as parameters of Power BI where these are the usual three.
fn fields(output: Output, link: &SignedLink, kind: ShareKind) {
    let fields = link.expose_fields();
    let line = |name: &str, value: &str| vec![format!("  {name}"), value.to_owned()];
    if kind.is_extended() {
        output.line("\nParameters of Power BI, each a text:");
        let of = |(parameter, wanted): &(&str, &str)| {
            fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| line(parameter, value))
        };
        write(output, &PARAMETERS.iter().filter_map(of).collect::<Vec<_>>());
    } else {
        output.line("\nFields of the query, each a parameter of Power BI:");
        write(output, &fields.iter().map(|(name, value)| line(name, value)).collect::<Vec<_>>());
        return;
    }
    if let Some((_, depth)) = fields.iter().find(|(name, _)| *name == "sdd") {
        output.line(format!("In the queries `sr = \"d\", sdd = \"{depth}\"` instead of `sr = \"c\"`."));
    }
    if kind == ShareKind::Link(LinkKind::Served) {
        output.line("In the queries neither `sr` nor `spr`.");
    }
}

fn write(output: Output, rows: &[Vec<String>]) {
    for line in columns(rows, &[false, false]) {
        output.link(&line);
    }
}

/// What to do for more days than the most.
pub(super) fn longer(kind: ShareKind) -> &'static str {
    match kind {
        ShareKind::Link(LinkKind::Delegated) => {
            "with `access_key` in `destination.options` a share is bound to a stored access policy, and goes on for as long as runs \
             extend it"
        }
        ShareKind::Policy | ShareKind::Link(_) => {
            "`--address` with that of a running `haul serve` makes a link that goes on for as long as runs extend it"
        }
    }
}

/// How a signature ends that nobody can take back alone.
pub(super) fn way_to_revoke(kind: ShareKind) -> &'static str {
    match kind {
        ShareKind::Link(LinkKind::Presigned) => {
            "each address opens one file, and cannot be taken back alone: all end with the key that signed them, and at \
             the latest after 7 days"
        }
        ShareKind::Link(_) | ShareKind::Policy => {
            "all signatures of the account by Entra end with `az storage account revoke-delegation-keys`"
        }
    }
}

/// Shares in rows.
pub(super) fn table(output: Output, shares: &[Shared]) {
    let now = Clock.now();
    let mut rows = vec![["POLICY", "MAY", "UNTIL", ""].map(str::to_owned).to_vec()];
    rows.extend(shares.iter().map(|share| {
        let terms = &share.terms;
        let permissions = terms.permissions.as_deref().unwrap_or("-").to_owned();
        vec![terms.id.clone(), permissions, time(terms.expires_at()), state(share, now)]
    }));
    for line in columns(&rows, &[false; 4]) {
        output.line(line);
    }
}

fn state(share: &Shared, now: DateTime<Utc>) -> String {
    let terms = &share.terms;
    let mut words: Vec<String> = match share.kind {
        ShareKind::Policy if !terms.is_ours() => vec!["not haul's".to_owned()],
        ShareKind::Policy => Vec::new(),
        ShareKind::Link(_) => vec![share.kind.word().to_owned()],
    };
    match terms.expires_at() {
        Some(end) if end <= now => words.push("ended".to_owned()),
        _ if terms.is_ending() => words.push("replaced".to_owned()),
        _ => {}
    }
    if !terms.excess().is_empty() {
        words.push(format!("WIDER than made: {}", terms.excess()));
    }
    words.join(", ")
}

/// A share without its signature.
pub(super) fn shown(share: &Shared) -> Value {
    let terms = &share.terms;
    let is_ours = terms.is_ours();
    json!({
        "policy": terms.id,
        "kind": share.kind.word(),
        "permissions": terms.permissions,
        // Of haul's own a start says only that they are replaced.
        "starts_at": if is_ours { None } else { terms.start.as_ref() },
        "expires_at": terms.expires_at(),
        "is_ours": is_ours,
        // Whether its end can be moved; haul's runs do that.
        "is_extended": is_ours && share.kind.is_extended() && !terms.is_ending(),
        "is_replaced": terms.is_ending(),
        "excess": terms.excess(),
        "days": is_ours.then(|| terms.days()),
    })
}

pub(super) fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%SZ").to_string())
}
