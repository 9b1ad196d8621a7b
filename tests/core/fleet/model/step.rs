//! What can happen next.

use std::fmt;

/// One step. Places of nodes are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Launch(usize),
    Boot(usize),
    Restart(usize),
    ComeUp(usize),
    Lose(usize),
    Return(usize),
    Remove(usize),
    Rotate,
    TakeBack,
    Finish,
    Deliver(usize),
    Expire(usize),
    Install(usize, usize),
    Succeed(usize, usize),
    GoBack(usize, usize),
    DieOnTheWayBack(usize, usize),
    Start,
    Kill,
    Retarget,
    Observe(usize),
    Send(usize),
    GiveUp(usize),
    Recheck,
    Wait,
    End,
    Converge,
}

impl Step {
    /// Whether it is the tool's own, or what ends of itself: nobody does anything, and nothing befalls.
    pub const fn is_quiet(self) -> bool {
        !matches!(
            self,
            Self::Launch(_)
                | Self::Boot(_)
                | Self::Restart(_)
                | Self::Lose(_)
                | Self::Remove(_)
                | Self::Rotate
                | Self::TakeBack
                | Self::Finish
                | Self::GoBack(..)
                | Self::DieOnTheWayBack(..)
                | Self::Kill
                | Self::Wait
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch(place) => write!(f, "node {place} is launched"),
            Self::Boot(place) => write!(f, "node {place} boots"),
            Self::Restart(place) => write!(f, "the daemon of node {place} is started anew"),
            Self::ComeUp(place) => write!(f, "node {place} comes up"),
            Self::Lose(place) => write!(f, "node {place} is lost"),
            Self::Return(place) => write!(f, "node {place} is back"),
            Self::Remove(place) => write!(f, "node {place} is removed"),
            Self::Rotate => f.write_str("the CA is rotated"),
            Self::TakeBack => f.write_str("the rotation is taken back"),
            Self::Finish => f.write_str("the operator says the word"),
            Self::Deliver(place) => write!(f, "a command reaches node {place}"),
            Self::Expire(place) => write!(f, "the command for node {place} expires"),
            Self::Install(place, _) => write!(f, "node {place} restarts its daemon"),
            Self::Succeed(place, _) => write!(f, "node {place} says that it has moved"),
            Self::GoBack(place, _) => write!(f, "node {place} goes back to what it ran with"),
            Self::DieOnTheWayBack(place, _) => write!(
                f,
                "node {place} has its former files back, and its daemon comes up late"
            ),
            Self::Start => f.write_str("the tool is started"),
            Self::Kill => f.write_str("the tool is killed"),
            Self::Retarget => f.write_str("the tool goes on with what is published now"),
            Self::Observe(place) => write!(f, "the tool observes node {place}"),
            Self::Send(place) => write!(f, "the tool sends a move to node {place}"),
            Self::GiveUp(place) => write!(f, "the tool hears nothing of node {place}"),
            Self::Recheck => f.write_str("the tool looks again"),
            Self::Wait => f.write_str("the tool waits"),
            Self::End => f.write_str("the tool ends in vain"),
            Self::Converge => f.write_str("the tool prints the word"),
        }
    }
}
