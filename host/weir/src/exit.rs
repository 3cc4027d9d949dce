//! How the process ends: exit codes that a script can tell apart.

use std::process::ExitCode;

/// What a command comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all is well.
    Ok,
    /// 1: something failed while running.
    Failed,
    /// 2: the configuration, or the command line, is wrong.
    Configuration,
    /// 3: what this machine should give is not there: an address, a folder, a lock.
    Environment,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Configuration => 2,
            Exit::Environment => 3,
        })
    }
}
