//! What a route says of its comparison. Valid by construction: every part is made by a function that parses.
//!
//! `headers`: which header fields are compared, and why the others are not.

mod headers;

use std::fmt;

use jiff::civil::Date;

pub use headers::{DEFAULT_EXCEPT, HeaderRules, HeadersProblem};

use crate::path::Step;
use crate::pattern::{Pattern, PatternProblem, PointerPattern};

/// Entries of the longest list of rules.
pub const RULES_MAX: usize = 256;

/// The rules of one route, part by part.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    /// What may differ.
    pub ignore: Vec<Pattern>,
    /// What may differ until a day, and why.
    pub accepted: Vec<Accepted>,
    /// Arrays whose order means nothing.
    pub unordered: Vec<Unordered>,
    /// Numbers that may differ a little. The first that names a place counts.
    pub tolerances: Vec<Tolerance>,
    /// Whether `1`, `1.0` and `1e0` are one.
    pub numbers: NumberForms,
    /// Where a value is a date: the same instant written differently is the same.
    pub dates: Vec<PointerPattern>,
    /// Whether white space in HTML counts.
    pub html: HtmlSpace,
    /// Which header fields are compared.
    pub headers: HeaderRules,
}

/// The rules of one route. `Rules::default()` has no exceptions.
#[derive(Debug, Clone, Default)]
pub struct Rules(RuleSet);

/// Whether the way a number is written counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NumberForms {
    /// `1` and `1.0` differ: clients with typed numbers see it.
    #[default]
    Written,
    /// By value, exactly, however many digits there are.
    Value,
}

/// Whether white space in HTML counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HtmlSpace {
    /// As in any text: by lines.
    #[default]
    Kept,
    /// Runs are one space, none between tags; `pre`, `textarea`, `script` and `style` stay as they are.
    Collapsed,
}

/// An array whose order means nothing.
#[derive(Debug, Clone)]
pub struct Unordered {
    array: PointerPattern,
    key: Option<String>,
}

/// How far two numbers may be apart.
#[derive(Debug, Clone)]
pub struct Tolerance {
    place: Option<PointerPattern>,
    absolute: f64,
    relative: f64,
}

/// A difference that somebody agreed to.
#[derive(Debug, Clone)]
pub struct Accepted {
    pattern: Pattern,
    reason: String,
    until: Date,
}

/// Why parts are no rules.
#[derive(Debug, Clone, PartialEq)]
pub enum RulesProblem {
    /// A list is too long.
    TooMany {
        /// The list.
        list: &'static str,
        /// How many entries it has.
        count: usize,
        /// How many it can have.
        most: usize,
    },
    /// A place.
    Pattern(PatternProblem),
    /// A key of an unordered array is empty.
    EmptyKey,
    /// Not a finite number from 0 on.
    Tolerance {
        /// What was given.
        value: f64,
    },
    /// Neither an absolute nor a relative tolerance.
    NoTolerance,
    /// An accepted difference says no reason.
    NoReason,
    /// Not a date as `2026-12-31`.
    Date {
        /// What was given.
        text: String,
    },
}

impl fmt::Display for RulesProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { list, count, most } => {
                write!(out, "`{list}` has at most {most} entries, not {count}")
            }
            Self::Pattern(problem) => problem.fmt(out),
            Self::EmptyKey => out.write_str("the key of an unordered array is empty"),
            Self::Tolerance { value } => {
                write!(out, "a tolerance is a finite number from 0 on, not `{value}`")
            }
            Self::NoTolerance => out.write_str("a tolerance is absolute, relative or both"),
            Self::NoReason => out.write_str("an accepted difference needs a reason"),
            Self::Date { text } => write!(out, "`{text}` is no date: write `2026-12-31`"),
        }
    }
}

impl std::error::Error for RulesProblem {}

impl From<PatternProblem> for RulesProblem {
    fn from(problem: PatternProblem) -> Self {
        Self::Pattern(problem)
    }
}

impl Unordered {
    /// An array by its pointer; with a key, items belong together whose members of this name are equal.
    pub fn parse(array: &str, key: Option<&str>) -> Result<Self, RulesProblem> {
        if key == Some("") {
            return Err(RulesProblem::EmptyKey);
        }
        Ok(Self { array: PointerPattern::parse(array)?, key: key.map(str::to_owned) })
    }

    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl Tolerance {
    /// Numbers at `place`, or all, may differ by `absolute`, or by `relative` times the larger magnitude.
    pub fn parse(
        place: Option<&str>,
        absolute: Option<f64>,
        relative: Option<f64>,
    ) -> Result<Self, RulesProblem> {
        if absolute.is_none() && relative.is_none() {
            return Err(RulesProblem::NoTolerance);
        }
        let checked = |value: Option<f64>| match value.unwrap_or(0.0) {
            value if value.is_finite() && value >= 0.0 => Ok(value),
            value => Err(RulesProblem::Tolerance { value }),
        };
        let place = place.map(PointerPattern::parse).transpose()?;
        Ok(Self { place, absolute: checked(absolute)?, relative: checked(relative)? })
    }

    /// Whether numbers this far apart are near enough.
    pub(crate) fn allows(&self, distance: f64, magnitude: f64) -> bool {
        distance <= self.absolute || distance <= self.relative * magnitude
    }
}

impl Accepted {
    /// A pattern, a reason for people, and the last day on which it holds.
    pub fn parse(pattern: &str, reason: &str, until: &str) -> Result<Self, RulesProblem> {
        if reason.trim().is_empty() {
            return Err(RulesProblem::NoReason);
        }
        let date = until.parse().map_err(|_| RulesProblem::Date { text: until.to_owned() })?;
        Ok(Self { pattern: Pattern::parse(pattern)?, reason: reason.to_owned(), until: date })
    }

    /// Why it was accepted.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The last day on which it holds.
    pub fn until(&self) -> Date {
        self.until
    }

    pub(crate) fn pattern_on(&self, today: Date) -> Option<&Pattern> {
        (today <= self.until).then_some(&self.pattern)
    }
}

impl Rules {
    /// Parts that fit together.
    pub fn new(set: RuleSet) -> Result<Self, RulesProblem> {
        for (list, count) in [
            ("ignore", set.ignore.len()),
            ("accepted", set.accepted.len()),
            ("unordered", set.unordered.len()),
            ("tolerance", set.tolerances.len()),
            ("dates", set.dates.len()),
        ] {
            if count > RULES_MAX {
                return Err(RulesProblem::TooMany { list, count, most: RULES_MAX });
            }
        }
        Ok(Self(set))
    }

    /// The parts.
    pub fn parts(&self) -> &RuleSet {
        &self.0
    }

    pub(crate) fn unordered_at(&self, path: &[Step<'_>]) -> Option<&Unordered> {
        self.0.unordered.iter().find(|rule| rule.array.is(path))
    }

    pub(crate) fn tolerance_at(&self, path: &[Step<'_>]) -> Option<&Tolerance> {
        self.0.tolerances.iter().find(|rule| rule.place.as_ref().is_none_or(|place| place.is(path)))
    }

    pub(crate) fn is_date(&self, path: &[Step<'_>]) -> bool {
        self.0.dates.iter().any(|place| place.is(path))
    }
}

#[cfg(test)]
mod tests {
    use super::{Accepted, RULES_MAX, RuleSet, Rules, RulesProblem, Tolerance, Unordered};
    use crate::pattern::Pattern;

    #[test]
    fn what_is_wrong_is_said_with_its_data() {
        let accepted = |reason, until| Accepted::parse("/a", reason, until).map(drop);
        assert_eq!(accepted("", "2026-01-01"), Err(RulesProblem::NoReason));
        assert_eq!(accepted("r", "1 May"), Err(RulesProblem::Date { text: "1 May".to_owned() }));
        assert_eq!(accepted("r", "2026-01-01"), Ok(()));
        assert_eq!(Unordered::parse("/a", Some("")).map(drop), Err(RulesProblem::EmptyKey));
        assert_eq!(Tolerance::parse(None, None, None).map(drop), Err(RulesProblem::NoTolerance));
        let negative = Tolerance::parse(None, Some(-1.0), None).map(drop);
        assert_eq!(negative, Err(RulesProblem::Tolerance { value: -1.0 }));
        let ignore = vec![Pattern::parse("/a").unwrap(); RULES_MAX + 1];
        let problem = Rules::new(RuleSet { ignore, ..RuleSet::default() }).unwrap_err();
        assert_eq!(problem.to_string(), "`ignore` has at most 256 entries, not 257");
    }
}
