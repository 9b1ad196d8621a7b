//! One event from end to end, but for the network on either side: whom it is about, what is done, what is answered.

use std::cell::{Cell, RefCell};

use crate::cloudformation::event::{Event, RequestType, ResourceKind};
use crate::cloudformation::properties::{self, GetterProperties};
use crate::cloudformation::response::{self, Data, GetterData, Response};
use crate::function::generator::{Generator, GeneratorError, Reconciled};
use crate::function::getter;
use crate::machine::Machine;
use crate::plan::removal::{Departure, Removal};
use crate::plan::spec::{GeneratorProperties, Occasion, OldProperties, Spec};
use crate::plan::warning::Warning;
use crate::set::rack::{Part, Rack};
use crate::set::state::{EventSeconds, Owner};
use crate::store::ParameterStore;

/// What came of an event.
#[derive(Debug)]
pub enum Outcome {
    /// An answer for CloudFormation, and for people what was done.
    Answer(Response, Report),
    /// No answer: another invocation, perhaps of the same event, is at work, and a FAILED could overtake its SUCCESS.
    NoAnswer(String),
}

/// What was done, for people to read.
#[derive(Debug, Default)]
pub struct Report {
    /// In words; empty where the answer says it all.
    pub summary: String,
    /// Whether anything that was running is cut off by it.
    pub cuts_off: bool,
    /// What is kept although it should not stay so.
    pub warnings: Vec<Warning>,
}

impl Report {
    fn of(summary: &impl ToString) -> Self {
        Self {
            summary: summary.to_string(),
            ..Self::default()
        }
    }
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
    let failed =
        |reason: String| Outcome::Answer(progress.failed(event, &reason), Report::default());
    let rack = properties::rack(&event.properties);
    *progress.rack.borrow_mut() = rack.as_ref().ok().cloned();
    let Some(request_type) = event.request_type else {
        return failed(format!(
            "RequestType is {:?}; expected Create, Update or Delete",
            event.request_type_text
        ));
    };
    match (request_type, event.kind()) {
        (RequestType::Delete, Some(ResourceKind::Generator)) => match rack {
            Ok(rack) => remove(event, sent_at, &rack, store, machine, progress).await,
            Err(error) => deleted(event, Report::of(&format!("untouched: {error}"))),
        },
        (RequestType::Delete, _) => deleted(event, Report::of(&"untouched: nothing to remove")),
        (_, Some(ResourceKind::Generator)) => {
            match reconcile(event, request_type, sent_at, store, machine, progress).await {
                Ok((response, reconciled)) => {
                    let report = Report {
                        summary: reconciled.plan.to_string(),
                        cuts_off: reconciled.plan.cuts_off(),
                        warnings: reconciled.warnings,
                    };
                    Outcome::Answer(response, report)
                }
                Err(Failure::Busy(reason)) => Outcome::NoAnswer(reason),
                Err(Failure::Reason(reason)) => failed(reason),
            }
        }
        (_, Some(ResourceKind::Getter)) => match get(event, store, machine).await {
            Ok(response) => Outcome::Answer(response, Report::default()),
            Err(reason) => failed(reason),
        },
        (_, None) => failed(format!(
            "ResourceType is {:?}; expected one of {}",
            event.resource_type,
            ResourceKind::TYPES.map(|(name, _)| name).join(", ")
        )),
    }
}

enum Failure {
    Reason(String),
    Busy(String),
}

impl From<GeneratorError> for Failure {
    fn from(error: GeneratorError) -> Self {
        match error {
            GeneratorError::Busy => Self::Busy(error.to_string()),
            error => Self::Reason(error.to_string()),
        }
    }
}

async fn reconcile<S: ParameterStore, M: Machine>(
    event: &Event,
    request_type: RequestType,
    sent_at: Option<EventSeconds>,
    store: &S,
    machine: &M,
    progress: &Progress,
) -> Result<(Response, Reconciled), Failure> {
    let reason = |error: &dyn ToString| Failure::Reason(error.to_string());
    if let Some(unknown) = properties::unknown_property(&event.properties) {
        if request_type == RequestType::Create {
            return Err(reason(&unknown));
        }
        tracing::warn!(%unknown, "ignored, so that a rollback never gets stuck");
    }
    let properties = GeneratorProperties::parse(&event.properties).map_err(|e| reason(&e))?;
    let rack = properties.rack.clone();
    if !response::generator_fits(event, &rack) {
        return Err(Failure::Reason(format!(
            "property Rack has {} bytes; expected a name short enough for a response of {} bytes, in which its hex \
             stands five times",
            rack.name().len(),
            response::MAX_BODY_BYTES
        )));
    }
    let old = OldProperties::read(&event.old_properties);
    let not_reached = rack_not_reached(event, &rack, &old);
    let changes_rack = old.rack.as_ref().is_some_and(|old| *old != rack);
    let is_adoption = request_type == RequestType::Create || changes_rack;
    let spec = Spec {
        properties,
        old: if changes_rack {
            OldProperties::default()
        } else {
            old
        },
        occasion: if is_adoption {
            Occasion::Adoption
        } else {
            Occasion::Update
        },
        owner: Owner::new(&event.stack_id, &event.logical_resource_id),
        sent_at,
    };
    let reconciled = Generator::new(store, machine, &rack, &progress.owns)
        .reconcile(&spec)
        .await?;
    if let Some(rack) = not_reached {
        leave(event, sent_at, &rack, store, machine).await;
    }
    let id = match &event.physical_resource_id {
        Some(id) if !is_adoption => id.clone(),
        _ => rack.hex().to_owned(),
    };
    let data = Data::Generator(reconciled.data.clone());
    Ok((Response::success(event, id, Some(data)), reconciled))
}

/// The rack that the resource was to move to, where this event takes it back: its id is still that of its own rack,
/// so CloudFormation never heard of the other's, and will send no Delete for it.
fn rack_not_reached(event: &Event, rack: &Rack, old: &OldProperties) -> Option<Rack> {
    let other = old.rack.clone().filter(|other| other != rack);
    other.filter(|_| has_id_of(event, rack))
}

fn has_id_of(event: &Event, rack: &Rack) -> bool {
    event.physical_resource_id.as_deref() == Some(rack.hex())
}

fn departure(event: &Event, sent_at: Option<EventSeconds>) -> Departure {
    Departure {
        owner: Owner::new(&event.stack_id, &event.logical_resource_id),
        has_rack_id: false,
        sent_at,
        kms_key_id: properties::kms_key_id(&event.properties),
    }
}

/// Takes the resource off another rack. No rollback fails for it: what stays behind then is only of no use.
async fn leave<S: ParameterStore, M: Machine>(
    event: &Event,
    sent_at: Option<EventSeconds>,
    rack: &Rack,
    store: &S,
    machine: &M,
) {
    let owns = Cell::new(false);
    let generator = Generator::new(store, machine, rack, &owns);
    let rack = rack.name();
    match generator.remove(&departure(event, sent_at)).await {
        Ok(removal) => tracing::info!(rack, %removal, "the move to this rack is taken back"),
        Err(error) => tracing::warn!(rack, %error, "the move to this rack left parameters behind"),
    }
}

async fn remove<S: ParameterStore, M: Machine>(
    event: &Event,
    sent_at: Option<EventSeconds>,
    rack: &Rack,
    store: &S,
    machine: &M,
    progress: &Progress,
) -> Outcome {
    let departure = Departure {
        has_rack_id: has_id_of(event, rack),
        ..departure(event, sent_at)
    };
    let generator = Generator::new(store, machine, rack, &progress.owns);
    match generator.remove(&departure).await {
        Ok(removal @ Removal::Nothing(_)) => {
            tracing::warn!(rack = rack.name(), %removal, "Delete");
            deleted(event, Report::of(&removal))
        }
        Ok(removal) => deleted(event, Report::of(&removal)),
        Err(GeneratorError::Busy) => Outcome::NoAnswer(GeneratorError::Busy.to_string()),
        Err(error) => Outcome::Answer(
            progress.failed(event, &error.to_string()),
            Report::default(),
        ),
    }
}

fn deleted(event: &Event, report: Report) -> Outcome {
    let id = event.physical_resource_id.clone();
    let id = id.unwrap_or_else(|| response::not_created_id(event, None));
    Outcome::Answer(Response::success(event, id, None), report)
}

async fn get<S: ParameterStore, M: Machine>(
    event: &Event,
    store: &S,
    machine: &M,
) -> Result<Response, String> {
    let properties = GetterProperties::parse(&event.properties).map_err(|e| e.to_string())?;
    let value = getter::get(store, machine, &properties)
        .await
        .map_err(|error| error.to_string())?;
    let data = Data::Getter(GetterData {
        value: value.expose().to_owned(),
    });
    let id = properties.rack.hex().to_owned();
    let response = Response::success(event, id, Some(data));
    let response = match properties.part {
        Part::CaKey | Part::Key => response.no_echo(),
        _ => response,
    };
    let bytes = response.body().len();
    if bytes > response::MAX_BODY_BYTES {
        return Err(format!(
            "the response with the value of {} would take {bytes} bytes, but CloudFormation takes {}; read the \
             parameter from SSM instead",
            properties.rack.parameter_name(properties.part),
            response::MAX_BODY_BYTES
        ));
    }
    Ok(response)
}
