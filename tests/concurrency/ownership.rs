//! What people do to stacks, what CloudFormation makes of it, and who uses a rack's set then.

use std::collections::{BTreeMap, BTreeSet};

use docker_tls_certgen::set::rack::Part;
use docker_tls_certgen::set::state::{Owner, State};
use serde_json::{Value, json};

use crate::cloudformation::make_deployed_store;
use crate::stacks::{
    Fate, Function, RACKS, Resource, Sent, Told, invented_id, make_resource_event, rack_numbered,
};
use crate::store::MemoryStore;
use crate::witness::{Published, Witness};

/// What a person does to stacks, and what goes wrong meanwhile. A resource that exists is named by its place.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A resource is added to a template.
    Create {
        who: Resource,
        rack: usize,
        fate: Fate,
    },
    /// A resource's properties change, but not its rack.
    Update {
        who: usize,
        change: usize,
        fate: Fate,
    },
    /// A resource's rack changes; something else of the stack may fail, so that all is rolled back.
    Move {
        who: usize,
        fate: Fate,
        is_rolled_back: bool,
    },
    /// A resource gets another logical id; something else of the stack may fail, so that all is rolled back.
    Rename { who: usize, is_rolled_back: bool },
    /// A resource is taken out of its template; the Delete is sent until it succeeds.
    Delete { who: usize, fate: Fate },
    /// An event is delivered once more.
    Repeat { back: usize },
}

/// A resource that CloudFormation knows.
#[derive(Clone, Debug)]
struct Live {
    id: String,
    rack: usize,
    properties: Value,
}

/// What the test knows that the function does not.
pub struct Model {
    function: Function,
    live: BTreeMap<Resource, Live>,
    /// Racks whose set another handler's resource uses, which never comes here.
    foreign: BTreeSet<usize>,
    /// Racks whose parameters may stay although nobody uses them, each for a reason that is given where it is added.
    excused: BTreeSet<usize>,
    watch: Watch,
    changes: usize,
    is_migrated: bool,
}

/// Sees that what is used stays.
struct Watch {
    witness: Witness,
    published: [Published; RACKS.len()],
    used: BTreeSet<usize>,
}

impl Watch {
    #[track_caller]
    fn look(&mut self, store: &MemoryStore) {
        for (rack, (name, published)) in RACKS.iter().zip(&mut self.published).enumerate() {
            let looked = self
                .witness
                .look(published, store, &rack_numbered(rack), false);
            assert_eq!(looked, Ok(()), "{name}");
            let parts = store.set(&rack_numbered(rack));
            let is_whole = Part::SHARED.iter().all(|part| parts.contains_key(part));
            assert!(
                is_whole || !self.used.contains(&rack),
                "{name} is used and has {parts:?}"
            );
        }
    }
}

impl Model {
    /// No stack, no set.
    pub fn empty() -> Self {
        Self::with(MemoryStore::default())
    }

    /// The deployed handler's set, whose resource stays with that handler.
    pub fn deployed() -> Self {
        let mut model = Self::with(make_deployed_store());
        model.foreign.insert(0);
        model
    }

    /// The deployed handler's set, whose resource now comes to this function.
    pub fn migrated() -> Self {
        let mut model = Self::with(make_deployed_store());
        let who = Resource {
            stack: 0,
            logical_id: 0,
        };
        let properties = json!({ "Rack": RACKS[0] });
        let id = rack_numbered(0).hex().to_owned();
        model.is_migrated = true;
        model.live.insert(
            who,
            Live {
                id,
                rack: 0,
                properties,
            },
        );
        model
    }

    /// The same, where URLs carry no date.
    pub fn undated(mut self) -> Self {
        self.function = Function::new(self.function.store, false);
        self
    }

    fn with(store: MemoryStore) -> Self {
        Self {
            function: Function::new(store, true),
            live: BTreeMap::new(),
            foreign: BTreeSet::new(),
            excused: BTreeSet::new(),
            watch: Watch {
                witness: Witness::default(),
                published: Default::default(),
                used: BTreeSet::new(),
            },
            changes: 0,
            is_migrated: false,
        }
    }

    /// Does one deed after the other, and then takes everything away.
    #[track_caller]
    pub fn live_through(&mut self, deeds: &[Deed]) {
        self.check();
        for deed in deeds {
            self.act(deed);
            self.check();
        }
        while let Some(who) = self.live.keys().next().copied() {
            self.delete(who, Fate::Fine);
            self.check();
        }
    }

    fn act(&mut self, deed: &Deed) {
        match *deed {
            Deed::Create { who, rack, fate } if !self.live.contains_key(&who) => {
                self.create(who, &json!({ "Rack": RACKS[rack] }), rack, fate);
            }
            Deed::Create { .. } => {}
            Deed::Update { who, change, fate } => self.with_resource(who, |model, who, live| {
                let mut properties = live.properties.clone();
                model.changes += 1;
                match change {
                    0 => properties["Version"] = json!(model.changes),
                    1 => properties["RotationToken"] = json!(format!("token-{}", model.changes)),
                    2 => {
                        properties["SubjectAlternativeNames"] =
                            json!(format!("host-{}", model.changes));
                    }
                    _ => properties["RotationToken"] = Value::Null,
                }
                model.update(who, &live, &properties, fate);
            }),
            Deed::Move {
                who,
                fate,
                is_rolled_back,
            } => self.with_resource(who, |model, who, live| {
                model.relocate(who, &live, fate, is_rolled_back);
            }),
            Deed::Rename {
                who,
                is_rolled_back,
            } => self.with_resource(who, |model, who, live| {
                let renamed = Resource {
                    logical_id: who.logical_id + 2,
                    ..who
                };
                let created = !model.live.contains_key(&renamed)
                    && model.create(renamed, &live.properties, live.rack, Fate::Fine);
                match created {
                    true if is_rolled_back => model.delete(renamed, Fate::Fine),
                    true => model.delete(who, Fate::Fine),
                    false => {}
                }
            }),
            Deed::Delete { who, fate } => {
                self.with_resource(who, |model, who, _| model.delete(who, fate));
            }
            Deed::Repeat { back } => {
                let sent = &self.function.sent;
                if let Some(sent) = sent
                    .len()
                    .checked_sub(back + 1)
                    .map(|index| sent[index].clone())
                {
                    self.repeat(&sent);
                }
            }
        }
    }

    fn with_resource(&mut self, number: usize, act: impl FnOnce(&mut Self, Resource, Live)) {
        if self.live.is_empty() {
            return;
        }
        let number = number % self.live.len();
        let (who, live) = self
            .live
            .iter()
            .nth(number)
            .expect("it is fewer than there are");
        let (who, live) = (*who, live.clone());
        act(self, who, live);
    }

    fn create(&mut self, who: Resource, properties: &Value, rack: usize, fate: Fate) -> bool {
        let event = make_resource_event("Create", who, None, properties, None);
        let (id, is_created) = match self.send(event, fate) {
            Told::Success(id) => (id, true),
            Told::Failed(id) => (id, false),
            Told::Nothing => (invented_id(who), false),
        };
        let properties = properties.clone();
        self.live.insert(
            who,
            Live {
                id,
                rack,
                properties,
            },
        );
        if !is_created {
            // Nobody has used it: CloudFormation takes it back.
            self.delete(who, Fate::Fine);
        }
        is_created
    }

    fn update(&mut self, who: Resource, live: &Live, properties: &Value, fate: Fate) {
        let id = Some(&*live.id);
        let event = make_resource_event("Update", who, id, properties, Some(&live.properties));
        if let Told::Success(id) = self.send(event, fate) {
            assert_eq!(id, live.id, "the id stays while the rack does");
            self.live.get_mut(&who).expect("it exists").properties = properties.clone();
            return;
        }
        let event = make_resource_event("Update", who, id, &live.properties, Some(properties));
        assert!(matches!(self.send(event, Fate::Fine), Told::Success(id) if id == live.id));
    }

    fn relocate(&mut self, who: Resource, live: &Live, fate: Fate, is_rolled_back: bool) {
        let rack = 1 - live.rack;
        let mut properties = live.properties.clone();
        properties["Rack"] = json!(RACKS[rack]);
        let update = |id: &str, to: &Value, from: &Value| {
            make_resource_event("Update", who, Some(id), to, Some(from))
        };
        let told = self.send(update(&live.id, &properties, &live.properties), fate);
        let Told::Success(id) = told else {
            // CloudFormation never heard of another id, so it sends no Delete for it: the next event has to do.
            let back = update(&live.id, &live.properties, &properties);
            assert!(matches!(self.send(back, Fate::Fine), Told::Success(id) if id == live.id));
            return;
        };
        assert_ne!(id, live.id);
        let moved = Live {
            id,
            rack,
            properties,
        };
        if is_rolled_back {
            self.excuse_migrated(live.rack);
            let back = update(&moved.id, &live.properties, &moved.properties);
            assert!(matches!(self.send(back, Fate::Fine), Told::Success(id) if id == live.id));
            self.send_delete(who, &moved, Fate::Fine);
        } else {
            self.live.insert(who, moved);
            self.note_users();
            self.send_delete(who, live, Fate::Fine);
        }
    }

    /// Who comes back to a set that the deployed handler made for it is listed beside the "former" that it was itself.
    fn excuse_migrated(&mut self, rack: usize) {
        if self.is_migrated && rack == 0 {
            self.excused.insert(rack);
        }
    }

    fn delete(&mut self, who: Resource, fate: Fate) {
        let live = self.live.remove(&who).expect("it exists");
        self.note_users();
        self.send_delete(who, &live, fate);
    }

    fn send_delete(&mut self, who: Resource, live: &Live, fate: Fate) {
        let event = make_resource_event("Delete", who, Some(&live.id), &live.properties, None);
        if !matches!(self.send(event.clone(), fate), Told::Success(_)) {
            assert!(matches!(self.send(event, Fate::Fine), Told::Success(_)));
        }
    }

    fn repeat(&mut self, sent: &Sent) {
        let name = sent.event["ResourceProperties"]["Rack"].as_str();
        let rack = RACKS
            .iter()
            .position(|rack| Some(*rack) == name)
            .expect("it is one of them");
        if sent.event["RequestType"] != "Delete" && !self.is_remembered(sent, rack) {
            // Whoever left the rack last took the state along, and a resource that was gone before its first write was
            // never in it: nothing tells that the event comes late, but for the end of its URL.
            self.excused.insert(rack);
        }
        let watch = &mut self.watch;
        self.function
            .handle(sent, Fate::Fine, &mut |store| watch.look(store));
    }

    /// Whether a rack's state tells that the resource which sent an event uses it, or has left it since.
    fn is_remembered(&self, sent: &Sent, rack: usize) -> bool {
        let text = |field: &str| sent.event[field].as_str().expect("events have it");
        let owner = Owner::new(text("StackId"), text("LogicalResourceId"));
        let state = self.function.store.value(&rack_numbered(rack), Part::State);
        let state = state.and_then(|state| State::decode(state).ok());
        state.is_some_and(|state| {
            state.is_owned_by(&owner) || state.has_later_change(&owner, sent.sent_at)
        })
    }

    fn send(&mut self, event: Value, fate: Fate) -> Told {
        let watch = &mut self.watch;
        self.function
            .send(event, fate, &mut |store| watch.look(store))
    }

    /// Whose sets must be whole at every moment from now on.
    fn note_users(&mut self) {
        let racks = self.live.values().map(|live| live.rack);
        self.watch.used = racks.chain(self.foreign.iter().copied()).collect();
    }

    #[track_caller]
    fn check(&mut self) {
        self.note_users();
        self.watch.look(&self.function.store);
        for (rack, name) in RACKS.iter().enumerate() {
            let left = self.function.store.set(&rack_numbered(rack));
            let may_stay = self.watch.used.contains(&rack) || self.excused.contains(&rack);
            assert!(
                may_stay || left.is_empty(),
                "nobody uses {name}, which has {left:?}"
            );
        }
    }
}
