//! The sets that a rack publishes, as far as they matter to who accepts whom.

use std::collections::HashMap;
use std::fmt;

use docker_tls_certgen::fleet::name::NameId;
use docker_tls_certgen::fleet::target::{Rotation, Target};
use docker_tls_certgen::pki::certificate::Fingerprint;
use docker_tls_certgen::set::rack::Rack;

/// One CA: the first is 0.
pub type Generation = u8;

/// Some CAs, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Generations(u8);

impl Generations {
    fn of(generations: &[Generation]) -> Self {
        Self(generations.iter().fold(0, |bits, one| bits | 1 << one))
    }

    fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn each(self) -> impl Iterator<Item = Generation> {
        (0..8).filter(move |generation| self.0 & 1 << generation != 0)
    }
}

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Closed,
    Anchored { previous: Generation },
    Introduced { previous: Generation },
    Moved { previous: Generation },
}

/// What is published at a time, and what a daemon runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Set {
    current: Generation,
    stage: Stage,
    /// The CAs of the bundle.
    trusts: Generations,
    /// The CAs that the chain leads to.
    leads_to: Generations,
    /// Which leaf it is.
    leaf: u8,
}

impl Set {
    /// Of what an anchored set trusts, what is neither current nor previous: the CA that a leaf was moved away from.
    fn trusted_besides(self, previous: Generation) -> Generations {
        match self.stage {
            Stage::Anchored { .. } => {
                let ours = Generations::of(&[self.current, previous]);
                Generations(self.trusts.0 & !ours.0)
            }
            _ => Generations(0),
        }
    }
}

/// A set by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(u8);

impl SetId {
    /// The set that everything starts with.
    pub const FIRST: Self = Self(0);
}

/// `RetiredCA`: which CA goes, and which one stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word {
    retired: Generation,
    staying: Generation,
    has_moved: bool,
}

/// What a word does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The previous CA is no longer trusted.
    Closes(SetId),
    /// The leaf is of the current CA from now on.
    Moves(SetId),
}

/// Every set that was published, each once.
pub struct Catalog {
    sets: Vec<Set>,
    ids: HashMap<Set, SetId>,
    targets: Vec<Target>,
    leaves: HashMap<(SetId, Generation), u8>,
    first_vouches: bool,
}

impl Catalog {
    /// One that holds the first set.
    pub fn new(first_vouches: bool) -> Self {
        let mut catalog = Self {
            sets: Vec::new(),
            ids: HashMap::new(),
            targets: Vec::new(),
            leaves: HashMap::new(),
            first_vouches,
        };
        let first = Set {
            current: 0,
            stage: Stage::Closed,
            trusts: Generations::of(&[0]),
            leads_to: Generations::of(&[0]),
            leaf: 0,
        };
        assert_eq!(catalog.id(first), SetId::FIRST);
        catalog
    }

    fn id(&mut self, set: Set) -> SetId {
        if let Some(id) = self.ids.get(&set) {
            return *id;
        }
        let id = SetId(u8::try_from(self.sets.len()).expect("there are few sets"));
        self.targets.push(target(set));
        self.sets.push(set);
        self.ids.insert(set, id);
        id
    }

    fn set(&self, id: SetId) -> Set {
        self.sets[usize::from(id.0)]
    }

    /// A leaf that is issued when one set follows another: each time the same one, for a model has no dice.
    fn new_leaf(&mut self, before: SetId, issuer: Generation) -> u8 {
        let next = 1 + u8::try_from(self.leaves.len()).expect("there are few leaves");
        *self.leaves.entry((before, issuer)).or_insert(next)
    }

    /// What nodes are compared with while this is published.
    pub fn target(&self, id: SetId) -> &Target {
        &self.targets[usize::from(id.0)]
    }

    /// Which set that is.
    pub fn id_of(&self, target: &Target) -> SetId {
        let mut targets = self.targets.iter();
        let index = targets.position(|known| known == target);
        let index = index.expect("a run is about a set that was published");
        SetId(u8::try_from(index).expect("there are few sets"))
    }

    /// Whether whoever runs with the one set connects with whoever runs with the other, both ways.
    pub fn connect(&self, one: SetId, other: SetId) -> bool {
        let (one, other) = (self.set(one), self.set(other));
        one.trusts.meets(other.leads_to) && other.trusts.meets(one.leads_to)
    }

    /// Whether both have the same bundle.
    pub fn have_one_bundle(&self, one: SetId, other: SetId) -> bool {
        self.set(one).trusts == self.set(other).trusts
    }

    /// Whether the one has the leaf of the other and trusts more.
    pub fn trusts_retired(&self, one: SetId, other: SetId) -> bool {
        let (one, other) = (self.set(one), self.set(other));
        one.leaf == other.leaf && one.trusts != other.trusts
    }

    /// What a token publishes.
    pub fn rotated(&mut self, id: SetId, new: Generation) -> SetId {
        let set = self.set(id);
        let vouches = |generation| generation != 0 || self.first_vouches;
        let anchored = |previous| Stage::Anchored { previous };
        let stage = match set.stage {
            Stage::Closed if vouches(set.current) => anchored(set.current),
            Stage::Closed => Stage::Introduced {
                previous: set.current,
            },
            Stage::Moved { .. } => anchored(set.current),
            stage => stage,
        };
        let next = match stage {
            Stage::Anchored { previous } => {
                // The CA that the leaf was moved away from stays trusted until the close. Nothing else is left of the
                // rotations before.
                let besides = match set.stage {
                    Stage::Moved { previous } => Generations::of(&[previous]),
                    _ => set.trusted_besides(previous),
                };
                let ours = Generations::of(&[new, previous]);
                Set {
                    current: new,
                    stage,
                    trusts: Generations(ours.0 | besides.0),
                    leads_to: ours,
                    leaf: self.new_leaf(id, new),
                }
            }
            Stage::Introduced { previous } => Set {
                current: new,
                stage,
                trusts: Generations::of(&[new, previous]),
                ..set
            },
            Stage::Closed | Stage::Moved { .. } => unreachable!("a rotation opens"),
        };
        self.id(next)
    }

    /// What the tool prints once all have this set.
    pub fn word(&self, id: SetId) -> Option<Word> {
        let target = self.target(id);
        let word = target.finishing_word()?;
        Some(Word {
            retired: generation_of(word.retired),
            staying: generation_of(word.staying?),
            has_moved: word.has_moved,
        })
    }

    /// Whether a word does anything to a set, or to one that it may be taken back to.
    pub fn may_obey(&self, id: SetId, word: Word) -> bool {
        let ours = Generations::of(&[word.staying]);
        self.set(id).trusts.meets(ours) && self.set(id).stage != Stage::Closed
    }

    /// Whether a set may be published again: the first one is, leaf and all, when an introduction is taken back.
    pub fn may_return(&self, id: SetId) -> bool {
        id == SetId::FIRST && !self.first_vouches
    }

    /// What a word does to a set, as docs/rotation.md has it: a compare-and-set, or where `is_plain`, one that names
    /// the CA that goes and no other.
    pub fn finished(&mut self, id: SetId, word: Word, is_plain: bool) -> Option<Effect> {
        let set = self.set(id);
        let names = |previous: Generation| {
            word.retired == previous && (is_plain || word.staying == set.current)
        };
        let alone = Generations::of(&[set.current]);
        match set.stage {
            Stage::Anchored { previous } if names(previous) => {
                let closed = Set {
                    stage: Stage::Closed,
                    trusts: alone,
                    leads_to: alone,
                    ..set
                };
                Some(Effect::Closes(self.id(closed)))
            }
            Stage::Introduced { previous } if names(previous) && !word.has_moved => {
                let moved = Set {
                    stage: Stage::Moved { previous },
                    leads_to: alone,
                    leaf: self.new_leaf(id, set.current),
                    ..set
                };
                Some(Effect::Moves(self.id(moved)))
            }
            Stage::Moved { previous } if names(previous) && word.has_moved => {
                let closed = Set {
                    stage: Stage::Closed,
                    trusts: alone,
                    ..set
                };
                Some(Effect::Closes(self.id(closed)))
            }
            _ => None,
        }
    }

    /// What is published when the open rotation is taken back: the previous CA's own set, and with it what was trusted
    /// besides. `even_moved` does so although the leaf was moved away from that CA.
    pub fn taken_back(&mut self, id: SetId, even_moved: bool) -> Option<SetId> {
        let set = self.set(id);
        let (previous, leaf) = match set.stage {
            Stage::Anchored { previous } => (previous, self.new_leaf(id, previous)),
            // The previous CA has issued it, so it stays.
            Stage::Introduced { previous } => (previous, set.leaf),
            Stage::Moved { previous } if even_moved => (previous, self.new_leaf(id, previous)),
            Stage::Moved { .. } | Stage::Closed => return None,
        };
        let alone = Generations::of(&[previous]);
        let besides = set.trusted_besides(previous);
        let left = besides.each().next();
        Some(self.id(Set {
            current: previous,
            stage: left.map_or(Stage::Closed, |previous| Stage::Moved { previous }),
            trusts: Generations(alone.0 | besides.0),
            leads_to: alone,
            leaf,
        }))
    }

    /// A set in a few characters: the bundle, and behind a hyphen the leaf's number.
    pub fn show(&self, id: SetId) -> String {
        let set = self.set(id);
        let others = set.trusts.each().filter(|one| *one != set.current);
        let others: String = others.map(letter).collect();
        let kind = match set.stage {
            Stage::Closed => "",
            Stage::Anchored { .. } => " anchored",
            Stage::Introduced { .. } => " introduced",
            Stage::Moved { .. } => " moved",
        };
        format!("[{}{others}{kind}, leaf {}]", letter(set.current), set.leaf)
    }
}

fn letter(generation: Generation) -> char {
    char::from(b'A' + generation)
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moved = if self.has_moved { "/moved" } else { "" };
        write!(
            f,
            "{}/{}{moved}",
            letter(self.retired),
            letter(self.staying)
        )
    }
}

fn fingerprint(number: u8) -> Fingerprint {
    let text = format!("{number:02x}").repeat(Fingerprint::BYTES);
    Fingerprint::parse(&text).expect("64 hex digits")
}

fn generation_of(fingerprint: Fingerprint) -> Generation {
    fingerprint.as_bytes()[0]
}

fn target(set: Set) -> Target {
    let mut trusts: Vec<_> = set.trusts.each().map(|one| NameId::of(&[one])).collect();
    trusts.sort_unstable();
    Target {
        rack: Rack::new("rack-1").expect("a name that is not empty"),
        trusts,
        leaf: fingerprint(set.leaf),
        current: fingerprint(set.current),
        rotation: match set.stage {
            Stage::Closed => Rotation::None,
            Stage::Anchored { previous } => Rotation::Anchored {
                previous: fingerprint(previous),
            },
            Stage::Introduced { previous } => Rotation::Introduced {
                previous: fingerprint(previous),
            },
            // The public parameters tell no more.
            Stage::Moved { previous } => Rotation::PerhapsMoved {
                beside: fingerprint(previous),
            },
        },
    }
}
