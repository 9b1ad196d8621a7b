//! Instances and clients that have read what was published for a rack.

use docker_tls_certgen::set::rack::Part;

use crate::certificates::{certificates, public_key_of, public_key_of_key};
use crate::clock;
use crate::damage::text_of;
use crate::openssl::{self, Files};
use crate::rack::Set;

/// What was published for a rack since its last close: whoever read any of it may still be there.
#[derive(Default)]
pub struct Readers {
    bundles: Vec<(String, Files)>,
    pairs: Vec<(String, Files)>,
}

impl Readers {
    /// Adds those who read a set now, and has openssl judge them against all others, both ways.
    #[track_caller]
    pub fn add(&mut self, set: &Set) {
        if set.parts() != Part::SHARED {
            // A Create that failed half way: nobody can have read a set yet.
            assert!(
                self.bundles.is_empty(),
                "{:?} are left of a set",
                set.parts()
            );
            return;
        }
        let [bundle, chain, key] =
            [Part::CaCert, Part::Cert, Part::Key].map(|part| set.value(part));
        let write = || Files::write_texts(&text_of(bundle), &text_of(chain), &text_of(key));
        if !self.bundles.iter().any(|(value, _)| value == bundle) {
            let files = write();
            for (_, pair) in &self.pairs {
                check_accepts(&files, pair);
            }
            self.bundles.push((bundle.to_owned(), files));
        }
        // A reader takes a certificate only with the key that is its own.
        let is_pair = public_key_of(&certificates(chain)[0]) == public_key_of_key(key);
        if is_pair && !self.pairs.iter().any(|(value, _)| value == chain) {
            let files = write();
            for (_, bundle) in &self.bundles {
                check_accepts(bundle, &files);
            }
            self.pairs.push((chain.to_owned(), files));
        }
    }
}

#[track_caller]
fn check_accepts(bundle: &Files, pair: &Files) {
    for usage in [&["-purpose", "sslserver"], &["-purpose", "sslclient"]] {
        assert_eq!(openssl::verify(bundle, pair, usage, clock::now()), Ok(()));
    }
}
