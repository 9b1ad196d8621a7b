//! The folder that stands in for SSM, written behind the function's back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::step::{Copied, Damage, Parameter, Spoilt};

/// `PhysicalResourceId` of the rack in the events.
const RACK_HEX: &str = "7261636b2d31";
/// What a parameter holds at most.
const ROOM: usize = 4096;

/// The files of a rack.
pub struct Store {
    path: PathBuf,
}

/// The values of the parameters that exist.
pub type Values = BTreeMap<&'static str, String>;

impl Store {
    pub fn new(path: PathBuf) -> Self {
        fs::create_dir(&path).expect("room for a folder");
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, parameter: Parameter) -> PathBuf {
        let name = format!("{RACK_HEX}-docker-tls-{}.json", parameter.suffix());
        self.path.join(name)
    }

    pub fn values(&self) -> Values {
        let existing = Parameter::ALL.into_iter();
        let existing = existing.filter_map(|parameter| {
            let text = fs::read_to_string(self.file(parameter)).ok()?;
            let stored: Value = serde_json::from_str(&text).expect("the tool writes JSON");
            let value = stored["value"].as_str().expect("a parameter has a value");
            Some((parameter.suffix(), value.to_owned()))
        });
        existing.collect()
    }

    /// Puts a value into a parameter, or takes the parameter away.
    pub fn set(&self, parameter: Parameter, value: Option<&str>) {
        let file = self.file(parameter);
        let Some(value) = value else {
            // Fails where there is none.
            drop(fs::remove_file(file));
            return;
        };
        let stored = fs::read_to_string(&file).unwrap_or_else(|_| "{}".to_owned());
        let mut stored: Value = serde_json::from_str(&stored).expect("the tool writes JSON");
        if stored.get("Type").is_none() {
            stored["Type"] = json!("SecureString");
        }
        let version = stored["version"].as_i64().unwrap_or_default();
        stored["version"] = json!(version + 1);
        stored["value"] = json!(value);
        fs::write(file, stored.to_string()).expect("room for a file");
    }

    /// Puts back what a copy has.
    pub fn restore(&self, copy: &Values, what: Copied) {
        for parameter in Parameter::ALL {
            let is_meant = match what {
                Copied::Everything => true,
                Copied::Published => Parameter::PUBLISHED.contains(&parameter),
                Copied::One(one) => parameter == one,
            };
            if is_meant {
                self.set(parameter, copy.get(parameter.suffix()).map(String::as_str));
            }
        }
    }

    /// Does a damage, where it makes sense and SSM would take it.
    pub fn damage(&self, damage: Damage, added: Option<&[u8]>) {
        let (parameter, value) = match damage {
            Damage::Delete(parameter) => return self.set(parameter, None),
            Damage::Spoil(parameter, how) => (
                parameter,
                self.value(parameter).map(|value| spoil(&value, how)),
            ),
            Damage::NoBase64Around(parameter) => (parameter, self.text(parameter)),
            Damage::LineEndsLost(parameter) => {
                let text = self.text(parameter);
                let text = text.map(|text| text.replace("-----\n-----", "----------"));
                (parameter, text.map(|text| STANDARD.encode(text)))
            }
            Damage::CrossDropped => (Parameter::Cert, self.first_block(Parameter::Cert)),
            Damage::BundleCut => (Parameter::CaCert, self.first_block(Parameter::CaCert)),
            Damage::BundleReversed => (
                Parameter::CaCert,
                self.with_blocks(|blocks| blocks.into_iter().rev().collect()),
            ),
            Damage::BundleDoubled => (
                Parameter::CaCert,
                self.with_blocks(|blocks| [blocks.clone(), blocks].concat()),
            ),
            Damage::ForeignCaAdded(_) | Damage::ClientPinned(_) => {
                let added = added.expect("there is something to add");
                let added = pem::encode(&pem::Pem::new("CERTIFICATE", added));
                let with =
                    |blocks: Vec<String>| [blocks, vec![added.replace("\r\n", "\n")]].concat();
                (Parameter::CaCert, self.with_blocks(with))
            }
        };
        let value = value.filter(|value| value.len() <= ROOM);
        if let Some(value) = value {
            self.set(parameter, Some(&value));
        }
    }

    fn value(&self, parameter: Parameter) -> Option<String> {
        self.values().remove(parameter.suffix())
    }

    /// The PEM in a value.
    fn text(&self, parameter: Parameter) -> Option<String> {
        let text = STANDARD.decode(self.value(parameter)?).ok()?;
        String::from_utf8(text)
            .ok()
            .filter(|text| text.contains("-----END "))
    }

    fn first_block(&self, parameter: Parameter) -> Option<String> {
        let text = self.text(parameter)?;
        let first = text.split_inclusive(END).next()?;
        Some(STANDARD.encode(first))
    }

    fn with_blocks(&self, change: impl FnOnce(Vec<String>) -> Vec<String>) -> Option<String> {
        let text = self.text(Parameter::CaCert)?;
        let blocks = text
            .split_inclusive(END)
            .filter(|block| block.contains(END));
        let blocks = change(blocks.map(str::to_owned).collect());
        Some(STANDARD.encode(blocks.concat()))
    }
}

/// Ends a block.
const END: &str = "-----END CERTIFICATE-----\n";

fn spoil(value: &str, how: Spoilt) -> String {
    match how {
        Spoilt::NotBase64 => "# not base64 #".to_owned(),
        Spoilt::Text => STANDARD.encode("once upon a time\n"),
        Spoilt::Half => value[..value.len() / 8 * 4].to_owned(),
        Spoilt::Letters => {
            let (before, after) = value.split_at(value.len() / 2);
            format!("{before}AAAAAAAA{}", after.get(8..).unwrap_or_default())
        }
    }
}
