//! Keeps the CA and the certificates of a rack's Docker daemons and of its API in SSM Parameter Store, for the
//! CloudFormation custom resource **DockerTLSCertGenerate**: unchanged unless they have to change, and when they do,
//! such that nobody who could connect before is refused without a word that says so.
//!
//! # The way of one event
//!
//! ```text
//! function::lambda          the event as JSON; which URL is answered, and until when
//!   cloudformation::event         taken apart, so that even a malformed one can be answered
//!   cloudformation::response_url  only CloudFormation's own bucket of this region and account
//!   function::handler       generator or getter, Create, Update or Delete
//!     cloudformation::properties  parsed, every error naming property, value and expectation
//!     function::generator   reads the set; while there is something to do: claims, reads again, writes in order
//!       store::claim          who may write, and until when
//!       store::patience       what is asked again while SSM has too many calls
//!       set::decoded          the parameters, as a person reads them      ┐
//!         set::pair           the daemons' pair, perhaps the API's own    │
//!         pki::instance       and as a daemon does                        │
//!       plan::assessment      current CA, anchor, retired CAs             │
//!       plan::planner         what the event's word and token mean        │ the pure core:
//!         plan::decision      what changes, why, who is cut off           │ no clock, no store,
//!           plan::obstacle    which CA can vouch, or why it cannot        │ no network
//!           plan::trust       what the operator trusts besides            │
//!         plan::recording     what the state remembers of it              │
//!       plan::publication     what is written, and that the next event    │
//!         plan::issuance      keeps it; what is issued for that           │
//!       plan::standing        how the set stands then                     ┘
//!     function::getter      reads one published parameter
//!   cloudformation::response      the body, at most 4096 bytes
//!   function::delivery      put to the URL, byte for byte, until it is taken
//! ```
//!
//! A schedule's event takes another way: [`function::watch`] reads sets and tells how they stand, by the same planner.
//! [`function::metrics`] has a line of the log for each set that is kept or watched, which alarms go by.
//!
//! The rules that the core follows, worked examples and a glossary are in `docs/rotation.md`.
//!
//! No event moves what runs: [`fleet`] decides how a rack's nodes stand and what `docker-tls fleet` does about them, by
//! the rules of `docs/fleet.md`, and `src/fleet/converge.sh` is what SSM's Run Command has a node do.
//!
//! # The way of one run of `docker-tls fleet`
//!
//! ```text
//! fleet::target             what is published, as far as a node's daemon tells of it    ┐
//! fleet::observation        what a node's script printed                                │ pure as well: the tool
//! fleet::verdict            how the node stands                                         │ asks SSM and carries
//! fleet::run                what the run remembers                                      │ out what is decided
//!   fleet::decision         whom to observe or to move, or why nobody                   ┘
//! ```
//!
//! Its rules are in `docs/fleet.md`.
//!
//! # Invariants
//!
//! - Since the last close there is one *anchor*: every published bundle contains it, and every published chain leads to
//!   it. A plan that breaks this says whom it cuts off ([`plan::CutOff`]), unless the operator has said that everything
//!   trusts the current CA ([`plan::spec::RetirementWord`]).
//! - What a daemon reads as it should stays byte for byte, whoever made it and of whatever kind it is.
//! - A set has the daemons' pair, and perhaps one of the API's own: each obeys every rule, and leads to the anchor
//!   ([`set::pair::Pair`]).
//! - Whatever else the bundle trusts is the operator's: kept, and never taken for the anchor.
//! - Time passing is never a reason to write, but for the end of the current CA or of the end-entity certificate.
//! - A read that failed is an error, never a missing parameter ([`store`]).
//! - Only the holder of a rack's claim writes ([`store::claim`]), and only in an order of which every prefix is a set
//!   that connects everyone ([`plan::publication`]).
//! - A refusal for too many calls is waited out until the event's time is up, and then left to Lambda's next attempt; on
//!   its last one CloudFormation is told ([`store::patience`], [`function::lambda`]).
//! - The next event keeps what this one publishes; that is checked before the first write.
//! - The word to finish is printed only when everything that runs has what is published ([`fleet::decision`]).
//! - No layer below imports from one above: `tests/layers.rs`.
//! - No key, no event and no response URL's query reaches a log, an error or a `Debug` text ([`function::logging`]).
//!
//! Deliberately absent: a cache between events, a background task, a second way to decide (the tool uses the same
//! planner), and any path validation of what is deployed already: [`pki::certificate::Certificate::is_issued_by`] tells
//! why.

// The layers, lowest first: none imports from one that comes after it. Blank lines keep rustfmt from sorting them.
pub mod pki;

pub mod set;

pub mod plan;

pub mod fleet;

pub mod cloudformation;

pub mod machine;

pub mod store;

pub mod function;
