//! The files for Power BI, proved without Power BI: queries by Microsoft's parser, formatter and language services, projects by
//! Microsoft's schemas and a strict reader of TMDL, and the logic of the queries by a small evaluator over the parser's tree,
//! against a real store and a real signature. What that proves and what not stands in tests/rigs/m/evaluate.mjs.

#![allow(missing_docs)]

#[path = "powerbi/faults.rs"]
mod faults;
#[path = "powerbi/language.rs"]
mod language;
#[path = "powerbi/local.rs"]
mod local;
#[path = "powerbi/projects.rs"]
mod projects;
#[path = "powerbi/reads.rs"]
mod reads;
#[path = "powerbi/scene.rs"]
mod scene;
mod support;
#[path = "powerbi/texts.rs"]
mod texts;
