//! One write of one parameter: what the core decides and the shell carries out.

use crate::set::parameter::{ParameterType, ParameterValue, StoredParameter, StoredSet};
use crate::set::rack::Part;

/// One write of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which parameter.
    pub part: Part,
    /// Its new value.
    pub value: ParameterValue,
    /// Its type: an existing parameter keeps its own.
    pub parameter_type: ParameterType,
    /// Whether it exists already.
    pub exists: bool,
}

impl Write {
    /// What the store holds after this write.
    pub fn apply(&self, stored: &mut StoredSet) {
        let version = stored
            .get(&self.part)
            .map_or(0, |existing| existing.version);
        stored.insert(
            self.part,
            StoredParameter {
                value: self.value.clone(),
                parameter_type: self.parameter_type,
                version: version + 1,
            },
        );
    }
}
