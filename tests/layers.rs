//! The folders of `src` are layers, in the order in which `lib.rs` lists them: none imports from one that comes after
//! it, and no module reaches itself by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use docker_tls_certgen as _;
use docker_tls_testing::sources::read_all;

/// The modules that each module names by its path from the crate's root. A layer's own file has the layer's name.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The layers, lowest first.
fn layers() -> Vec<String> {
    let lib = fs::read_to_string(source().join("lib.rs")).expect("the crate has a lib.rs");
    let layers = lib.lines().filter_map(|line| line.strip_prefix("pub mod "));
    layers
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect()
}

fn source() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

/// What the modules of these layers import.
fn read_imports(layers: &[String]) -> Imports {
    let mut texts = BTreeMap::new();
    for layer in layers {
        for (path, text) in read_all(&source().join(layer)) {
            let hides =
                text.contains("crate::{") || text.replace("super::*", "").contains("super::");
            assert!(
                !hides,
                "{}: name modules from the crate's root",
                path.display()
            );
            let name = path.file_stem().and_then(|name| name.to_str());
            let module = match name.expect("modules have plain names") {
                "mod" => layer.clone(),
                name => format!("{layer}::{name}"),
            };
            texts.insert(module, text);
        }
    }
    let modules: BTreeSet<String> = texts.keys().cloned().collect();
    texts
        .iter()
        .map(|(module, text)| (module.clone(), imports(text, &modules)))
        .collect()
}

/// The modules that a text names, in its code alone.
fn imports(text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .filter_map(|path| {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let mut names = path.split("::");
            let layer = names.next()?.split(|c| !is_name(c)).next()?.to_owned();
            let name = names.next().unwrap_or_default();
            let name = name.split(|c| !is_name(c)).next().unwrap_or_default();
            let module = format!("{layer}::{name}");
            [module, layer]
                .into_iter()
                .find(|module| modules.contains(module))
        })
        .collect()
}

/// The imports that lead upwards, each as `module imports module`.
fn inversions(imports: &Imports, layers: &[String]) -> Vec<String> {
    let rank = |module: &str| {
        let layer = module.split("::").next().unwrap_or_default();
        layers.iter().position(|known| known == layer)
    };
    let pairs = imports
        .iter()
        .flat_map(|(module, imported)| imported.iter().map(move |imported| (module, imported)));
    pairs
        .filter(|(module, imported)| rank(imported) > rank(module))
        .map(|(module, imported)| format!("{module} imports {imported}"))
        .collect()
}

/// The modules that reach themselves.
fn cycles(imports: &Imports) -> Vec<&str> {
    let reaches_itself = |start: &str| {
        let mut open: Vec<&str> = vec![start];
        let mut reached = BTreeSet::new();
        while let Some(module) = open.pop() {
            let imported = imports.get(module).into_iter().flatten();
            open.extend(
                imported
                    .map(String::as_str)
                    .filter(|module| reached.insert(*module)),
            );
        }
        reached.contains(start)
    };
    imports
        .keys()
        .map(String::as_str)
        .filter(|module| reaches_itself(module))
        .collect()
}

#[test]
fn no_layer_imports_from_one_above_it() {
    let layers = layers();
    let imports = read_imports(&layers);
    assert!(layers.len() > 5 && imports.len() > 30, "{layers:?}");
    assert_eq!(inversions(&imports, &layers), [""; 0]);
}

#[test]
fn no_module_reaches_itself() {
    assert_eq!(cycles(&read_imports(&layers())), [""; 0]);
}

#[test]
fn an_import_that_is_turned_round_is_seen() {
    let layers = layers();
    let mut all = read_imports(&layers);
    let modules = all.keys().cloned().collect();
    for line in [
        "use crate::store::ssm::Ssm;",
        "use crate::store::{ParameterStore, Put};",
        "    let store: crate::store::Put = put;",
    ] {
        let mut turned = all.clone();
        turned.insert("pki::chain".to_owned(), imports(line, &modules));
        assert_eq!(inversions(&turned, &layers).len(), 1, "{line}");
    }
    all.insert(
        "pki::certificate".to_owned(),
        imports("use crate::pki::bundle::TrustBundle;", &modules),
    );
    assert_eq!(cycles(&all), ["pki::bundle", "pki::certificate"]);
    let comment = "/// As [`crate::store::ssm`] has it.";
    assert_eq!(imports(comment, &modules).len(), 0);
}
