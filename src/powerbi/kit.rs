//! What the kit is made of: the tables of a snapshot, as far as readers need to know them, and the way to them.

use std::collections::BTreeMap;

use super::reach::Reach;
use crate::model::column::{Column, ColumnType};
use crate::model::csv_form::CsvForm;
use crate::model::destination::Profile;
use crate::model::manifest::{Manifest, ParentLink, Reference};

/// Name of the table with one row that says which snapshot was read.
pub(crate) const SNAPSHOT: &str = "haul_snapshot";
/// The shared function that reads a table.
pub(crate) const FUNCTION: &str = "HaulTable";
/// The parameters of incremental refresh; Power BI knows them by these names.
pub(crate) const RANGE: [&str; 2] = ["RangeStart", "RangeEnd"];

/// A dataset for Power BI.
#[derive(Debug, Clone)]
pub(crate) struct Kit {
    pub job: String,
    pub reach: Reach,
    /// Names of the pointer and of the status below the job's folder.
    pub pointer: String,
    pub status: String,
    /// In the order of their names.
    pub tables: Vec<Table>,
}

/// A table of it.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    pub key: Vec<String>,
    pub parent: Option<ParentLink>,
    pub references: Vec<Reference>,
    /// Absent = its files are Parquet.
    pub csv: Option<CsvForm>,
    /// How Power BI refreshes parts of it. Absent = it is read whole.
    pub ranged: Option<Ranged>,
}

/// Incremental refresh of a table, by the values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranged {
    pub column: String,
    /// What the report keeps.
    pub years: u32,
    /// What each refresh looks at again.
    pub days: u32,
}

/// Why there is no kit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KitError {
    #[error("the snapshot has no table `{table}`; it has {known}")]
    NoTable { table: String, known: String },
    #[error("table `{table}` has no column `{column}`")]
    NoColumn { table: String, column: String },
    #[error("column `{column}` of table `{table}` is of type {kind}, and incremental refresh goes by dates and times")]
    NoMoment { table: String, column: String, kind: ColumnType },
    #[error("the name {name:?} has a character that no line can show")]
    Name { name: String },
    #[error("`{name}` is a name of haul's own in Power BI, and the job has a table of that name")]
    TakenTable { name: String },
    #[error("table `{table}` has a column `{SNAPSHOT}`, which haul adds to every table in Power BI")]
    TakenColumn { table: String },
    #[error("the files of table `{table}` are Parquet of the profile `{profile}`, which Power BI does not read well")]
    Profile { table: String, profile: Profile },
    #[error("table `{table}` spells {what} as `{format}`, which queries cannot read back")]
    Spelling { table: String, what: &'static str, format: String },
    #[error("table `{table}` spells dates and times in a form of its own, which incremental refresh cannot compare")]
    OwnSpelling { table: String },
}

impl KitError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            KitError::NoTable { .. } => "names are those of the job file's streams and of their lists",
            KitError::NoColumn { .. } => "`haul schema JOBFILE` shows the columns",
            KitError::NoMoment { .. } => "choose a column of type date, datetime or instant",
            KitError::Name { .. } => "give it another name in the job file",
            KitError::TakenTable { .. } => "give the stream another name in the job file",
            KitError::TakenColumn { .. } => "rename or drop the column in the job file",
            KitError::Profile { .. } => {
                "set `destination.profile: powerbi` and run the job, in a job of its own if others read \
                                         these files"
            }
            KitError::Spelling { .. } | KitError::OwnSpelling { .. } => {
                "leave `date_format` and `datetime_format` out of `destination.csv` and run the job: ISO is read everywhere"
            }
        }
    }
}

impl Kit {
    /// The kit of a snapshot's tables, all of them where none is chosen. `ranges` names the tables with incremental
    /// refresh.
    pub(crate) fn of(
        manifest: &Manifest,
        chosen: &[String],
        ranges: &BTreeMap<String, Ranged>,
        reach: Reach,
        [pointer, status]: [&str; 2],
    ) -> Result<Kit, KitError> {
        for table in chosen.iter().chain(ranges.keys()) {
            if !manifest.tables.contains_key(table) {
                let known: Vec<&str> = manifest.tables.keys().map(String::as_str).collect();
                return Err(KitError::NoTable { table: table.clone(), known: known.join(", ") });
            }
        }
        let mut kit = Kit {
            job: manifest.job.clone(),
            reach,
            pointer: pointer.to_owned(),
            status: status.to_owned(),
            tables: Vec::new(),
        };
        for (name, table) in &manifest.tables {
            if !chosen.is_empty() && !chosen.contains(name) {
                continue;
            }
            if table.csv.is_none() && table.profile != Profile::Powerbi {
                return Err(KitError::Profile { table: name.clone(), profile: table.profile });
            }
            kit.tables.push(Table {
                name: name.clone(),
                columns: table.columns.clone(),
                key: table.key.clone(),
                parent: table.parent.clone(),
                references: table.references.clone(),
                csv: table.csv.clone(),
                ranged: ranges.get(name).cloned(),
            });
        }
        kit.check()?;
        Ok(kit)
    }

    fn check(&self) -> Result<(), KitError> {
        let parameters = self.reach.parameters();
        let taken: Vec<&str> =
            [SNAPSHOT, FUNCTION].into_iter().chain(RANGE).chain(parameters.iter().map(|(name, _)| *name)).collect();
        for table in &self.tables {
            let named = |name: &&str| name.eq_ignore_ascii_case(&table.name);
            if let Some(name) = taken.iter().copied().find(named) {
                return Err(KitError::TakenTable { name: name.to_owned() });
            }
            table.check()?;
        }
        Ok(())
    }

    /// The table of this name.
    pub(crate) fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

impl Table {
    fn check(&self) -> Result<(), KitError> {
        let table = || self.name.clone();
        if self.columns.iter().any(|column| column.has_name(SNAPSHOT)) {
            return Err(KitError::TakenColumn { table: table() });
        }
        let names = self.columns.iter().map(|column| &column.name).chain([&self.name]);
        for name in names {
            if name.is_empty() || name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
                return Err(KitError::Name { name: name.clone() });
            }
        }
        for column in &self.columns {
            super::types::spelling(self, column)?;
        }
        let Some(Ranged { column: wanted, .. }) = &self.ranged else { return Ok(()) };
        let Some(column) = self.columns.iter().find(|column| column.name == *wanted) else {
            return Err(KitError::NoColumn { table: table(), column: wanted.clone() });
        };
        match column.kind {
            ColumnType::Date | ColumnType::DateTime | ColumnType::Instant => {}
            kind => return Err(KitError::NoMoment { table: table(), column: wanted.clone(), kind }),
        }
        match super::types::spelling(self, column)? {
            Some(_) => Err(KitError::OwnSpelling { table: table() }),
            None => Ok(()),
        }
    }
}
