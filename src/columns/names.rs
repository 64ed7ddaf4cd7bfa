//! Column names made from the path of a field.

use crate::limits::COLUMN_NAME_CHARS_MAX;

use super::error::{Error, shown};

/// The column name of a path: its keys joined by `_`, every character outside `[A-Za-z0-9_]` replaced by `_`, and a `_`
/// in front of a leading digit.
pub(crate) fn name_of(path: &[String]) -> Result<String, Error> {
    let mut name = String::new();
    for (at, key) in path.iter().enumerate() {
        if at > 0 {
            name.push('_');
        }
        name.extend(key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }));
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if name.len() > COLUMN_NAME_CHARS_MAX {
        return Err(Error::LongName { path: shown(path), chars: name.len(), limit: COLUMN_NAME_CHARS_MAX });
    }
    Ok(name)
}

/// The form under which two names count as the same.
pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &[&str], expect: &str) {
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        assert_eq!(name_of(&path).expect("a name"), expect, "{path:?}");
    }

    #[test]
    fn names_are_identifiers() {
        check(&["id"], "id");
        check(&["a", "b", "C"], "a_b_C");
        check(&["first name"], "first_name");
        check(&["Größe"], "Gr__e");
        check(&["2024"], "_2024");
        check(&["a", "2"], "a_2");
        check(&[""], "_");
        check(&["a.b", "c-d"], "a_b_c_d");
        check(&["x@OData.Community.Display.V1.FormattedValue"], "x_OData_Community_Display_V1_FormattedValue");
    }

    #[test]
    fn long_names_are_refused() {
        check(&["x".repeat(COLUMN_NAME_CHARS_MAX).as_str()], &"x".repeat(COLUMN_NAME_CHARS_MAX));
        let error = name_of(&["x".repeat(COLUMN_NAME_CHARS_MAX + 1)]).expect_err("too long");
        assert!(error.to_string().contains("COLUMN_NAME_CHARS_MAX"), "{error}");
    }
}
