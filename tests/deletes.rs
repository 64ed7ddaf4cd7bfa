//! Records that are gone: told by themselves, by a feed, by a sweep; removed or marked, with the rows of their lists; and
//! how little of a table a merge touches.

#![allow(missing_docs, clippy::print_stdout)]

#[path = "deletes/forms.rs"]
mod forms;
#[path = "deletes/oracle.rs"]
mod oracle;
#[path = "deletes/scene.rs"]
mod scene;
mod support;
#[path = "deletes/touched.rs"]
mod touched;
