//! The repair table of rules 5 and 6 of docs/rotation.md: what each damage to each part of a set with one CA gets
//! written.

use docker_tls_certgen::set::rack::Part;

use crate::damage::Damage;

/// The values that an update writes, in this order.
#[track_caller]
pub fn written(part: Part, damage: Damage) -> &'static [Part] {
    match (part, damage) {
        // The same key and name: whoever holds the original accepts what follows from the new one.
        (Part::CaCert, _) => &[Part::CaCert],
        // Trust first; the pair that the lost key signed is kept.
        (Part::CaKey, _) => &[Part::CaKey, Part::CaCert],
        (Part::ClientCert, _) | (Part::ClientKey, Damage::OfAnotherSet) => &[Part::ClientCert],
        (Part::ClientKey, _) => &[Part::ClientKey, Part::ClientCert],
        // A key that loads is kept, so that the certificate changes alone, in one write.
        (Part::Cert, _) | (Part::Key, Damage::OfAnotherSet) => &[Part::Cert],
        (Part::Key, _) => &[Part::Key, Part::Cert],
        (Part::State | Part::Claim, _) => panic!("the {part} is not repaired"),
    }
}

/// The published values that stay byte for byte.
#[track_caller]
pub fn kept(part: Part, damage: Damage) -> Vec<Part> {
    let written = written(part, damage);
    let is_kept = |part: &Part| !written.contains(part);
    Part::SHARED.into_iter().filter(is_kept).collect()
}
