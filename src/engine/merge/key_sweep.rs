//! Former rows whose key is not among all those that another stream named. The keys of both are compared by their
//! checksums, a part of them at a time, so that memory does not grow with the table.

use arrow::array::RecordBatch;
use ring::digest::{SHA256, digest};

use super::deletes::Listed;
use super::parts::read_columns;
use crate::columns::Keys;
use crate::engine::context::Context;
use crate::engine::error::Error;
use crate::limits::SWEEP_KEYS_MAX;
use crate::model::deletes::Sweep;

/// Some of the keys that are there: those of one pass.
pub(in crate::engine) struct KeysThere {
    pass: u128,
    passes: u128,
    /// In ascending order.
    checksums: Vec<u128>,
}

/// How often the keys of the table are gone through.
pub(in crate::engine) fn passes_of(listed: &Listed) -> u64 {
    listed.rows().div_ceil(SWEEP_KEYS_MAX).max(1)
}

/// The keys of one pass.
pub(in crate::engine) async fn keys_there(
    ctx: &Context,
    sweep: &Sweep,
    listed: &Listed,
    keys: &Keys,
    pass: u64,
) -> Result<KeysThere, Error> {
    let mut there = KeysThere { pass: pass.into(), passes: passes_of(listed).into(), checksums: Vec::new() };
    let is_key = |name: &str| sweep.key.iter().any(|key| key.eq_ignore_ascii_case(name));
    let read: Vec<_> = listed.columns.iter().filter(|column| is_key(&column.name)).cloned().collect();
    let names: Vec<&str> = read.iter().map(|column| column.name.as_str()).collect();
    for part in listed.parts.iter().filter(|part| part.rows > 0) {
        for batch in read_columns(ctx, &listed.name, part, &names, &listed.columns).await? {
            there.add(keys, sweep, &batch?, &read)?;
        }
    }
    there.checksums.sort_unstable();
    Ok(there)
}

impl KeysThere {
    fn add(
        &mut self,
        keys: &Keys,
        sweep: &Sweep,
        batch: &RecordBatch,
        columns: &[crate::model::column::Column],
    ) -> Result<(), Error> {
        let wrong = |source| Error::Columns { stream: sweep.stream.clone(), source };
        let rows = keys.of_named(batch, columns, &sweep.key).map_err(wrong)?;
        let checksums = rows.iter().map(|key| checksum(key.as_ref()));
        let (pass, passes) = (self.pass, self.passes);
        self.checksums.extend(checksums.filter(|checksum| checksum % passes == pass));
        Ok(())
    }

    /// Whether a key of this pass is missing. Keys of other passes are not.
    pub(in crate::engine) fn misses(&self, key: &[u8]) -> bool {
        let checksum = checksum(key);
        checksum % self.passes == self.pass && self.checksums.binary_search(&checksum).is_err()
    }
}

/// 128 bits: among ten million keys two have the same with a chance of 10^-25.
fn checksum(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(&SHA256, key).as_ref()[..16]);
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_key_is_told_in_one_pass_and_others_in_none() {
        let key = |number: u32| number.to_be_bytes();
        for passes in [1, 3, 7] {
            let mut missed = vec![0; 200];
            for pass in 0..passes {
                let mut there = KeysThere { pass, passes, checksums: Vec::new() };
                let even = (0..200).step_by(2).map(|number| checksum(&key(number)));
                there.checksums.extend(even.filter(|checksum| checksum % passes == pass));
                there.checksums.sort_unstable();
                for (number, missed) in (0..).zip(missed.iter_mut()) {
                    *missed += u32::from(there.misses(&key(number)));
                }
            }
            let expected: Vec<u32> = (0..200).map(|number| number % 2).collect();
            assert_eq!(missed, expected, "{passes} passes");
        }
    }
}
