//! The state parameter: what this function must remember between events and cannot read off the certificates.
//!
//! Versioned JSON. Fields that a later version adds are carried along, so that a step back to this version loses
//! nothing.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::pki::certificate::{CaCertificate, Fingerprint};
use crate::set::anchor_record::AnchorRecord;
use crate::set::flaw::Flaw;
use crate::set::parameter::MAX_VALUE_CHARS;

/// The version of the JSON that this function writes.
const VERSION: u32 = 1;
/// How many tokens are remembered, the newest last.
pub const MAX_TOKENS: usize = 20;
/// How many retired CAs are remembered, the newest last.
pub const MAX_RETIRED: usize = 20;
/// How many words of `RetiredCA` are remembered, the newest last.
pub const MAX_WORDS: usize = 10;
/// How many of our own CAs are remembered that a close ends, the newest last.
pub const MAX_GENERATIONS: usize = 6;
/// How many owners that have left are remembered, so that a late duplicate of their Create brings none back.
pub const MAX_LEFT: usize = 4;
/// Bytes of a token's hash that are kept.
const TOKEN_HASH_BYTES: usize = 6;
/// Bytes of an owner's hash that are kept.
const OWNER_HASH_BYTES: usize = 12;
/// Bytes of a CA's fingerprint that are kept.
const FINGERPRINT_BYTES: usize = 8;

/// Who uses a set: a hash of a stack's id and a logical id, or [`Owner::former`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// The owner that an event speaks for.
    pub fn new(stack_id: &str, logical_resource_id: &str) -> Self {
        Self(short_hash(
            format!("{stack_id}\n{logical_resource_id}").as_bytes(),
            OWNER_HASH_BYTES,
        ))
    }

    /// Whoever had the set made before there was a state.
    pub fn former() -> Self {
        Self("former".to_owned())
    }
}

/// A `RotationToken`, hashed: it may be a word that people would rather not see stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenHash(String);

impl TokenHash {
    /// The hash of a token.
    pub fn new(token: &str) -> Self {
        Self(short_hash(token.as_bytes(), TOKEN_HASH_BYTES))
    }
}

/// The first bytes of a CA's fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct ShortFingerprint(String);

impl From<&Fingerprint> for ShortFingerprint {
    fn from(fingerprint: &Fingerprint) -> Self {
        Self(URL_SAFE_NO_PAD.encode(&fingerprint.as_bytes()[..FINGERPRINT_BYTES]))
    }
}

fn short_hash(bytes: &[u8], length: usize) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, bytes).as_ref()[..length])
}

/// Seconds since 1970, from the `X-Amz-Date` of the event that made an ownership change.
pub type EventSeconds = i64;

/// What the state parameter holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// Who uses the set, and since when.
    #[serde(default)]
    owners: BTreeMap<Owner, EventSeconds>,
    /// Who used it, and until when; the newest few.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    left: BTreeMap<Owner, EventSeconds>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<TokenHash>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    retired: Vec<ShortFingerprint>,
    /// What `RetiredCA` said, hashed like a token: a rollback may bring it back at any time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    words: Vec<TokenHash>,
    /// A token that is being obeyed: it counts as seen once the published leaf was issued by the CA made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    /// The CA that is being retired, until all is written that this takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closing: Option<ShortFingerprint>,
    /// The recorded anchor that becomes the current CA again meanwhile, where a rotation is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    returning: Option<ShortFingerprint>,
    /// The previous CA that the published certificate no longer leads to, by the operator's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    moved_from: Option<AnchorRecord>,
    /// The CAs that were the current or the previous one since the last close: what the next one ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    generations: Vec<ShortFingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<AnchorRecord>,
    #[serde(flatten)]
    later: BTreeMap<String, serde_json::Value>,
}

/// A token that is being obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    token: TokenHash,
    ca: ShortFingerprint,
}

/// The end of a rotation, which is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    retired: ShortFingerprint,
    returning: Option<ShortFingerprint>,
}

impl Closing {
    /// This CA, which was the anchor, is retired.
    pub(crate) fn finish(retired: &Fingerprint) -> Self {
        Self {
            retired: retired.into(),
            returning: None,
        }
    }

    /// This CA, which was the current one, is retired, and this anchor becomes the current one again.
    pub(crate) fn take_back(retired: &Fingerprint, returning: &Fingerprint) -> Self {
        Self {
            retired: retired.into(),
            returning: Some(returning.into()),
        }
    }

    /// Whether this CA is retired.
    pub(crate) fn retires(&self, ca: &Fingerprint) -> bool {
        self.retired == ca.into()
    }

    /// Whether this CA becomes the current one again.
    pub(crate) fn returns_to(&self, ca: &Fingerprint) -> bool {
        self.returning.as_ref() == Some(&ca.into())
    }

    /// Whether the rotation is finished, and not taken back.
    pub(crate) fn finishes(&self) -> bool {
        self.returning.is_none()
    }
}

impl State {
    /// A state that remembers nothing and names nobody.
    pub const fn empty() -> Self {
        Self {
            version: VERSION,
            owners: BTreeMap::new(),
            left: BTreeMap::new(),
            tokens: Vec::new(),
            retired: Vec::new(),
            words: Vec::new(),
            pending: None,
            closing: None,
            returning: None,
            moved_from: None,
            generations: Vec::new(),
            anchor: None,
            later: BTreeMap::new(),
        }
    }

    /// The state of a set that was there before any state was: somebody made it.
    pub(crate) fn of_a_former_owner() -> Self {
        let mut state = Self::empty();
        state.owners.insert(Owner::former(), 0);
        state
    }

    /// Reads the parameter's value.
    pub fn decode(value: &str) -> Result<Self, Flaw> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let version = serde_json::from_str::<Versioned>(value)
            .map_err(|_| Flaw::NotState)?
            .version;
        serde_json::from_str(value).map_err(|_| {
            if version > VERSION {
                Flaw::LaterState
            } else {
                Flaw::NotState
            }
        })
    }

    /// Writes the parameter's value.
    pub fn encode(&self) -> Zeroizing<String> {
        Zeroizing::new(serde_json::to_string(self).expect("maps with text keys become JSON"))
    }

    /// The characters that this state would take with every bounded list full, a token being obeyed and a CA being
    /// retired.
    pub fn worst_case_chars(&self) -> usize {
        let mut worst = self.clone();
        let token = TokenHash::new("");
        let retired = ShortFingerprint(URL_SAFE_NO_PAD.encode([0; FINGERPRINT_BYTES]));
        worst.tokens = vec![token.clone(); MAX_TOKENS];
        worst.words = vec![token.clone(); MAX_WORDS];
        worst.retired = vec![retired.clone(); MAX_RETIRED];
        worst.closing = Some(retired.clone());
        worst.returning = Some(retired.clone());
        worst.generations = vec![retired.clone(); MAX_GENERATIONS];
        worst.pending = Some(Pending { token, ca: retired });
        worst.left = (0..MAX_LEFT)
            .map(|index| {
                (
                    Owner::new("", &index.to_string()),
                    EventSeconds::from(i32::MAX),
                )
            })
            .collect();
        worst.encode().chars().count()
    }

    /// Whether a certificate and a key of so many bytes can be recorded as the anchor's, whatever else is remembered.
    pub(crate) fn has_room_for_anchor(&self, certificate_bytes: usize, key_bytes: usize) -> bool {
        const NAMES: &str = r#","anchor":{"cert":"","key":""}"#;
        let mut others = self.clone();
        others.forget_anchor();
        let base64 = |bytes: usize| bytes.div_ceil(3) * 4;
        let chars = NAMES.len() + base64(certificate_bytes) + base64(key_bytes);
        others.worst_case_chars() + chars <= MAX_VALUE_CHARS
    }

    /// Whether a token was obeyed or recorded before.
    pub fn has_seen(&self, token: &TokenHash) -> bool {
        self.tokens.contains(token)
    }

    /// Records a token as obeyed; nothing is pending any more.
    pub fn see(&mut self, token: TokenHash) {
        self.pending = None;
        if !self.has_seen(&token) {
            push_newest(&mut self.tokens, token, MAX_TOKENS);
        }
    }

    /// Records that a token is being obeyed by making this CA.
    pub(crate) fn expect_token(&mut self, token: TokenHash, ca: &Fingerprint) {
        self.pending = Some(Pending {
            token,
            ca: ca.into(),
        });
    }

    /// Whether a token is being obeyed by having made this CA.
    pub(crate) fn is_pending_for(&self, ca: &Fingerprint) -> bool {
        self.pending.as_ref().is_some_and(|p| p.ca == ca.into())
    }

    /// Takes the pending token for seen, for what it asked for is taken back.
    pub(crate) fn give_up_pending(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.see(pending.token);
        }
    }

    /// Takes the pending token for seen if this CA, which issued the published leaf, is the one that was made for it.
    pub(crate) fn settle_pending(&mut self, issuer_of_published: &Fingerprint) {
        if self.is_pending_for(issuer_of_published)
            && let Some(pending) = self.pending.take()
        {
            self.see(pending.token);
        }
    }

    /// Whether a CA was retired.
    pub fn has_retired(&self, ca: &Fingerprint) -> bool {
        self.retired.contains(&ca.into())
    }

    /// Records a CA as retired.
    pub fn retire(&mut self, ca: &Fingerprint) {
        if !self.has_retired(ca) {
            push_newest(&mut self.retired, ca.into(), MAX_RETIRED);
        }
    }

    /// Records what `RetiredCA` says.
    pub(crate) fn hear(&mut self, word: &str) {
        if !self.has_heard(word) {
            push_newest(&mut self.words, TokenHash::new(word), MAX_WORDS);
        }
    }

    /// Whether `RetiredCA` said this before.
    pub(crate) fn has_heard(&self, word: &str) -> bool {
        self.words.contains(&TokenHash::new(word))
    }

    /// Records that a rotation is coming to its end, or that none is.
    pub(crate) fn set_closing(&mut self, closing: Option<Closing>) {
        (self.closing, self.returning) = match closing {
            Some(closing) => (Some(closing.retired), closing.returning),
            None => (None, None),
        };
    }

    /// Records that a rotation has come to its end: the CA that it retires is retired.
    pub(crate) fn close(&mut self, closing: Closing) {
        self.set_closing(None);
        if !self.retired.contains(&closing.retired) {
            push_newest(&mut self.retired, closing.retired, MAX_RETIRED);
        }
    }

    /// The end of a rotation that an event began and did not complete.
    pub(crate) fn closing(&self) -> Option<Closing> {
        Some(Closing {
            retired: self.closing.clone()?,
            returning: self.returning.clone(),
        })
    }

    /// Records a CA as one of ours since the last close.
    pub(crate) fn add_generation(&mut self, ca: &Fingerprint) {
        if !self.has_generation(ca) {
            push_newest(&mut self.generations, ca.into(), MAX_GENERATIONS);
        }
    }

    /// Whether a CA is one of ours since the last close.
    pub(crate) fn has_generation(&self, ca: &Fingerprint) -> bool {
        self.generations.contains(&ca.into())
    }

    /// Forgets which CAs were ours: there is one.
    pub(crate) fn forget_generations(&mut self) {
        self.generations.clear();
    }

    /// Records the previous CA that the published certificate was moved away from, or that there is none such. It was the
    /// anchor, and is none any more.
    pub(crate) fn set_moved_from(&mut self, ca: Option<&CaCertificate>) {
        if let Some(ca) = ca {
            self.forget_anchor();
            self.use_again(ca);
        }
        self.moved_from = ca.map(|ca| AnchorRecord::new(ca, None));
    }

    /// The previous CA that the published certificate was moved away from.
    pub(crate) fn moved_from(&self) -> Option<&CaCertificate> {
        self.moved_from.as_ref()?.certificate()
    }

    /// The recorded anchor.
    pub fn anchor(&self) -> Option<&AnchorRecord> {
        self.anchor.as_ref()
    }

    /// Records an anchor; as a CA in use, it is neither retired nor moved away from any more.
    pub(crate) fn record_anchor(&mut self, anchor: AnchorRecord) {
        if let Some(certificate) = anchor.certificate() {
            if self.moved_from() == Some(certificate) {
                self.moved_from = None;
            }
            self.use_again(&certificate.clone());
        }
        self.anchor = Some(anchor);
    }

    fn use_again(&mut self, ca: &CaCertificate) {
        let ca = ShortFingerprint::from(&ca.fingerprint());
        self.retired.retain(|retired| *retired != ca);
    }

    /// Forgets the anchor: there is one CA.
    pub(crate) fn forget_anchor(&mut self) {
        self.anchor = None;
    }

    /// Whether an owner is listed.
    pub fn is_owned_by(&self, owner: &Owner) -> bool {
        self.owners.contains_key(owner)
    }

    /// How many owners are listed, how many tokens were seen, and how many CAs were retired.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.owners.len(), self.tokens.len(), self.retired.len())
    }

    /// Whether nobody is listed.
    pub(crate) fn is_nobodys(&self) -> bool {
        self.owners.is_empty()
    }

    /// Whether a change to this owner's entry, asked for at that time, comes too late to count.
    pub fn has_later_change(&self, owner: &Owner, sent_at: EventSeconds) -> bool {
        let last = self.owners.get(owner).max(self.left.get(owner));
        last.is_some_and(|last| *last > sent_at)
    }

    /// Lists an owner. An event that carries no date changes nothing about an owner that is listed.
    pub(crate) fn add_owner(
        &mut self,
        owner: Owner,
        sent_at: Option<EventSeconds>,
        now: EventSeconds,
    ) {
        self.left.remove(&owner);
        let since = self.owners.entry(owner).or_insert(sent_at.unwrap_or(now));
        *since = sent_at.map_or(*since, |sent_at| sent_at.max(*since));
    }

    /// Whether an owner was listed and is remembered to have left.
    pub(crate) fn has_left(&self, owner: &Owner) -> bool {
        self.left.contains_key(owner)
    }

    /// Takes an owner off the list; it is remembered for a while that it was there.
    pub(crate) fn remove_owner(&mut self, owner: &Owner, sent_at: Option<EventSeconds>) {
        self.owners.remove(owner);
        self.left.insert(owner.clone(), sent_at.unwrap_or_default());
        while self.left.len() > MAX_LEFT {
            let oldest = self.left.iter().min_by_key(|(_, left)| **left);
            let oldest = oldest.map(|(owner, _)| owner.clone());
            oldest.map(|owner| self.left.remove(&owner));
        }
    }
}

fn push_newest<T>(list: &mut Vec<T>, item: T, most: usize) {
    list.push(item);
    let excess = list.len().saturating_sub(most);
    list.drain(..excess);
}
