//! Anything at all in the store and in the properties: nothing panics, and what is published is always stable.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::cloudformation::properties::{GetterProperties, rack, unknown_property};
use docker_tls_certgen::pki::private_key::KeyAlgorithm;
use docker_tls_certgen::plan::planner;
use docker_tls_certgen::plan::publication::{PublicationError, publication};
use docker_tls_certgen::plan::spec::{GeneratorProperties, Occasion, OldProperties, Spec};
use docker_tls_certgen::set::decoded::Found;
use docker_tls_certgen::set::pair::FoundPair;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_testing::fixtures::PROPERTIES;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use crate::acceptance::{Registry, Verdict, read_certificates};
use crate::cases::cases;
use crate::damage::text_of;
use crate::event::{assess, change, check_kept, make_change, sticky};
use crate::mint::FreshMint;
use crate::store::{
    NOW, certificates, make_deployed, make_other_deployed, make_own, make_own_with, public_key,
    set_value, value,
};

/// Sets whose pieces are mixed: of two deployed handlers, of our own, with open rotations, closed again, short, and with
/// two pairs.
static SETS: LazyLock<Vec<StoredSet>> = LazyLock::new(|| {
    let none = json!({});
    let token = json!({ "RotationToken": "a" });
    let mut sets = vec![
        make_deployed(),
        make_other_deployed(),
        make_own(KeyAlgorithm::EcdsaP256),
    ];
    for start in [make_deployed(), make_own(KeyAlgorithm::EcdsaP384)] {
        let mut stored = start;
        change(&none, &token, &mut stored);
        sets.push(stored.clone());
        let mut close = token.clone();
        close["RetiredCA"] = ca_fingerprint(&stored, 1).into();
        change(&token, &close, &mut stored);
        sets.push(stored.clone());
    }
    sets.push(make_own_with(
        &json!({ "CAValidityDays": 400, "ValidityDays": 200 }),
    ));
    sets.push(make_own_with(&json!({ "ClientCertificate": "Separate" })));
    sets
});

/// Every PEM block of those sets.
static BLOCKS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut blocks = Vec::new();
    for part in Part::SHARED {
        for stored in SETS.iter() {
            let text = text_of(value(stored, part));
            let pieces = text.split_inclusive("-----\n-----BEGIN").map(|piece| {
                let piece = piece.trim_end_matches("-----BEGIN");
                if piece.starts_with("-----") {
                    piece.to_owned()
                } else {
                    format!("-----BEGIN{piece}")
                }
            });
            blocks.extend(pieces);
        }
    }
    blocks.sort();
    blocks.dedup();
    blocks
});

fn ca_fingerprint(stored: &StoredSet, index: usize) -> String {
    certificates(stored, Part::CaCert)[index]
        .fingerprint()
        .to_string()
}

/// A value of a published parameter: of a set, of pieces of sets, of garbage, or none.
fn any_value(part: Part) -> impl Strategy<Value = Option<String>> {
    let of_a_set =
        select(SETS.clone()).prop_map(move |stored| Some(value(&stored, part).to_owned()));
    let block = || select(BLOCKS.clone());
    let piece = prop_oneof![
        6 => block(),
        1 => ".{0,40}\n",
        1 => Just("-----BEGIN CERTIFICATE-----\n".to_owned()),
        1 => block().prop_map(|text| text.trim_end().to_owned()),
        1 => block().prop_map(|text| text.replace('\n', "\r\n")),
        1 => (block(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte & 0x7f;
            String::from_utf8_lossy(&bytes).into_owned()
        }),
    ];
    let of_pieces = vec(piece, 0..4).prop_map(|pieces| Some(STANDARD.encode(pieces.concat())));
    prop_oneof![
        5 => of_a_set,
        3 => of_pieces,
        1 => Just(None),
        1 => ".{0,60}".prop_map(Some),
    ]
}

/// A state: of a set, with a field changed, or garbage.
fn any_state() -> impl Strategy<Value = Option<String>> {
    let states = || {
        let states: Vec<String> = SETS
            .iter()
            .filter(|stored| stored.contains_key(&Part::State))
            .map(|stored| value(stored, Part::State).to_owned())
            .collect();
        select(states)
    };
    let fields = select(vec![
        "version", "owners", "left", "tokens", "retired", "pending", "anchor",
    ]);
    let junk = select(vec![
        Value::Null,
        json!(2),
        json!("x"),
        json!([]),
        json!({}),
        json!(["x"]),
    ]);
    let changed = (states(), fields, junk).prop_map(|(state, field, junk)| {
        let mut state: Value = serde_json::from_str(&state).expect("the state is JSON");
        state[field] = junk;
        Some(state.to_string())
    });
    prop_oneof![
        4 => states().prop_map(Some),
        2 => changed,
        3 => Just(None),
        1 => ".{0,40}".prop_map(Some),
    ]
}

/// The API's own pair: none, one that fits some set, or what fits nothing.
fn any_client() -> impl Strategy<Value = [Option<String>; 2]> {
    let apart = SETS
        .iter()
        .find(|stored| stored.contains_key(&Part::ClientKey));
    let apart = apart.expect("one of the sets has two pairs");
    let own = [Part::ClientCert, Part::ClientKey].map(|part| value(apart, part).to_owned());
    let any = (any_value(Part::Cert), any_value(Part::Key));
    prop_oneof![
        4 => Just([None, None]),
        2 => Just(own.map(Some)),
        3 => any.prop_map(|(cert, key)| [cert, key]),
    ]
}

fn any_stored() -> impl Strategy<Value = StoredSet> {
    let [ca_cert, ca_key, cert, key] = Part::SHARED.map(any_value);
    let mixed = (ca_cert, ca_key, cert, key, any_state(), any_client());
    let mixed = mixed.prop_map(
        |(ca_cert, ca_key, cert, key, state, [client, client_key])| {
            let parts = [
                (Part::CaCert, ca_cert),
                (Part::CaKey, ca_key),
                (Part::Cert, cert),
                (Part::Key, key),
                (Part::ClientCert, client),
                (Part::ClientKey, client_key),
                (Part::State, state),
            ];
            let mut stored = StoredSet::new();
            for (part, value) in parts {
                if let Some(value) = value {
                    set_value(&mut stored, part, &value);
                }
            }
            stored
        },
    );
    let part = || select(Part::SHARED.to_vec());
    let one_bad = (select(SETS.clone()), part()).prop_flat_map(|(stored, part)| {
        any_value(part).prop_map(move |value| {
            let mut stored = stored.clone();
            match value {
                Some(value) => set_value(&mut stored, part, &value),
                None => drop(stored.remove(&part)),
            }
            stored
        })
    });
    prop_oneof![mixed, one_bad]
}

fn any_properties() -> impl Strategy<Value = Value> {
    let fingerprints: Vec<Value> = SETS
        .iter()
        .map(|stored| ca_fingerprint(stored, 0).into())
        .chain([Value::Null, Value::Null, Value::Null])
        .collect();
    (
        select(vec![Value::Null, json!("a"), json!("b"), json!("c")]),
        select(fingerprints),
        select(vec![
            Value::Null,
            Value::Null,
            json!("localhost"),
            json!("a.example,10.0.0.1"),
        ]),
        select(vec![json!("ECDSA_P256"), json!("ECDSA_P384")]),
        select(vec![json!(36_500), json!(400)]),
        select(vec![Value::Null, Value::Null, json!("Separate")]),
    )
        .prop_map(|(token, retired, names, algorithm, days, client)| {
            json!({
                "Rack": "rack-1", "RotationToken": token, "RetiredCA": retired,
                "ClientCertificate": client,
                "SubjectAlternativeNames": names, "KeyAlgorithm": algorithm,
                "CAValidityDays": days, "ValidityDays": days,
            })
        })
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let sent_at = prop_oneof![Just(None), (0i64..1000).prop_map(Some)];
    let occasion = select(vec![
        Occasion::Adoption,
        Occasion::Adoption,
        Occasion::Return,
        Occasion::Update,
        Occasion::Update,
    ]);
    (any_properties(), any_properties(), occasion, sent_at).prop_map(
        |(old, properties, occasion, sent_at)| Spec {
            occasion,
            sent_at,
            ..make_change(&old, &properties)
        },
    )
}

fn any_time() -> impl Strategy<Value = OffsetDateTime> {
    let days = select(vec![
        -100, 0, 0, 0, 0, 180, 250, 350, 500, 36_400, 36_450, 36_600,
    ]);
    days.prop_map(|days| NOW + Duration::days(days))
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn whatever_is_stored_gets_a_plan_or_a_refusal_and_a_published_set_is_stable(
        spec in any_spec(), stored in any_stored(), now in any_time(),
    ) {
        let assessment = assess(&stored);
        let plan = match planner::plan(&spec, &assessment, now) {
            Ok(plan) => plan,
            Err(refusal) => {
                check_text(&refusal.to_string());
                return Ok(());
            }
        };
        check_text(&format!("{plan} {plan:?} {spec:?} {assessment:?}"));
        let published = publication(&plan, &spec, &stored, &assessment, now, &mut FreshMint);
        let (writes, removed) = match published {
            Ok(publication) => (publication.writes, publication.removed),
            Err(error) => {
                prop_assert!(!matches!(error, PublicationError::Unstable { .. }), "{plan}: {error}");
                check_text(&error.to_string());
                return Ok(());
            }
        };
        prop_assert_eq!(plan.is_keep(), writes.is_empty() && removed.is_empty());
        let mut after = stored.clone();
        for write in &writes {
            write.apply(&mut after);
            // A crash here is healed by the same event.
            let crashed = assess(&after);
            if let Ok(plan) = planner::plan(&spec, &crashed, now) {
                let healed =
                    publication(&plan, &spec, &after, &crashed, now, &mut FreshMint);
                prop_assert!(healed.is_ok(), "{plan} after {:?}: {:?}", write.part, healed.err());
            }
        }
        for pair in removed {
            after.remove(&pair.cert());
            after.remove(&pair.key());
        }
        if plan.is_keep() {
            prop_assert_eq!(&after, &stored);
            return Ok(());
        }
        check_kept(&sticky(&spec), &after, now);
        check_coherent(&after, now);
    }
}

/// Checks that a set that was published is one: its keys belong to its certificates, and its bundle accepts its chain.
#[track_caller]
fn check_coherent(stored: &StoredSet, now: OffsetDateTime) {
    let found = Found::decode(stored);
    let pairs = [&found.server, &found.client].into_iter();
    let pairs = pairs.filter(|pair| !pair.is_missing());
    assert!(pairs.clone().all(FoundPair::matches), "{found:?}");
    assert!(found.server.matches(), "{found:?}");
    let ca_key = public_key(stored, Part::CaKey);
    let bundle = read_certificates(value(stored, Part::CaCert));
    let chain = read_certificates(value(stored, Part::Cert));
    let current = found.ca_cert.as_ref().expect("the bundle is good");
    let mut authorities = current.authorities().iter();
    assert!(authorities.any(|ca| ca.public_key() == ca_key));
    let mut registry = Registry::default();
    let bundle: Vec<_> = bundle.iter().map(|der| registry.id(der)).collect();
    let chain: Vec<_> = chain.iter().map(|der| registry.id(der)).collect();
    // Not yet valid counts as healthy.
    let begun = bundle
        .iter()
        .chain(&chain)
        .map(|id| registry.facts(*id).validity.0);
    let now = begun.fold(now.unix_timestamp(), i64::max);
    let verdict = registry.judge(&bundle, &chain, now);
    assert_ne!(verdict, Verdict::Refused, "{found:?}");
}

/// Checks that a text for people holds no piece of a key.
#[track_caller]
fn check_text(text: &str) {
    assert!(
        !text.contains("BEGIN") && !text.contains("MII") && !text.contains("MHcC"),
        "{text}"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,80}".prop_map(Value::from),
        select(vec![
            "0", "-1", "1e3", " 7 ", "365001", "RSA_4096", "aa:bb", ","
        ])
        .prop_map(Value::from),
    ];
    prop_oneof![
        6 => scalar.clone(),
        1 => vec(scalar.clone(), 0..3).prop_map(Value::from),
        1 => scalar.prop_map(|inner| json!({ "inner": inner })),
    ]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn whatever_one_property_is_it_is_taken_or_the_error_names_it_and_says_what_was_expected(
        property in select(PROPERTIES.to_vec()), given in any_json(),
    ) {
        let mut properties = json!({ "Rack": "rack-1" });
        properties[property] = given.clone();
        let parsed = rack(&properties);
        let parsed = parsed.and_then(|rack| GeneratorProperties::parse(rack, &properties));
        if let Err(error) = parsed {
            let text = error.to_string();
            prop_assert!(text.contains(property), "{text}");
            prop_assert!(text.contains("expected"), "{text}");
            prop_assert!(!text.ends_with('.'), "{text}");
            prop_assert!(text.starts_with("property "), "{text}");
            if let Value::String(given) = given
                && given.is_ascii() && (1..50).contains(&given.len())
                && !given.contains(['"', '\\', ',']) && !given.contains(|c: char| c.is_control())
            {
                prop_assert!(text.contains(given.trim()), "{given:?}: {text}");
            }
        }
        OldProperties::read(&properties);
    }

    #[test]
    fn whatever_all_properties_are_reading_them_ends(
        pairs in vec((".{0,12}", any_json()), 0..5), given in any_json(),
    ) {
        let properties: Map<String, Value> = pairs.into_iter().collect();
        for properties in [Value::Object(properties), given] {
            let rack = rack(&properties).ok().or_else(|| Rack::new("rack-1"));
            let rack = rack.expect("a name that is not empty");
            let _ = GeneratorProperties::parse(rack.clone(), &properties).map_err(|e| e.to_string());
            let _ = GetterProperties::parse(rack, &properties).map_err(|e| e.to_string());
            let _ = unknown_property(&properties).map(|error| error.to_string());
            OldProperties::read(&properties);
        }
    }
}

#[test]
fn an_unknown_property_is_named_with_the_nearest_known_one() {
    for (given, nearest) in [
        ("CaValidityDays", "CAValidityDays"),
        ("RotateToken", "RotationToken"),
        ("rack", "Rack"),
        ("KMSKeyID", "KmsKeyId"),
        ("SubjectAltNames", "SubjectAlternativeNames"),
    ] {
        let error = unknown_property(&json!({ "Rack": "r", given: "x" })).expect("it is unknown");
        let text = error.to_string();
        assert!(text.contains(given) && text.contains(nearest), "{text}");
    }
    assert_eq!(
        unknown_property(&json!({ "Rack": "r", "ServiceTimeout": 60 })),
        None
    );
}
