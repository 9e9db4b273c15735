//! The core of dachi_fast.
