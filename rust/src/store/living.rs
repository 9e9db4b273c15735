//! Threads that save, of any store: a process that ends waits for them.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// Threads of this process that still save, of any store.
static LIVING: (Mutex<Vec<u32>>, Condvar) = (Mutex::new(Vec::new()), Condvar::new());

/// One of the living.
pub struct Alive(u32);

impl Alive {
    /// Counts the thread that is about to start.
    pub fn new() -> Self {
        let process = std::process::id();
        if let Ok(mut living) = LIVING.0.lock() {
            // A fork has none of its parent's threads.
            living.retain(|of| *of == process);
            living.push(process);
        }
        Alive(process)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if let Ok(mut living) = LIVING.0.lock()
            && let Some(at) = living.iter().position(|of| *of == self.0)
        {
            living.swap_remove(at);
        }
        LIVING.1.notify_all();
    }
}

/// Waits until no thread of this process saves any more, but no longer than `most`; gives whether
/// that is so.
pub fn wait_for_workers(most: Duration) -> bool {
    let (start, process) = (Instant::now(), std::process::id());
    let Ok(mut living) = LIVING.0.lock() else { return true };
    while living.contains(&process) {
        let left = most.saturating_sub(start.elapsed());
        if left.is_zero() {
            return false;
        }
        match LIVING.1.wait_timeout(living, left) {
            Ok((woken, _)) => living = woken,
            Err(_) => return true,
        }
    }
    true
}
