//! Backups of a store in an archive: objects by name, somewhere else.
//!
//! What is put there is what lies in the store, sealed; nothing here knows how objects travel. The
//! caller puts, gets, lists and deletes them as it is told.

mod backup;
mod objects;
mod restore;

pub use backup::{Backup, Finished};
pub use restore::{Found, Restoration, keys_of};
