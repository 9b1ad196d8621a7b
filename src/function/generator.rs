//! The generator: keeps a rack's set, and takes it away when the last owner leaves.
//!
//! Shell: reads, has the core decide, claims, sees that nothing has changed meanwhile, writes in order.

use std::cell::Cell;
use std::ops::Deref;

use crate::cloudformation::response::{ClientData, GeneratorData};
use crate::machine::Machine;
use crate::pki::certificate::Certificate;
use crate::pki::timestamp::timestamp;
use crate::plan::Plan;
use crate::plan::assessment::Assessment;
use crate::plan::open_rotation::OpenRotation;
use crate::plan::planner;
use crate::plan::publication::{Publication, PublicationError, publication};
use crate::plan::refusal::Refusal;
use crate::plan::removal::{Departure, Removal, removal};
use crate::plan::spec::{GeneratorProperties, Spec};
use crate::plan::standing::Standing;
use crate::plan::warning::{self, Warning};
use crate::plan::write::Write;
use crate::set::decoded::Found;
use crate::set::pair::Pair;
use crate::set::parameter::{ParameterType, StoredParameter, StoredSet};
use crate::set::rack::{Part, Rack};
use crate::store::claim::{Attempt, ClaimError, Claimant, Lease};
use crate::store::patience;
use crate::store::{Deletion, ParameterStore, Put, StoreError};

/// What became of a set that was to be kept.
#[derive(Debug)]
pub struct Reconciled {
    /// What was done, and why.
    pub plan: Plan,
    /// The rotation that is open now.
    pub rotation: Option<OpenRotation>,
    /// What `Fn::GetAtt` reads.
    pub data: GeneratorData,
    /// What is not as it should be, and what a person has to see to.
    pub warnings: Vec<Warning>,
    /// How the set stands now.
    pub standing: Standing,
}

/// Why a set was not kept or removed.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// The event asks for what would do harm.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The plan could not be carried out; nothing was written.
    #[error(transparent)]
    Publication(#[from] PublicationError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store failed behind the first write.
    #[error("{error}; {done} of {all} writes had been made, and the next update completes them")]
    Interrupted {
        /// What failed.
        error: StoreError,
        /// How many writes were done.
        done: usize,
        /// How many there were to do.
        all: usize,
    },
    /// The rack could not be claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl GeneratorError {
    /// Whether time ran out while another handler was writing, or while the store had too many calls: what was begun
    /// can be completed later.
    pub(crate) fn is_out_of_time(&self) -> bool {
        match self {
            Self::Claim(ClaimError::OutOfTime) => true,
            Self::Claim(ClaimError::Store(error))
            | Self::Store(error)
            | Self::Interrupted { error, .. } => error.is_throttled(),
            Self::Refused(_) | Self::Publication(_) => false,
        }
    }

    /// The store failed when so much was done.
    fn at(error: StoreError, done: usize, all: usize) -> Self {
        match done {
            0 => error.into(),
            done => Self::Interrupted { error, done, all },
        }
    }

    /// Whether something was sent that may take effect yet.
    fn is_unanswered(&self) -> bool {
        match self {
            Self::Store(error) | Self::Interrupted { error, .. } => {
                matches!(error, StoreError::Unreachable { .. })
            }
            Self::Refused(_) | Self::Publication(_) | Self::Claim(_) => false,
        }
    }
}

/// Whether a set is still the one that was read, whoever has claimed it since.
fn is_unchanged(read: &StoredSet, again: &StoredSet) -> bool {
    let but_claim = |part: &(&Part, &StoredParameter)| *part.0 != Part::Claim;
    read.iter()
        .filter(but_claim)
        .eq(again.iter().filter(but_claim))
}

/// The generator for one rack.
pub struct Generator<'a, S, M> {
    store: &'a S,
    machine: &'a M,
    rack: &'a Rack,
    claimant: Claimant<'a, S, M>,
    owns: &'a Cell<bool>,
}

impl<'a, S: ParameterStore, M: Machine> Generator<'a, S, M> {
    /// A generator for one event. `owns` is set once the store's state lists the event's resource as an owner, so
    /// that the answer is right even to an event whose handling is broken off.
    pub fn new(store: &'a S, machine: &'a M, rack: &'a Rack, owns: &'a Cell<bool>) -> Self {
        Self {
            store,
            machine,
            rack,
            owns,
            claimant: Claimant::new(store, machine, rack),
        }
    }

    /// Brings the set to what is asked for: Create and Update.
    pub async fn reconcile(&self, spec: &Spec) -> Result<Reconciled, GeneratorError> {
        let reconciled = self.reconcile_all(spec).await;
        self.claimant.withdraw().await;
        reconciled
    }

    async fn reconcile_all(&self, spec: &Spec) -> Result<Reconciled, GeneratorError> {
        loop {
            let stored = self.claimant.read().await?;
            let assessment = Assessment::of(Found::decode(&stored));
            self.note_ownership(spec, &assessment);
            let now = self.machine.now();
            let plan = planner::plan(spec, &assessment, now);
            if plan.as_ref().is_ok_and(Plan::is_keep) {
                return Ok(self.reconciled(spec, plan?, &stored, &assessment));
            }
            if self.claimant.is_shut_out(&stored) {
                // What was read may be half of what somebody is writing: no reason to refuse, or to issue anything.
                self.claimant.wait().await?;
                continue;
            }
            // What cannot be carried out is refused before anything is claimed, and so before anything is written;
            // and keys are made before a lease begins, for that may take its time.
            let (plan, mint) = (plan?, &mut self.machine.mint());
            let publication = publication(&plan, spec, &stored, &assessment, now, mint)?;
            let Some(lease) = self.claim(&stored).await? else {
                continue;
            };
            let published = self.publish(spec, stored, &publication, &lease).await;
            self.leave(lease, published.as_ref().err()).await;
            if let Some(stored) = published? {
                let mut reconciled = self.reconciled(spec, plan, &stored, &publication.result);
                // What is stored now does not tell any more.
                let exposed = warning::exposed_keys(self.rack, &assessment);
                reconciled.warnings.extend(exposed);
                return Ok(reconciled);
            }
        }
    }

    /// Removes the set, or takes one owner off it: Delete.
    pub async fn remove(&self, departure: &Departure) -> Result<Removal, GeneratorError> {
        let removed = self.remove_all(departure).await;
        self.claimant.withdraw().await;
        removed
    }

    async fn remove_all(&self, departure: &Departure) -> Result<Removal, GeneratorError> {
        let mut is_second = false;
        loop {
            let stored = self.claimant.read().await?;
            let decided = removal(departure, &stored);
            if matches!(decided, Removal::Nothing(_)) {
                return Ok(decided);
            }
            if self.claimant.is_shut_out(&stored) {
                self.claimant.wait().await?;
                continue;
            }
            let Some(lease) = self.claim(&stored).await? else {
                continue;
            };
            let removed = if let Removal::Owner(write) = &decided {
                let kms_key_id = departure.kms_key_id.as_deref();
                self.put(write, kms_key_id, &lease).await
            } else {
                let delete = async || self.store.delete(self.rack, Deletion::Everything).await;
                let deleted = self.claimant.write(&lease, delete).await;
                if let Ok(Some(())) = deleted {
                    self.claimant.forget();
                    return Ok(decided);
                }
                deleted
            };
            let removed = removed.map_err(GeneratorError::from);
            self.leave(lease, removed.as_ref().err()).await;
            match removed {
                Ok(Some(())) => return Ok(decided),
                Ok(None) => {}
                // Once it has taken effect, or never does, all is decided anew.
                Err(error) if error.is_unanswered() && !is_second => is_second = true,
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends a claim; unless something was written under it that may take effect yet.
    async fn leave(&self, lease: Lease, error: Option<&GeneratorError>) {
        if error.is_some_and(GeneratorError::is_unanswered) {
            self.claimant.unsettle().await;
        } else {
            self.claimant.end(lease).await;
        }
    }

    /// Becomes the only writer of the set that was read, or gives `None` where all has to be read again.
    async fn claim(&self, read: &StoredSet) -> Result<Option<Lease>, ClaimError> {
        match self.claimant.attempt().await? {
            Attempt::Won(lease, rest) if lease.follows(read) && is_unchanged(read, &rest) => {
                Ok(Some(lease))
            }
            Attempt::Won(lease, _) => {
                // Somebody has claimed and perhaps written since the first read, or it lagged behind writes.
                self.claimant.end(lease).await;
                self.claimant.wait().await?;
                Ok(None)
            }
            Attempt::Lost => Ok(None),
        }
    }

    /// Writes what has to be written, under a lease, and gives what is stored then; `None` if it has to be decided anew.
    async fn publish(
        &self,
        spec: &Spec,
        mut stored: StoredSet,
        publication: &Publication,
        lease: &Lease,
    ) -> Result<Option<StoredSet>, GeneratorError> {
        let kms_key_id = spec.properties.kms_key_id.as_deref();
        let all = publication.writes.len() + publication.removed.len();
        for (done, write) in publication.writes.iter().enumerate() {
            match self.put(write, kms_key_id, lease).await {
                Ok(Some(())) => {}
                Ok(None) => return Ok(None),
                // A parameter that the read did not show: reads may lag behind writes.
                Err(StoreError::AlreadyExists { .. }) => {
                    self.claimant.wait().await?;
                    return Ok(None);
                }
                Err(error) => return Err(GeneratorError::at(error, done, all)),
            }
            write.apply(&mut stored);
            if write.part == Part::State {
                self.note_ownership(spec, &publication.result);
            }
        }
        for (index, pair) in publication.removed.iter().enumerate() {
            let delete = async || self.store.delete(self.rack, Deletion::Pair(*pair)).await;
            match self.claimant.write(lease, delete).await {
                Ok(Some(())) => {}
                Ok(None) => return Ok(None),
                Err(error) => {
                    let done = publication.writes.len() + index;
                    return Err(GeneratorError::at(error, done, all));
                }
            }
            stored.remove(&pair.cert());
            stored.remove(&pair.key());
        }
        Ok(Some(stored))
    }

    fn note_ownership(&self, spec: &Spec, assessment: &Assessment) {
        let state = assessment.found.state.as_ref();
        self.owns
            .set(state.is_ok_and(|state| state.is_owned_by(&spec.owner)));
    }

    /// Makes one write; `None` if the lease ran out before.
    async fn put(
        &self,
        write: &Write,
        kms_key_id: Option<&str>,
        lease: &Lease,
    ) -> Result<Option<()>, StoreError> {
        let is_secure = write.parameter_type == ParameterType::SecureString;
        let put = Put {
            part: write.part,
            value: &write.value,
            parameter_type: write.parameter_type,
            overwrite: write.exists,
            kms_key_id: kms_key_id.filter(|_| is_secure),
            once: false,
        };
        let put = async || self.store.put(self.rack, &put).await;
        match self.claimant.write(lease, put).await {
            // The SDK sends a put again whose answer was lost, and then what it made is in its own way.
            Err(StoreError::AlreadyExists { .. }) if self.holds(write).await? => Ok(Some(())),
            version => Ok(version?.map(drop)),
        }
    }

    async fn holds(&self, write: &Write) -> Result<bool, StoreError> {
        let part = [write.part];
        let stored = patience::read(self.store, self.machine, self.rack, part).await?;
        let stored = stored.get(&write.part);
        Ok(stored.is_some_and(|stored| stored.value == write.value))
    }

    fn reconciled(
        &self,
        spec: &Spec,
        plan: Plan,
        stored: &StoredSet,
        assessment: &Assessment,
    ) -> Reconciled {
        let standing = Standing::of(&spec.next(), stored, assessment, self.machine.now());
        let mut warnings = standing.warnings.clone();
        warnings.extend(plan.warning.clone());
        Reconciled {
            plan,
            rotation: OpenRotation::of(assessment),
            data: data(spec, assessment),
            warnings,
            standing,
        }
    }
}

/// The generator's attributes for a set that is as it should be; a function of the set alone, whatever the date.
fn data(spec: &Spec, assessment: &Assessment) -> GeneratorData {
    let GeneratorProperties {
        rack,
        client_certificate,
        ..
    } = &spec.properties;
    let current = assessment.current_ca_certificate().map(Deref::deref);
    let leaf = assessment.found.server.leaf();
    let sha256 = |certificate: Option<&Certificate>| {
        let fingerprint = certificate.map(|certificate| certificate.fingerprint().to_string());
        fingerprint.unwrap_or_default()
    };
    let not_after = |certificate: Option<&Certificate>| {
        let end = certificate.map(|certificate| timestamp(certificate.not_after()));
        end.unwrap_or_default()
    };
    GeneratorData {
        ca_cert_ssm_key: rack.parameter_name(Part::CaCert),
        ca_key_ssm_key: rack.parameter_name(Part::CaKey),
        cert_ssm_key: rack.parameter_name(Part::Cert),
        key_ssm_key: rack.parameter_name(Part::Key),
        ca_cert_sha256: sha256(current),
        ca_cert_not_after: not_after(current),
        cert_sha256: sha256(leaf),
        cert_not_after: not_after(leaf),
        previous_ca_cert_sha256: sha256(assessment.previous_ca().map(Deref::deref)),
        client: client_certificate.usages(Pair::Client).map(|_| {
            let leaf = assessment.found.client.leaf();
            ClientData {
                client_cert_ssm_key: rack.parameter_name(Part::ClientCert),
                client_key_ssm_key: rack.parameter_name(Part::ClientKey),
                client_cert_sha256: sha256(leaf),
                client_cert_not_after: not_after(leaf),
            }
        }),
    }
}
