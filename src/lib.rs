//! Keeps the CA and the certificates of a rack's Docker daemons and of its API in SSM Parameter Store, for the
//! CloudFormation custom resource **DockerTLSCertGenerate**: unchanged unless they have to change, and when they do,
//! such that nobody who could connect before is refused.
//!
//! # The way of one event
//!
//! ```text
//! lambda         the event as JSON; which URL is answered, and until when
//!   event          taken apart, so that even a malformed one can be answered
//!   response_url   only CloudFormation's own bucket of this region and account
//!   handler      generator or getter, Create, Update or Delete
//!     properties   parsed, every error naming property, value and expectation
//!     generator  reads the set; while there is something to do: claims, reads again, writes in order
//!       found        the parameters decoded               ┐
//!       standing     current CA, anchor, flaws of the pair │ the pure core:
//!       decision     what changes, why, who is cut off     │ no clock, no store, no network
//!       planner      all of that, and what is recorded     │
//!       publication  what is issued and written, in order  ┘
//!     getter     reads one published parameter
//!   response     the body, at most 4096 bytes
//!   delivery     put to the URL, byte for byte, until it is taken
//! ```
//!
//! # Invariants
//!
//! - Since the last close there is one *anchor*: every published bundle contains it, and every published chain leads to
//!   it. A plan that breaks this says whom it cuts off ([`plan::CutOff`]).
//! - Time passing is never a reason to write, but for the end of the current CA or of the end-entity certificate.
//! - A read that failed is an error, never a missing parameter ([`store`]).
//! - Only the holder of a rack's claim writes ([`claim`]), and only in an order of which every prefix is a set that
//!   connects everyone ([`publication`]).
//! - The next event keeps what this one publishes; that is checked before the first write.
//! - No key, no event and no response URL's query reaches a log, an error or a `Debug` text ([`logging`]).
//!
//! Deliberately absent: a cache between events, a background task, a second way to decide (the tool uses the same
//! planner), and any path validation of what is deployed already ([`certificate::Certificate::is_issued_by`] tells why).

// The pure core, from the words of the field to the decision and what it publishes.
pub mod alternative_name;
pub mod authority;
pub mod bundle;
pub mod certificate;
pub mod chain;
mod decision;
pub mod encoding;
pub mod flaw;
pub mod found;
pub mod inspection;
pub mod parameter;
pub mod plan;
pub mod planner;
pub mod private_key;
pub mod properties;
pub mod publication;
pub mod rack;
pub mod removal;
pub mod standing;
pub mod state;
pub mod timestamp;
pub mod warning;

// The contract with CloudFormation, pure as well.
pub mod event;
pub mod response;
pub mod response_url;

// The shell: the store, the clock and the network.
pub mod claim;
pub mod delivery;
pub mod folder;
pub mod generator;
pub mod getter;
pub mod handler;
pub mod http_client;
pub mod lambda;
pub mod logging;
pub mod ssm;
pub mod store;
pub mod system;
pub mod world;
