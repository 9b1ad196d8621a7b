//! One event from end to end, but for the network on either side: whom it is about, what is done, what is answered.

use std::cell::{Cell, RefCell};

use crate::cloudformation::event::{Event, RequestType, ResourceKind};
use crate::cloudformation::properties::{self, GetterProperties, PropertyError};
use crate::cloudformation::response::{self, Data, GetterData, Response};
use crate::function::generator::{Generator, GeneratorError};
use crate::function::getter::{self, GetterError};
use crate::machine::Machine;
use crate::plan::removal::{Departure, Removal};
use crate::plan::spec::{GeneratorProperties, Occasion, OldProperties, Spec};
use crate::plan::standing::Standing;
use crate::plan::warning::Warning;
use crate::set::rack::Rack;
use crate::set::state::{EventSeconds, Owner};
use crate::store::ParameterStore;

/// What came of an event.
#[derive(Debug)]
pub enum Outcome {
    /// An answer for CloudFormation, and for people what was done.
    Answer(Response, Report),
    /// No answer yet: time ran out while SSM had too many calls, or while another invocation was at work, perhaps with
    /// the same event, whose SUCCESS a FAILED could overtake. The event can be completed later.
    OutOfTime(String),
}

/// What was done, for people to read.
#[derive(Debug, Default)]
pub struct Report {
    /// In words; empty where the answer says it all.
    pub summary: String,
    /// Whether anything that was running is cut off by it.
    pub cuts_off: bool,
    /// What a person has to see to.
    pub warnings: Vec<Warning>,
    /// How the set stands that is kept.
    pub standing: Option<Standing>,
}

/// How far an event's handling has come; it survives a handling that is broken off by a panic or the deadline.
#[derive(Debug, Default)]
pub struct Progress {
    rack: RefCell<Option<Rack>>,
    owns: Cell<bool>,
}

impl Progress {
    /// FAILED, with the id that fits how far the handling has come.
    pub fn failed(&self, event: &Event, reason: &str) -> Response {
        let rack = self.rack.borrow();
        let id = match (&event.physical_resource_id, &*rack) {
            (Some(id), _) => id.clone(),
            (None, Some(rack)) if self.owns.get() => rack.hex().to_owned(),
            (None, rack) => response::not_created_id(event, rack.as_ref()),
        };
        Response::failed(event, id, reason)
    }
}

/// Handles one event. `sent_at` is when CloudFormation sent it, where its URL tells.
pub async fn handle<S: ParameterStore, M: Machine>(
    event: &Event,
    sent_at: Option<EventSeconds>,
    store: &S,
    machine: &M,
    progress: &Progress,
) -> Outcome {
    let handling = Handling {
        event,
        sent_at,
        store,
        machine,
        progress,
    };
    match handling.run().await {
        Ok((response, report)) => Outcome::Answer(response, report),
        Err(Failure::OutOfTime(reason)) => Outcome::OutOfTime(reason),
        Err(Failure::Reason(reason)) => {
            Outcome::Answer(progress.failed(event, &reason), Report::default())
        }
    }
}

/// Why an event is not answered with SUCCESS.
enum Failure {
    /// It is answered with FAILED, for this reason.
    Reason(String),
    /// It is not answered yet: [`Outcome::OutOfTime`].
    OutOfTime(String),
}

impl Failure {
    fn of(error: &impl ToString) -> Self {
        Self::Reason(error.to_string())
    }

    fn unless_out_of_time(error: &impl ToString, is_out_of_time: bool) -> Self {
        if is_out_of_time {
            Self::OutOfTime(error.to_string())
        } else {
            Self::of(error)
        }
    }
}

impl From<GetterError> for Failure {
    fn from(error: GetterError) -> Self {
        Self::unless_out_of_time(&error, error.is_out_of_time())
    }
}

impl From<GeneratorError> for Failure {
    fn from(error: GeneratorError) -> Self {
        Self::unless_out_of_time(&error, error.is_out_of_time())
    }
}

type Success = (Response, Report);

/// One event, and what it is handled with.
struct Handling<'a, S, M> {
    event: &'a Event,
    sent_at: Option<EventSeconds>,
    store: &'a S,
    machine: &'a M,
    progress: &'a Progress,
}

impl<S: ParameterStore, M: Machine> Handling<'_, S, M> {
    async fn run(&self) -> Result<Success, Failure> {
        let event = self.event;
        let rack = properties::rack(&event.properties);
        *self.progress.rack.borrow_mut() = rack.as_ref().ok().cloned();
        let Some(request_type) = event.request_type else {
            return Err(Failure::Reason(format!(
                "RequestType is {:?}; expected Create, Update or Delete",
                event.request_type_text
            )));
        };
        match (request_type, event.kind()) {
            (RequestType::Delete, Some(ResourceKind::Generator)) => match rack {
                Ok(rack) => self.remove(&rack).await,
                Err(error) => Ok(self.deleted(&format!("untouched: {error}"))),
            },
            (RequestType::Delete, _) => Ok(self.deleted(&"untouched: there is nothing to remove")),
            (_, Some(ResourceKind::Generator)) => self.reconcile(rack, request_type).await,
            (_, Some(ResourceKind::Getter)) => self.get(rack).await,
            (_, None) => Err(Failure::Reason(format!(
                "ResourceType is {:?}; expected one of {}",
                event.resource_type,
                ResourceKind::TYPES.map(|(name, _)| name).join(", ")
            ))),
        }
    }

    async fn reconcile(
        &self,
        rack: Result<Rack, PropertyError>,
        request_type: RequestType,
    ) -> Result<Success, Failure> {
        let event = self.event;
        if let Some(unknown) = properties::unknown_property(&event.properties) {
            if request_type == RequestType::Create {
                return Err(Failure::of(&unknown));
            }
            tracing::warn!(%unknown, "ignored, so that a rollback never gets stuck");
        }
        let properties = rack.and_then(|rack| GeneratorProperties::parse(rack, &event.properties));
        let properties = properties.map_err(|error| Failure::of(&error))?;
        let rack = properties.rack.clone();
        if !response::generator_fits(event, &properties) {
            return Err(Failure::Reason(format!(
                "property Rack has {} bytes; expected a name short enough for a response of {} bytes, which \
                 contains its hex form five times, and twice more with ClientCertificate: Separate",
                rack.name().len(),
                response::MAX_BODY_BYTES
            )));
        }
        let old = OldProperties::read(&event.old_properties);
        let left = old.rack.clone().filter(|old| *old != rack);
        let (occasion, old) = match (request_type, &left) {
            (RequestType::Create, _) => (Occasion::Adoption, old),
            (_, Some(_)) if self.has_id_of(&rack) => (Occasion::Return, OldProperties::default()),
            (_, Some(_)) => (Occasion::Adoption, OldProperties::default()),
            (_, None) => (Occasion::Update, old),
        };
        let spec = Spec {
            properties,
            old,
            occasion,
            owner: self.owner(),
            sent_at: self.sent_at,
        };
        let generator = self.generator(&rack, &self.progress.owns);
        let reconciled = generator.reconcile(&spec).await?;
        // CloudFormation never heard of the other rack's id, and will send no Delete for it.
        if let Some(other) = left.filter(|_| occasion == Occasion::Return) {
            self.leave(&other).await;
        }
        let id = match &event.physical_resource_id {
            Some(id) if occasion == Occasion::Update => id.clone(),
            _ => rack.hex().to_owned(),
        };
        let report = Report {
            summary: match &reconciled.rotation {
                Some(rotation) => format!("{}; {rotation}", reconciled.plan),
                None => reconciled.plan.to_string(),
            },
            cuts_off: reconciled.plan.cuts_off(),
            warnings: reconciled.warnings,
            standing: Some(reconciled.standing),
        };
        let data = Data::Generator(reconciled.data);
        Ok((Response::success(event, id, Some(data)), report))
    }

    /// Takes the resource off another rack. No rollback fails for it: what stays behind then is only of no use.
    async fn leave(&self, rack: &Rack) {
        let owns = Cell::new(false);
        let (generator, departure) = (self.generator(rack, &owns), self.departure(false));
        let rack = rack.name();
        match generator.remove(&departure).await {
            Ok(removal) => tracing::info!(rack, %removal, "the move to this rack was undone"),
            Err(error) => {
                tracing::warn!(rack, %error, "the move to this rack left parameters behind");
            }
        }
    }

    async fn remove(&self, rack: &Rack) -> Result<Success, Failure> {
        let departure = self.departure(self.has_id_of(rack));
        let generator = self.generator(rack, &self.progress.owns);
        let removal = generator.remove(&departure).await?;
        if matches!(removal, Removal::Nothing(_)) {
            tracing::warn!(rack = rack.name(), %removal, "Delete");
        }
        Ok(self.deleted(&removal))
    }

    async fn get(&self, rack: Result<Rack, PropertyError>) -> Result<Success, Failure> {
        let properties =
            rack.and_then(|rack| GetterProperties::parse(rack, &self.event.properties));
        let properties = properties.map_err(|error| Failure::of(&error))?;
        let value = getter::get(self.store, self.machine, &properties).await;
        let value = value?;
        let data = Data::Getter(GetterData {
            value: value.expose().to_owned(),
        });
        let id = properties.rack.hex().to_owned();
        let mut response = Response::success(self.event, id, Some(data));
        if properties.part.is_key() {
            response = response.no_echo();
        }
        let bytes = response.body().len();
        if bytes > response::MAX_BODY_BYTES {
            return Err(Failure::Reason(format!(
                "the response with the value of {} would take {bytes} bytes, but CloudFormation takes {}; read the \
                 parameter from SSM instead",
                properties.rack.parameter_name(properties.part),
                response::MAX_BODY_BYTES
            )));
        }
        Ok((response, Report::default()))
    }

    fn deleted(&self, summary: &impl ToString) -> Success {
        let id = self.event.physical_resource_id.clone();
        let id = id.unwrap_or_else(|| response::not_created_id(self.event, None));
        let report = Report {
            summary: summary.to_string(),
            ..Report::default()
        };
        (Response::success(self.event, id, None), report)
    }

    fn generator<'a>(&'a self, rack: &'a Rack, owns: &'a Cell<bool>) -> Generator<'a, S, M> {
        Generator::new(self.store, self.machine, rack, owns)
    }

    fn owner(&self) -> Owner {
        Owner::new(&self.event.stack_id, &self.event.logical_resource_id)
    }

    fn departure(&self, has_rack_id: bool) -> Departure {
        Departure {
            owner: self.owner(),
            has_rack_id,
            sent_at: self.sent_at,
            kms_key_id: properties::kms_key_id(&self.event.properties),
        }
    }

    fn has_id_of(&self, rack: &Rack) -> bool {
        self.event.physical_resource_id.as_deref() == Some(rack.hex())
    }
}
