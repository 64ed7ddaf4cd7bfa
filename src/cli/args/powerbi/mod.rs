//! The arguments of `haul powerbi`, with their help.

mod check;
mod refresh;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use url::Url;

pub(in crate::cli) use self::check::PowerbiCheckArgs;
pub(in crate::cli) use self::refresh::PowerbiRefreshArgs;
use super::JobArgs;
use crate::powerbi::Ranged;

#[derive(Debug, Args)]
#[command(after_help = "\
All of it is made from the published snapshot: run the job first. The same
snapshot gives the same files; a new column is a difference of that column.

Examples:
  haul powerbi m jobs/sales.yaml orders --self-contained
  haul powerbi pbip jobs/sales.yaml --out report
  haul powerbi dataflow jobs/sales.yaml --out dataflow
  haul powerbi pbids jobs/sales.yaml --out sales.pbids")]
pub(in crate::cli) struct PowerbiArgs {
    #[command(subcommand)]
    pub verb: PowerbiVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PowerbiVerb {
    /// Queries in M: a shared function and a query for each table, or one table's query to be pasted
    M(PowerbiMArgs),
    /// A Power BI Project for Desktop: model, relationships, measures of freshness, a small report
    Pbip(PowerbiPbipArgs),
    /// A Dataflow Gen2
    Dataflow(PowerbiDataflowArgs),
    /// A file that opens Desktop at the address; it holds no query and no signature
    Pbids(PowerbiPbidsArgs),
    /// Read the published dataset as Power BI would, and tell what is wrong and what helps
    Check(PowerbiCheckArgs),
    /// Refresh the semantic models and dataflows of the job, and show what came of it
    Refresh(PowerbiRefreshArgs),
}

/// What all of them ask.
#[derive(Debug, Args)]
pub(in crate::cli) struct KitArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Tables; all when absent
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
    #[command(flatten)]
    pub way: WayArgs,
}

/// How readers reach the files.
#[derive(Debug, Args)]
pub(in crate::cli) struct WayArgs {
    /// Stored access policy whose signature the queries use [default: the one of the job that ends last]
    #[arg(long, value_name = "POLICY", conflicts_with = "address")]
    pub share: Option<String>,
    /// The signature opens the job's folder only; of a share that haul knows this need not be said
    #[arg(long, conflicts_with = "address")]
    pub folder: bool,
    /// Address of the job's folder for readers, where that is not the destination's own
    // With a signature it belongs into a file: arguments can be seen by every user of the machine.
    #[arg(long, value_name = "URL")]
    pub address: Option<Url>,
    /// The same from a file, for a link that holds a signature; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "share", "folder"])]
    pub address_file: Option<PathBuf>,
    /// Write the signature into the result; whoever has that reads the data
    #[arg(long)]
    pub with_signature: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Without --out all queries are printed as one document; with one table and
--self-contained only that query, to be pasted: Get data > Blank query >
Advanced editor. `polling/` holds what \"detect data changes\" asks.

Examples:
  haul powerbi m jobs/sales.yaml
  haul powerbi m jobs/sales.yaml orders --self-contained
  haul powerbi m jobs/sales.yaml --out queries --incremental orders=made_on,3,7")]
pub(in crate::cli) struct PowerbiMArgs {
    #[command(flatten)]
    pub kit: KitArgs,
    /// Each query holds all that it needs: to be pasted, and for Excel, which reads CSV tables only
    #[arg(long, conflicts_with = "incremental")]
    pub self_contained: bool,
    /// Folder for one file a query
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub incremental: IncrementalArgs,
    /// Overwrite files that haul did not write, or that were changed since
    #[arg(long, requires = "out")]
    pub force: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IncrementalArgs {
    /// Refresh a table by ranges of a column of dates or times: what a report keeps in years [default: 10], and what each
    /// refresh looks at again in days [default: 30] (may be repeated)
    #[arg(long, value_name = "TABLE=COLUMN[,YEARS[,DAYS]]", value_parser = ranged)]
    pub incremental: Vec<(String, Ranged)>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Files that haul wrote are written anew. A report is written once and then
yours, and so is a signature that you pasted into the project. Measures of
your own belong into a table of your own: haul leaves other files alone.

Examples:
  haul powerbi pbip jobs/sales.yaml --out report
  haul powerbi pbip jobs/sales.yaml orders customers --out report
  haul powerbi pbip jobs/sales.yaml --out report --incremental orders=made_on
  haul powerbi pbip jobs/sales.yaml --out report --address https://h/t/sales")]
pub(in crate::cli) struct PowerbiPbipArgs {
    #[command(flatten)]
    pub kit: KitArgs,
    /// Folder of the project
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub incremental: IncrementalArgs,
    /// Overwrite files that haul did not write, or that were changed since, the report included
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  haul powerbi dataflow jobs/sales.yaml --out sales.Dataflow
  haul powerbi dataflow jobs/sales.yaml orders --out flow --with-signature")]
pub(in crate::cli) struct PowerbiDataflowArgs {
    #[command(flatten)]
    pub kit: KitArgs,
    /// Folder of the dataflow
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Overwrite files that haul did not write, or that were changed since
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A convenience only: Desktop asks for the rest. The queries of `haul powerbi m` do more.

Examples:
  haul powerbi pbids jobs/sales.yaml --out sales.pbids")]
pub(in crate::cli) struct PowerbiPbidsArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// File to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Address of the job's folder for readers, where that is not the destination's own
    #[arg(long, value_name = "URL")]
    pub address: Option<Url>,
    /// Overwrite another file
    #[arg(long)]
    pub force: bool,
}

const YEARS_DEFAULT: u32 = 10;
const YEARS_MAX: u32 = 120;
const DAYS_DEFAULT: u32 = 30;
const DAYS_MAX: u32 = 3_650;

fn ranged(text: &str) -> Result<(String, Ranged), String> {
    let form = "it is written TABLE=COLUMN, TABLE=COLUMN,YEARS or TABLE=COLUMN,YEARS,DAYS";
    let (table, rest) = text.split_once('=').ok_or(form)?;
    let mut words = rest.split(',').map(str::trim);
    let column = words.next().unwrap_or_default();
    let mut number = |default: u32, max: u32, what: &str| match words.next() {
        None => Ok(default),
        Some(word) => {
            let number = word.parse().ok().filter(|number| (1..=max).contains(number));
            number.ok_or_else(|| format!("{what} are a number from 1 to {max}"))
        }
    };
    let (years, days) = (number(YEARS_DEFAULT, YEARS_MAX, "years")?, number(DAYS_DEFAULT, DAYS_MAX, "days")?);
    if table.trim().is_empty() || column.is_empty() || words.next().is_some() {
        return Err(form.to_owned());
    }
    Ok((table.trim().to_owned(), Ranged { column: column.to_owned(), years, days }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_or_told_how() {
        let check = |text: &str, expect: Option<(&str, &str, u32, u32)>| {
            let read = ranged(text).ok();
            let expect = expect.map(|(table, column, years, days)| {
                (table.to_owned(), Ranged { column: column.to_owned(), years, days })
            });
            assert_eq!(read, expect, "{text}");
        };
        check("orders=created_at", Some(("orders", "created_at", 10, 30)));
        check("orders=created_at,3", Some(("orders", "created_at", 3, 30)));
        check("orders=created_at,3,7", Some(("orders", "created_at", 3, 7)));
        check("orders", None);
        check("orders=", None);
        check("=x", None);
        check("orders=x,0", None);
        check("orders=x,1,2,3", None);
        check("orders=x,many", None);
    }
}
