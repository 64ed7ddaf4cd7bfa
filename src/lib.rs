//! haul as a library: everything but the process. `main.rs` calls [`cli`] and exits with what it returns.
