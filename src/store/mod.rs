//! What the shell needs of a parameter store. SSM is one ([`crate::store::ssm`]); a local folder is another
//! ([`crate::store::folder`]).

pub mod claim;
pub mod folder;
pub mod patience;
pub mod ssm;

use std::fmt;

use time::Duration;

use crate::set::pair::Pair;
use crate::set::parameter::{ParameterType, ParameterValue, StoredSet};
use crate::set::rack::{Part, Rack};

/// How long after it was sent a put or a delete may take effect, retries of a put included: none is sent that could
/// outlive the lease.
pub const PUT_LIMIT: Duration = Duration::seconds(4);

/// A parameter store that keeps the sets of racks.
#[expect(
    async_fn_in_trait,
    reason = "handlers run on one thread, so futures need not be Send"
)]
pub trait ParameterStore {
    /// Reads some of a rack's parameters, decrypted. Only what the store says does not exist is absent.
    async fn read(&self, rack: &Rack, selectors: &[Selector]) -> Result<StoredSet, StoreError>;

    /// Writes one parameter and returns its new version.
    async fn put(&self, rack: &Rack, put: &Put<'_>) -> Result<i64, StoreError>;

    /// Deletes some of a rack's parameters, whether they exist or not. What takes the claim away is sent once.
    async fn delete(&self, rack: &Rack, deletion: Deletion) -> Result<(), StoreError>;
}

/// What is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deletion {
    /// Everything that has the rack's name, what the deployed handler left behind included.
    Everything,
    /// A pair.
    Pair(Pair),
}

impl Deletion {
    /// The names of the parameters that go.
    pub fn names(self, rack: &Rack) -> Vec<String> {
        match self {
            Self::Everything => {
                let mut names = rack.parameter_names();
                names.push(rack.version_track_name());
                names
            }
            Self::Pair(pair) => [pair.cert(), pair.key()]
                .map(|part| rack.parameter_name(part))
                .to_vec(),
        }
    }
}

/// Which parameter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Which part of a rack's set.
    pub part: Part,
    /// Which of its versions, of which a store keeps many; the latest where none is named.
    pub version: Option<i64>,
}

impl From<Part> for Selector {
    fn from(part: Part) -> Self {
        Self {
            part,
            version: None,
        }
    }
}

/// One write.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// Which parameter.
    pub part: Part,
    /// Its new value.
    pub value: &'a ParameterValue,
    /// Its type; on overwrite, the one that it has.
    pub parameter_type: ParameterType,
    /// Whether it may exist: `false` makes an existing one an error.
    pub overwrite: bool,
    /// The KMS key for a SecureString; the account's key for SSM where there is none.
    pub kms_key_id: Option<&'a str>,
    /// Whether it is sent once alone. Any other is sent again where its answer is lost, and then takes effect twice.
    pub once: bool,
}

/// What was being done when the store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreAction {
    /// `GetParameters`.
    Get,
    /// `PutParameter`.
    Put,
    /// `DeleteParameters`.
    Delete,
}

impl fmt::Display for StoreAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GetParameters",
            Self::Put => "PutParameter",
            Self::Delete => "DeleteParameters",
        })
    }
}

/// Why the store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A parameter that was to be created exists.
    #[error("the parameter {parameter} already exists")]
    AlreadyExists {
        /// Its name.
        parameter: String,
    },
    /// The store answered with an error.
    #[error("{action} of {parameter} was refused: {code}: {message}")]
    Refused {
        /// What was being done.
        action: StoreAction,
        /// To which parameter, or to which of them.
        parameter: String,
        /// The error's code, for example `AccessDeniedException`.
        code: String,
        /// The store's own words.
        message: String,
    },
    /// The store has too many calls to answer: nothing was done, and this passes.
    #[error("{action} of {parameter} was refused, for SSM has too many calls: {code}: {message}")]
    Throttled {
        /// What was being done.
        action: StoreAction,
        /// To which parameter, or to which of them.
        parameter: String,
        /// The error's code, for example `ThrottlingException`.
        code: String,
        /// The store's own words.
        message: String,
    },
    /// The store did not answer, or not so as to tell whether it was done.
    #[error("{action} of {parameter} got no answer: {message}")]
    Unreachable {
        /// What was being done.
        action: StoreAction,
        /// To which parameter, or to which of them.
        parameter: String,
        /// What happened.
        message: String,
    },
}

impl StoreError {
    /// Whether the store had too many calls, until time was up.
    pub(crate) fn is_throttled(&self) -> bool {
        matches!(self, Self::Throttled { .. })
    }
}
