//! `SubjectAlternativeNames`: given and not covered, they are a reason to reissue; not given, they never are.

use std::net::Ipv4Addr;

use docker_tls_certgen::pki::alternative_name::SubjectAlternativeName;
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::cause::Cause;
use docker_tls_certgen::plan::{Action, CutOff};
use docker_tls_certgen::set::rack::Part;
use serde_json::{Value, json};

use super::{Effect, check_all_connect, effect, leaf, make_plain};
use crate::event::{check_kept, make_update};
use crate::store::{NOW, make_deployed, make_own, make_own_with};

fn names(given: &[&str]) -> Vec<SubjectAlternativeName> {
    let parse = |name: &&str| SubjectAlternativeName::parse(name).expect("a name");
    given.iter().map(parse).collect()
}

#[test]
fn a_certificate_that_covers_the_names_is_kept() {
    let stored =
        make_own_with(&json!({ "SubjectAlternativeNames": "a.example,B.example,10.0.0.1,::1" }));
    for given in [
        Value::Null,
        json!(""),
        json!([]),
        json!([""]),
        json!(["", " "]),
        json!(","),
        json!(" , "),
        json!("a.example"),
        json!("a.example,"),
        json!(["", "a.example", ""]),
        json!("b.EXAMPLE, 10.0.0.1"),
        json!(["::1", "a.example", "b.example", "10.0.0.1"]),
    ] {
        let spec = make_update(&json!({ "SubjectAlternativeNames": given }));
        check_kept(&spec, &stored, NOW);
    }
}

#[test]
fn a_name_that_is_not_covered_is_a_reason_to_reissue_from_the_same_ca() {
    for (healthy, given) in [
        (
            make_own(KeyAlgorithm::EcdsaP256),
            ["localhost", "new.example"],
        ),
        (make_own(KeyAlgorithm::EcdsaP256), ["127.0.0.1", "10.0.0.1"]),
        // The deployed handler's certificates have no names at all.
        (make_deployed(), ["localhost", "127.0.0.1"]),
    ] {
        let mut stored = healthy.clone();
        let spec = make_update(&json!({ "SubjectAlternativeNames": given }));
        let missing = names(&given).into_iter();
        let covered = leaf(&healthy);
        let name = missing
            .clone()
            .find(|name| !covered.alternative_names().contains(name));
        let found = effect(&spec, &mut stored, NOW);
        let mut kept = vec![Part::CaCert, Part::CaKey, Part::Key];
        kept.extend(healthy.contains_key(&Part::State).then_some(Part::State));
        let expected = Effect {
            action: Action::Reissue,
            causes: vec![Cause::NameNotCovered {
                name: name.expect("one is missing"),
            }],
            cut_off: CutOff::Nobody,
            kept,
        };
        assert_eq!(found, expected);
        assert_eq!(
            leaf(&stored).alternative_names(),
            missing.collect::<Vec<_>>()
        );
        check_all_connect(&[&healthy, &stored], NOW);
    }
}

#[test]
fn where_no_names_are_given_a_new_certificate_is_good_for_this_machine() {
    let mut stored = make_deployed();
    check_kept(&make_plain(), &stored, NOW);
    stored.remove(&Part::Cert);
    effect(&make_plain(), &mut stored, NOW);
    assert_eq!(
        leaf(&stored).alternative_names(),
        names(&["localhost", "127.0.0.1"])
    );
}

#[test]
fn an_ipv4_address_in_ipv6s_form_is_issued_as_ipv4_and_not_covered_by_the_other_form() {
    let given = json!({ "SubjectAlternativeNames": "::ffff:10.0.0.1, 10.0.0.1" });
    let stored = make_own_with(&given);
    let ipv4 = SubjectAlternativeName::Ip([10, 0, 0, 1].into());
    let only = [ipv4.clone()];
    assert_eq!(leaf(&stored).alternative_names(), only);
    check_kept(&make_update(&given), &stored, NOW);

    // A certificate that somebody made with the other form: Go refuses 10.0.0.1 with it.
    let mapped = SubjectAlternativeName::Ip(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().into());
    let mut spec = make_update(&given);
    spec.properties.alternative_names = Some(vec![mapped.clone()]);
    let mut stored = make_own(KeyAlgorithm::EcdsaP256);
    effect(&spec, &mut stored, NOW);
    assert_eq!(leaf(&stored).alternative_names(), [mapped]);
    let found = effect(&make_update(&given), &mut stored, NOW);
    assert_eq!(found.causes, [Cause::NameNotCovered { name: ipv4.clone() }]);
    assert_eq!(leaf(&stored).alternative_names(), [ipv4]);
}
