//! The floor under haul's processor time: pages that lie in memory are decoded with a schema known beforehand and
//! written as the Parquet that haul writes. No network, no inference, no envelope to look around in, no checksum.
//!
//! ```text
//! limit jiter|arrow-json FOLDER PAGES OUT
//! ```
//!
//! Reads `FOLDER/0.json` and on, writes `OUT`, prints one JSON line. The seconds are the processor's, user and system,
//! from the first page's decoding to the end of the file.

mod direct;
mod reader;
mod writer;

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// What went wrong, for the person at the terminal.
type Failure = Box<dyn std::error::Error>;

fn processor_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, way, folder, pages, out] = arguments.as_slice() else {
        return Err("limit jiter|arrow-json FOLDER PAGES OUT".into());
    };
    let count: usize = pages.parse()?;
    let pages = (0..count).map(|page| std::fs::read(Path::new(folder).join(format!("{page}.json"))));
    let pages = pages.collect::<Result<Vec<_>, _>>()?;
    let sink = std::fs::File::create(out)?;
    let (wall, processor) = (std::time::Instant::now(), processor_seconds());
    let rows = match way.as_str() {
        "jiter" => direct::convert(&pages, sink)?,
        "arrow-json" => reader::convert(&pages, sink)?,
        _ => return Err(format!("`{way}` is neither `jiter` nor `arrow-json`").into()),
    };
    let (wall, processor) = (wall.elapsed().as_secs_f64(), processor_seconds() - processor);
    println!("{{\"rows\":{rows},\"wall\":{wall:.6},\"cpu\":{processor:.6}}}");
    Ok(())
}
