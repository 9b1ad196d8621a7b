//! What happens to a rack in a step. A step that says "which" means one of what there is then, counted round: so a list of
//! steps still makes sense when some are taken out of it.

use crate::dice::Dice;

/// A parameter that holds certificates or keys, or the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    CaCert,
    CaKey,
    Cert,
    Key,
    State,
}

impl Parameter {
    pub const ALL: [Self; 5] = [
        Self::CaCert,
        Self::CaKey,
        Self::Cert,
        Self::Key,
        Self::State,
    ];
    /// Those that daemons and clients have.
    pub const PUBLISHED: [Self; 4] = [Self::CaCert, Self::CaKey, Self::Cert, Self::Key];

    /// What it is called behind `h-docker-tls-`.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::CaCert => "ca-cert",
            Self::CaKey => "ca-key",
            Self::Cert => "cert",
            Self::Key => "key",
            Self::State => "state",
        }
    }
}

/// The form of the operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// What the last answer said that `RetiredCA` be set to.
    AsTold,
    /// `previous`.
    Plain,
    /// `previous/current`.
    Pair,
    /// `previous/current/moved`.
    Moved,
    /// `current/previous`.
    TakeBack,
}

/// How a value is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// No base64.
    NotBase64,
    /// Base64 of a plain text.
    Text,
    /// Its first half.
    Half,
    /// Some letters in the middle are others.
    Letters,
}

/// What somebody does to a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Delete(Parameter),
    Spoil(Parameter, Spoilt),
    /// The PEM itself where base64 of it belongs.
    NoBase64Around(Parameter),
    /// No line end between a block and the next.
    LineEndsLost(Parameter),
    /// Only the end-entity certificate is left.
    CrossDropped,
    /// Only the first certificate of the bundle is left.
    BundleCut,
    BundleReversed,
    BundleDoubled,
    ForeignCaAdded(usize),
    ClientPinned(usize),
}

/// What an older copy is taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    Everything,
    /// All but the state.
    Published,
    One(Parameter),
}

/// How much time goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Days(i64),
    /// Until so many seconds after the end of one of the published certificates.
    End {
        which: usize,
        after: i64,
    },
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Create,
    /// An update with another `Version`.
    Update,
    Token,
    Word(Word),
    WordCleared,
    /// An update to properties of before.
    Rollback {
        which: usize,
    },
    NameAdded,
    Damage(Damage),
    Restore {
        what: Copied,
        which: usize,
    },
    Wait(Wait),
}

const DAY: i64 = 86_400;

impl Step {
    /// A step, the likely ones more often.
    pub fn any(dice: &mut Dice) -> Self {
        match dice.roll() % 100 {
            0..26 => Self::Update,
            26..40 => Self::Token,
            40..54 => Self::Word(dice.one_of(&[
                Word::AsTold,
                Word::AsTold,
                Word::AsTold,
                Word::Plain,
                Word::Pair,
                Word::Pair,
                Word::Moved,
                Word::TakeBack,
            ])),
            54..57 => Self::WordCleared,
            57..60 => Self::Rollback { which: dice.roll() },
            60..62 => Self::NameAdded,
            62..80 => Self::Damage(damage(dice)),
            80..86 => Self::Restore {
                what: match dice.roll() % 4 {
                    0 => Copied::Everything,
                    1 => Copied::Published,
                    _ => Copied::One(dice.one_of(&Parameter::ALL)),
                },
                which: dice.roll(),
            },
            _ => Self::Wait(wait(dice)),
        }
    }
}

fn damage(dice: &mut Dice) -> Damage {
    let of_certificates = [Parameter::CaCert, Parameter::Cert];
    match dice.roll() % 16 {
        0..4 => Damage::Delete(dice.one_of(&Parameter::ALL)),
        4..7 => {
            let how = [
                Spoilt::NotBase64,
                Spoilt::Text,
                Spoilt::Half,
                Spoilt::Letters,
            ];
            Damage::Spoil(dice.one_of(&Parameter::ALL), dice.one_of(&how))
        }
        7 => Damage::NoBase64Around(dice.one_of(&Parameter::PUBLISHED)),
        8 => Damage::LineEndsLost(dice.one_of(&of_certificates)),
        9 => Damage::CrossDropped,
        10 => Damage::BundleCut,
        11 => Damage::BundleReversed,
        12 => Damage::BundleDoubled,
        13 | 14 => Damage::ForeignCaAdded(dice.roll()),
        _ => Damage::ClientPinned(dice.roll()),
    }
}

fn wait(dice: &mut Dice) -> Wait {
    match dice.roll() % 3 {
        0 => Wait::Days(dice.one_of(&[1, 30, 365, 3650, 11_000])),
        _ => Wait::End {
            which: dice.roll(),
            after: dice.one_of(&[-61 * DAY, -59 * DAY, -1, 1, DAY + 7]),
        },
    }
}
