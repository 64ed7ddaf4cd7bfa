//! Typed tables as readers find them: types that change late, sums of money, the answers of known APIs without a declared
//! type, and the same bytes whatever the timing and the paging. Three independent readers agree on every value.

#![allow(missing_docs)]

#[path = "tables/edges.rs"]
mod edges;
#[path = "tables/kinds.rs"]
mod kinds;
#[path = "tables/money.rs"]
mod money;
#[path = "tables/profile.rs"]
mod profile;
#[path = "tables/same.rs"]
mod same;
#[path = "tables/scene.rs"]
mod scene;
#[path = "tables/shapes.rs"]
mod shapes;
#[path = "tables/snapshots.rs"]
mod snapshots;
mod support;
#[path = "tables/widening.rs"]
mod widening;
