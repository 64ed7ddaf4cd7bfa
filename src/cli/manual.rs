//! What haul says of itself: the schema of job files, shell completions, manual pages.

use std::path::Path;

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs, ManArgs};
use super::failure::{Exit, Failure};
use super::output::Output;

pub(super) fn schema(output: &Output) -> Result<Exit, Failure> {
    output.bytes(crate::job::schema_text().as_bytes());
    Ok(Exit::Done)
}

pub(super) fn completions(output: &Output, args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "haul", &mut text);
    output.bytes(&text);
    Ok(Exit::Done)
}

pub(super) fn man(output: &Output, args: &ManArgs) -> Result<Exit, Failure> {
    let command = Cli::command();
    let Some(folder) = &args.dir else {
        output.bytes(&page(command)?);
        return Ok(Exit::Done);
    };
    let wrong =
        |error: std::io::Error| Failure::failed(format!("`{}` cannot be written", folder.display())).cause(&error);
    std::fs::create_dir_all(folder).map_err(wrong)?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("haul-{}", verb.get_name());
        // The library wants a name that lives as long as the program; one small leak per page of a one-off command.
        let page = page(verb.clone().name(&*Box::leak(name.clone().into_boxed_str())))?;
        write(folder, &name, &page).map_err(wrong)?;
    }
    write(folder, "haul", &page(command)?).map_err(wrong)?;
    output.note(format!("manual pages are in {}", folder.display()));
    Ok(Exit::Done)
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut text)
        .map_err(|error| Failure::failed("the manual page cannot be made").cause(&error))?;
    Ok(text)
}

fn write(folder: &Path, name: &str, page: &[u8]) -> std::io::Result<()> {
    std::fs::write(folder.join(format!("{name}.1")), page)
}
