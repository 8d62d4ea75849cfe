//! How a command ends: exit code, one message, and the next command to type.

use std::process::ExitCode;

use crate::screen;

/// Exit codes, part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// Failed.
    Failed = 1,
    /// The command line is wrong. clap uses the same number.
    Usage = 2,
    /// The configuration is refused.
    Invalid = 3,
    /// No admin API answers.
    Unreachable = 4,
    /// A target is unhealthy, the last reload was refused, or a rollback is held in memory.
    Unhealthy = 5,
    /// It took too long.
    TimedOut = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended otherwise than well.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// `message` in lower case, no full stop; it may bring its own `hint: ` line.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// What to type next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As [`Failure::hint`], when there is one.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    /// What to type next, where the message says nothing of it.
    pub(crate) fn hint_if_none(mut self, hint: impl Into<String>) -> Self {
        if self.hint.is_none() && !self.message.contains("\nhint: ") {
            self.hint = Some(hint.into());
        }
        self
    }

    /// What went wrong, without the hint.
    pub(crate) fn message(&self) -> &str {
        self.message.trim_end()
    }

    /// Says it on standard error.
    pub(crate) fn tell(self) -> ExitCode {
        screen::say_error(self.message.trim_end(), self.hint.as_deref());
        self.exit.into()
    }
}

/// Standard output cannot be written; a reader that has gone away is no failure.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        Self::new(Exit::Failed, format!("cannot write to standard output: {error}"))
    }
}
