//! What the schema of the job file knows, for hints: where a key belongs that was typed at another level.

use serde_json::Value;

use super::problem::plain;

/// The keys and kinds of the schema.
#[derive(Clone, Copy)]
pub(super) struct Known<'s> {
    pub schema: &'s Value,
}

/// Parts of the schema and how a message names them; at most the first two that know a key are named.
const SECTIONS: &[(&str, &str)] = &[
    ("/properties", "the top of the file"),
    ("/$defs/SourceSpec/properties", "`source`"),
    ("/$defs/StreamSpec/properties", "a stream"),
    ("/$defs/DefaultsSpec/properties", "`source.defaults`"),
    ("/$defs/LimitsSpec/properties", "`source.limits`"),
    ("/$defs/NetworkSpec/properties", "`source.network`"),
    ("/$defs/DestinationSpec/properties", "`destination`"),
    ("/$defs/CsvFormSpec/properties", "`destination.csv`"),
    ("/$defs/ReceiverSpec/properties", "an entry of `notify`"),
    ("/$defs/PublishSpec/properties", "`publish`"),
    ("/$defs/Oauth2Spec/properties", "`source.auth.oauth2`"),
    ("/$defs/KeySpec/properties", "`source.auth.key`"),
    ("/$defs/BasicSpec/properties", "`source.auth.basic`"),
    ("/$defs/BearerSpec/properties", "`source.auth.bearer`"),
    ("/$defs/EntraSpec/properties", "`source.auth.entra`"),
    ("/$defs/SessionSpec/properties", "`source.auth.session`"),
    ("/$defs/IncrementalSpec/properties", "`incremental`"),
    ("/$defs/ContractSpec/properties", "`contract`"),
    ("/$defs/ChildTableSpec/properties", "an entry of `tables`"),
    ("/$defs/ReportSpec/properties", "`report`"),
    ("/$defs/ForEachSpec/properties", "`for_each`"),
    ("/$defs/CursorSpec/properties", "`paging.cursor`"),
    ("/$defs/OffsetSpec/properties", "`paging.offset`"),
    ("/$defs/PageSpec/properties", "`paging.page`"),
];

/// Kinds that are easily typed without the key they belong to.
const KINDS: &[(&str, &str)] = &[("/$defs/AuthSpec/oneOf", "auth"), ("/$defs/PagingSpec/oneOf", "paging")];

impl<'s> Known<'s> {
    /// The schema itself, or what it refers to.
    pub(super) fn resolve(&self, schema: &'s Value) -> &'s Value {
        match schema.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix('#')) {
            Some(pointer) => self.schema.pointer(pointer).expect("the schema's own references lead somewhere"),
            None => schema,
        }
    }

    /// Where a key belongs that is typed beside `names`, as a hint. `None` = no section knows it.
    pub(super) fn elsewhere(&self, name: &str, names: &[&str]) -> Option<String> {
        let kind = self.kind(name);
        let of_kind =
            |(kind, owner): (&str, &str)| format!("`{kind}` is a kind of `{owner}`: write `{owner}: {{ {kind}: … }}`");
        // `key` is a kind of `auth` beside `auth`, and what identifies a record anywhere else.
        if let Some((_, owner)) = kind
            && names.contains(&owner)
        {
            return kind.map(of_kind);
        }
        let mut places = Vec::new();
        for (pointer, place) in SECTIONS {
            let keys = self.schema.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
            places.extend(keys.filter(|(key, _)| plain(key) == plain(name)).map(|(key, _)| (key, *place)));
        }
        let Some((key, _)) = places.first() else { return kind.map(of_kind) };
        let shown: Vec<&str> = places.iter().take(2).map(|(_, place)| *place).collect();
        Some(format!("`{key}` belongs to {}", shown.join(" or to ")))
    }

    /// A kind of this name and the key that owns it.
    fn kind(&self, name: &str) -> Option<(&'s str, &'static str)> {
        KINDS.iter().find_map(|(pointer, owner)| {
            let kinds = self.schema.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
            let mut names = kinds.filter_map(|kind| kind.get("properties")?.as_object()).flatten();
            names.find(|(kind, _)| plain(kind) == plain(name)).map(|(kind, _)| (kind.as_str(), *owner))
        })
    }
}
