//! The one error of the core: a stable slug, a sentence, and data about the failure.

use std::borrow::Cow;
use std::fmt;

/// What every fallible function of the core gives back.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure: `slug` names its kind for programs, `message` says it to people.
///
/// Boxed, because results travel through hot loops that almost never fail.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    slug: &'static str,
    message: Cow<'static, str>,
    /// Path segments from the innermost value outwards.
    path: Vec<String>,
    context: Vec<(&'static str, Detail)>,
}

/// One piece of data about a failure; never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// A name, a path or a type.
    Text(String),
    /// A count, a size or a number.
    Number(u64),
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Detail::Text(text.to_owned())
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Detail::Text(text)
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Detail::Number(number)
    }
}

impl Error {
    /// A failure of kind `slug`; the slug must stand in `dachi_fast/errors.py`.
    #[cold]
    pub fn new(slug: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner {
            slug,
            message: message.into(),
            path: Vec::new(),
            context: Vec::new(),
        }))
    }

    /// Adds a piece of data.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Detail>) -> Self {
        self.0.context.push((key, value.into()));
        self
    }

    /// Says inside which element the failure lies; called while unwinding, innermost first.
    #[must_use]
    pub fn inside(mut self, segment: impl Into<String>) -> Self {
        self.0.path.push(segment.into());
        self
    }

    /// The stable name of this kind of failure.
    pub fn slug(&self) -> &'static str {
        self.0.slug
    }

    /// The sentence without the path.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in a state the failure lies, as a dot path.
    pub fn path(&self) -> Option<String> {
        if self.0.path.is_empty() {
            return None;
        }
        let segments: Vec<&str> = self.0.path.iter().rev().map(String::as_str).collect();
        Some(segments.join("."))
    }

    /// The data added by [`Error::with`].
    pub fn context(&self) -> &[(&'static str, Detail)] {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{} (at {path})", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_from_the_outside_in() {
        let error = Error::new("cycle", "a cycle").inside("inner").inside("outer");
        assert_eq!(error.path().as_deref(), Some("outer.inner"));
        assert_eq!(error.to_string(), "a cycle (at outer.inner)");
    }
}
