//! An authorization server of each class, as small as can be.

use std::collections::BTreeMap;

use crate::model::plan::RotationClass;

/// A refresh token by its number; the first is 1.
pub(super) type Number = u8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Issued {
    parent: Number,
    is_spent: bool,
    is_revoked: bool,
}

/// Which tokens were issued and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Provider {
    class: RotationClass,
    issued: BTreeMap<Number, Issued>,
    /// Class D: used tokens are no longer taken.
    pub is_window_over: bool,
}

impl Provider {
    pub(super) fn new(class: RotationClass) -> Self {
        let first = Issued { parent: 0, is_spent: false, is_revoked: false };
        Provider { class, issued: BTreeMap::from([(1, first)]), is_window_over: false }
    }

    pub(super) fn takes(&self, token: Number) -> bool {
        let Some(issued) = self.issued.get(&token) else { return false };
        let is_successor_used = || self.issued.values().any(|other| other.parent == token && other.is_spent);
        !issued.is_revoked
            && match self.class {
                RotationClass::NotRotated | RotationClass::OldStaysValid => true,
                RotationClass::ValidUntilSuccessorUsed => !is_successor_used(),
                RotationClass::ValidForWindow => !issued.is_spent || !self.is_window_over,
                RotationClass::SingleUse | RotationClass::ReuseRevokesFamily => !issued.is_spent,
            }
    }

    /// Spends a token: the new one, or `None` when it is not valid.
    pub(super) fn spend(&mut self, token: Number) -> Option<Number> {
        if !self.takes(token) {
            let is_theft = self.class == RotationClass::ReuseRevokesFamily;
            if is_theft {
                self.issued.values_mut().for_each(|issued| issued.is_revoked = true);
            }
            return None;
        }
        self.issued.get_mut(&token).expect("an issued token").is_spent = true;
        if self.class == RotationClass::NotRotated {
            return Some(token);
        }
        let new = self.issued.keys().max().expect("the first token") + 1;
        self.issued.insert(new, Issued { parent: token, is_spent: false, is_revoked: false });
        Some(new)
    }

    pub(super) fn class(&self) -> RotationClass {
        self.class
    }

    /// Whether it was issued and never used.
    pub(super) fn is_unspent(&self, token: Number) -> bool {
        self.issued.get(&token).is_some_and(|issued| !issued.is_spent)
    }

    pub(super) fn count(&self) -> usize {
        self.issued.len()
    }
}
