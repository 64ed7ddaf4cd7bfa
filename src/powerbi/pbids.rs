//! A data source file: Desktop opens its dialog at the address. It holds no query, and never a signature.

use serde_json::json;

use super::file::json_text;
use super::kit::Kit;
use super::reach::Reach;

pub(crate) fn text(kit: &Kit) -> String {
    let details = match &kit.reach {
        Reach::Signed { .. } | Reach::Open { .. } => {
            json!({ "protocol": "http", "address": { "url": kit.reach.address() } })
        }
        Reach::Folder { path } => json!({ "protocol": "folder", "address": { "path": path } }),
    };
    json_text(&json!({ "version": "0.1", "connections": [{ "details": details, "options": {}, "mode": "Import" }] }))
}
