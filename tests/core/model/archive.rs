//! Everything that was ever stored: each value once, with what it decodes to, and each set once.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ptr;
use std::sync::{Arc, OnceLock};

use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::parameter::{
    ParameterType, ParameterValue, StoredParameter, StoredSet,
};
use docker_tls_certgen::set::rack::Part;

/// The number of a stored set.
pub type SetId = usize;

/// One part's value. An [`Archive`] has each once, so that it is the same where it is at the same place.
#[derive(Clone)]
pub struct StoredValue(Arc<Decoded>);

struct Decoded {
    part: Part,
    value: ParameterValue,
    /// A set that has this part alone.
    found: OnceLock<Found>,
}

impl StoredValue {
    /// The text.
    pub fn text(&self) -> &str {
        self.0.value.expose()
    }

    /// Puts what it decodes to into a set.
    fn add_to(&self, found: &mut Found) {
        let Decoded { part, value, .. } = &*self.0;
        let decoded = self.0.found.get_or_init(|| {
            let mut found = Found::nothing();
            found.replace(*part, value);
            found
        });
        match part {
            Part::CaCert => found.ca_cert.clone_from(&decoded.ca_cert),
            Part::CaKey => found.ca_key.clone_from(&decoded.ca_key),
            Part::Cert => found.server.cert.clone_from(&decoded.server.cert),
            Part::Key => found.server.key.clone_from(&decoded.server.key),
            Part::ClientCert => found.client.cert.clone_from(&decoded.client.cert),
            Part::ClientKey => found.client.key.clone_from(&decoded.client.key),
            Part::State => found.state.clone_from(&decoded.state),
            Part::Claim => {}
        }
    }
}

impl PartialEq for StoredValue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for StoredValue {}

impl Hash for StoredValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ptr::hash(Arc::as_ptr(&self.0), state);
    }
}

/// A stored set.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Set([Option<StoredValue>; Part::ALL.len()]);

impl Set {
    /// The value of a part.
    pub fn value(&self, part: Part) -> Option<&StoredValue> {
        self.0[part as usize].as_ref()
    }

    /// What it decodes to.
    pub fn found(&self) -> Found {
        let mut found = Found::nothing();
        for value in self.0.iter().flatten() {
            value.add_to(&mut found);
        }
        found
    }

    /// As a store holds it.
    pub fn stored(&self) -> StoredSet {
        let stored = |value: &StoredValue| {
            let parameter = StoredParameter {
                value: value.0.value.clone(),
                parameter_type: ParameterType::SecureString,
                version: 1,
            };
            (value.0.part, parameter)
        };
        self.0.iter().flatten().map(stored).collect()
    }
}

/// All values and sets.
#[derive(Default)]
pub struct Archive {
    values: HashMap<(Part, String), StoredValue>,
    sets: Vec<Arc<Set>>,
    ids: HashMap<Arc<Set>, SetId>,
}

impl Archive {
    /// The number of a set.
    pub fn id(&mut self, stored: &StoredSet) -> SetId {
        let mut set = Set::default();
        for (part, parameter) in stored {
            set.0[*part as usize] = Some(self.value(*part, parameter.value.expose()));
        }
        self.id_of(set)
    }

    /// The number of a set that differs in one part.
    pub fn id_with(&mut self, id: SetId, part: Part, value: Option<&str>) -> SetId {
        let mut set = Set::clone(&self.sets[id]);
        set.0[part as usize] = value.map(|value| self.value(part, value));
        self.id_of(set)
    }

    /// The set with that number.
    pub fn set(&self, id: SetId) -> Arc<Set> {
        Arc::clone(&self.sets[id])
    }

    /// How many sets there are.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    fn value(&mut self, part: Part, text: &str) -> StoredValue {
        let value = self.values.entry((part, text.to_owned()));
        let value = value.or_insert_with(|| {
            StoredValue(Arc::new(Decoded {
                part,
                value: text.into(),
                found: OnceLock::new(),
            }))
        });
        value.clone()
    }

    fn id_of(&mut self, set: Set) -> SetId {
        if let Some(id) = self.ids.get(&set) {
            return *id;
        }
        let set = Arc::new(set);
        self.sets.push(Arc::clone(&set));
        self.ids.insert(set, self.sets.len() - 1);
        self.sets.len() - 1
    }
}
