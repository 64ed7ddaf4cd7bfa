//! Answers that are archives.

use std::io::{BufReader, Seek, SeekFrom, Write};

use super::{Bounded, Document, Error, READ_BYTES, finished, new_draft};

/// Unpacks a gzip file, of several members too.
pub(super) fn gzip(body: Document, bytes_max: u64) -> Result<Document, Error> {
    let inner = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(READ_BYTES, body));
    copied(inner, bytes_max, |why| Error::Gzip { why })
}

/// Unpacks all files of a zip archive, in the order of their names. Folders and encrypted files are no data.
pub(super) fn zip(body: Document, bytes_max: u64) -> Result<Vec<Document>, Error> {
    let wrong = |error: zip::result::ZipError| Error::Zip { why: error.to_string() };
    let mut archive = zip::ZipArchive::new(body).map_err(wrong)?;
    let mut names = Vec::new();
    for name in archive.file_names() {
        let name = name.map_err(wrong)?;
        if !name.ends_with('/') {
            names.push(name.into_owned());
        }
    }
    names.sort();
    let mut files = Vec::with_capacity(names.len());
    let mut left = bytes_max;
    for name in names {
        let file = archive.by_name(&name).map_err(wrong)?;
        let mut unpacked = copied(file, left, |why| Error::Zip { why })?;
        left = left.saturating_sub(unpacked.seek(SeekFrom::End(0))?);
        unpacked.seek(SeekFrom::Start(0))?;
        files.push(unpacked);
    }
    if files.is_empty() {
        return Err(Error::Zip { why: "it holds no file".to_owned() });
    }
    Ok(files)
}

fn copied(input: impl std::io::Read, bytes_max: u64, wrong: impl Fn(String) -> Error) -> Result<Document, Error> {
    let mut out = new_draft();
    let mut input = Bounded { inner: input, left: bytes_max };
    std::io::copy(&mut input, &mut out).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => Error::Unpacked { limit: bytes_max },
        std::io::ErrorKind::StorageFull => Error::Io { source: error },
        _ => wrong(error.to_string()),
    })?;
    out.flush()?;
    finished(out)
}
