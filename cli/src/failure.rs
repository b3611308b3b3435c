//! Why a command could not do what it was asked. Each variant is an exit code.

use pointsman::aws::CallError;
use pointsman::ledger::LedgerError;
use pointsman::run::RunError;

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Exit code 1: it was refused, or it failed.
    #[error("{0}")]
    Refused(String),
    /// Exit code 2: the command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// Exit code 3: what it names does not exist.
    #[error("{0}")]
    NotFound(String),
    /// Exit code 1, or 3 where an execution or an approval is missing.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Exit code 1: AWS did not answer, or refused.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Run(error.into())
    }
}

impl Failure {
    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) | Self::Run(RunError::NoExecution(_) | RunError::NoApproval(_)) => 3,
            Self::Usage(_) => 2,
            Self::Refused(_) | Self::Run(_) | Self::Call(_) => 1,
        }
    }

    /// Whether AWS could not be reached at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        let (Self::Call(error)
        | Self::Run(RunError::Aws(error))
        | Self::Run(RunError::Ledger(LedgerError::Unavailable(error)))) = self
        else {
            return false;
        };
        // As the SDK calls a request that never left.
        matches!(error, CallError::Lost(why) if why.starts_with("dispatch failure"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pointsman::domain::approval::ApprovalId;
    use pointsman::domain::execution::ExecutionId;

    #[test]
    fn each_failure_has_its_exit_code() {
        #[rustfmt::skip]
        let cases = [
            (Failure::Refused("r".into()), 1, "refused"),
            (Failure::Usage("u".into()),                                                      2, "the command line"),
            (Failure::NotFound("n".into()),                                                   3, "not there"),
            (Failure::Run(RunError::NoExecution(ExecutionId::named("ex-1"))),                 3, "no such execution"),
            (Failure::Run(RunError::NoApproval(ApprovalId::named("ap-1"))),                   3, "no such approval"),
            (Failure::Run(RunError::Contended),                   1, "others saved first"),
            (Failure::Call(CallError::Lost("timeout".into())),                                1, "no answer"),
            (LedgerError::Conflict.into(), 1, "somebody else was first"),
        ];
        for (failure, code, why) in cases {
            assert_eq!(failure.exit_code(), code, "{why}");
        }
    }

    #[test]
    fn what_never_left_is_told_from_what_got_no_answer() {
        let lost = |why: &str| Failure::Call(CallError::Lost(why.to_owned()));
        assert!(lost("dispatch failure: io error: connection refused").is_unreachable());
        assert!(!lost("InternalError: try again").is_unreachable());
        assert!(!Failure::Refused("dispatch failure".to_owned()).is_unreachable());
    }
}
