//! Ids that stay the same as long as what they name does: hashes of names, so that writing a project anew changes nothing that
//! did not change.

use ring::digest::{SHA256, digest};

/// An id in the form of a UUID.
pub(super) fn uuid(of: &[&str]) -> String {
    let mut bytes = hash(of);
    // The marks of an id that is made of a name (RFC 9562 section 5.5).
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// An id as reports give it to pages and visuals: twenty digits.
pub(super) fn short(of: &[&str]) -> String {
    hash(of)[..10].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(of: &[&str]) -> Vec<u8> {
    // The length before each: no two lists are written the same.
    let text: String = of.iter().map(|part| format!("{}:{part}", part.len())).collect();
    digest(&SHA256, format!("haul power bi\n{text}").as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_uuids_and_differ_by_every_part() {
        let id = uuid(&["sales", "table", "orders"]);
        assert_eq!(id.len(), 36);
        assert_eq!(id, uuid(&["sales", "table", "orders"]));
        assert_eq!(&id[14..15], "5");
        assert!("89ab".contains(&id[19..20]));
        assert_ne!(uuid(&["a", "bc"]), uuid(&["ab", "c"]));
        assert_eq!(short(&["page"]).len(), 20);
    }
}
