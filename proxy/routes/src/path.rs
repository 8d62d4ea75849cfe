//! The one normalisation of a request path.

/// A path as matching sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalPath(pub(crate) String);

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathProblem {
    /// It does not begin with `/`.
    NotAbsolute,
    /// `..` leads above the root.
    AboveRoot,
    /// `%` without two hexadecimal digits.
    BadPercent,
    /// NUL, raw or encoded.
    Nul,
    /// `%2f`, `%5c`, `\` or `;` give another route when read the other way.
    Ambiguous,
}
