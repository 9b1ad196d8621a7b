//! The response body: what CloudFormation is told.
//!
//! `aws_lambda_events` has a type for it, but that one writes `"Reason": null` and the data in no fixed order.

use aws_lambda_events::cloudformation::CloudFormationCustomResourceResponseStatus as Status;
use serde::Serialize;

use crate::cloudformation::event::Event;
use crate::plan::spec::{ClientCertificate, GeneratorProperties};
use crate::set::pair::Pair;
use crate::set::rack::{Part, Rack};

/// The most bytes that a response body may have; one more, and CloudFormation says "Response object is too long".
pub const MAX_BODY_BYTES: usize = 4096;
/// The most bytes that a `PhysicalResourceId` may have.
const MAX_PHYSICAL_ID_BYTES: usize = 1024;
/// The longest stack id: partition, region, a name of 128 characters and a GUID.
const MAX_STACK_ID_BYTES: usize = 256;
/// The longest logical id.
const MAX_LOGICAL_ID_BYTES: usize = 255;
/// A request id is a GUID.
const REQUEST_ID_BYTES: usize = 36;

/// An answer to an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    physical_resource_id: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_echo: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// What `Fn::GetAtt` reads.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Data {
    /// The generator's attributes.
    Generator(GeneratorData),
    /// The getter's one attribute.
    Getter(GetterData),
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Generator(data) => data.fmt(f),
            Self::Getter(_) => f.write_str("GetterData([elided])"),
        }
    }
}

/// The generator's attributes, the same on Create and Update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeneratorData {
    /// The name of the trust bundle's parameter.
    #[serde(rename = "CACertSSMKey")]
    pub ca_cert_ssm_key: String,
    /// The name of the CA key's parameter.
    #[serde(rename = "CAKeySSMKey")]
    pub ca_key_ssm_key: String,
    /// The name of the certificate chain's parameter.
    #[serde(rename = "CertSSMKey")]
    pub cert_ssm_key: String,
    /// The name of the key's parameter.
    #[serde(rename = "KeySSMKey")]
    pub key_ssm_key: String,
    /// The current CA's fingerprint: SHA-256 in lower-case hex.
    #[serde(rename = "CACertSha256")]
    pub ca_cert_sha256: String,
    /// The current CA's last second: RFC 3339, UTC.
    #[serde(rename = "CACertNotAfter")]
    pub ca_cert_not_after: String,
    /// The end-entity certificate's fingerprint.
    #[serde(rename = "CertSha256")]
    pub cert_sha256: String,
    /// The end-entity certificate's last second.
    #[serde(rename = "CertNotAfter")]
    pub cert_not_after: String,
    /// The previous CA's fingerprint while a rotation is open, else empty.
    #[serde(rename = "PreviousCACertSha256")]
    pub previous_ca_cert_sha256: String,
    /// The attributes of the API's own pair, where `ClientCertificate` is `Separate`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientData>,
}

/// The attributes of the API's own pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ClientData {
    /// The name of its certificate chain's parameter.
    #[serde(rename = "ClientCertSSMKey")]
    pub client_cert_ssm_key: String,
    /// The name of its key's parameter.
    #[serde(rename = "ClientKeySSMKey")]
    pub client_key_ssm_key: String,
    /// Its end-entity certificate's fingerprint.
    pub client_cert_sha256: String,
    /// Its end-entity certificate's last second.
    pub client_cert_not_after: String,
}

impl GeneratorData {
    /// Attributes with the longest texts that there can be, to see whether a response fits.
    fn longest(rack: &Rack, client_certificate: ClientCertificate) -> Self {
        let fingerprint = "0".repeat(64);
        let date = "2126-10-28T16:23:34Z".to_owned();
        Self {
            ca_cert_ssm_key: rack.parameter_name(Part::CaCert),
            ca_key_ssm_key: rack.parameter_name(Part::CaKey),
            cert_ssm_key: rack.parameter_name(Part::Cert),
            key_ssm_key: rack.parameter_name(Part::Key),
            ca_cert_sha256: fingerprint.clone(),
            ca_cert_not_after: date.clone(),
            cert_sha256: fingerprint.clone(),
            cert_not_after: date.clone(),
            previous_ca_cert_sha256: fingerprint.clone(),
            client: client_certificate.usages(Pair::Client).map(|_| ClientData {
                client_cert_ssm_key: rack.parameter_name(Part::ClientCert),
                client_key_ssm_key: rack.parameter_name(Part::ClientKey),
                client_cert_sha256: fingerprint,
                client_cert_not_after: date,
            }),
        }
    }
}

/// The getter's attribute.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetterData {
    /// The stored value, decrypted.
    pub value: String,
}

impl Response {
    /// SUCCESS, with attributes or, for a Delete, without.
    pub fn success(event: &Event, physical_resource_id: String, data: Option<Data>) -> Self {
        Self {
            status: Status::Success,
            reason: None,
            physical_resource_id,
            stack_id: event.stack_id.clone(),
            request_id: event.request_id.clone(),
            logical_resource_id: event.logical_resource_id.clone(),
            no_echo: false,
            data,
        }
    }

    /// FAILED, with the reason that a person reads in the console; it is cut where the body would get too long.
    pub fn failed(event: &Event, physical_resource_id: String, reason: &str) -> Self {
        let reason = if reason.is_empty() { "unknown" } else { reason };
        let mut response = Self {
            status: Status::Failed,
            reason: Some(reason.to_owned()),
            ..Self::success(event, physical_resource_id, None)
        };
        let mut kept = reason.len();
        while response.body().len() > MAX_BODY_BYTES && kept > 1 {
            // A character of the reason takes at least one byte of the body, so this never cuts too much at once
            // but for what escapes take, and never too little in the end.
            let excess = response.body().len() - MAX_BODY_BYTES;
            kept = kept.saturating_sub(excess.div_ceil(6).max(1)).max(1);
            while !reason.is_char_boundary(kept) {
                kept -= 1;
            }
            response.reason = Some(reason[..kept].to_owned());
        }
        response
    }

    /// Has CloudFormation mask the attributes.
    #[must_use]
    pub fn no_echo(self) -> Self {
        Self {
            no_echo: true,
            ..self
        }
    }

    /// The bytes that are put.
    pub fn body(&self) -> String {
        serde_json::to_string(self).expect("texts and flags become JSON")
    }

    /// Whether the answer is SUCCESS.
    pub fn is_success(&self) -> bool {
        self.status == Status::Success
    }

    /// Why it FAILED.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The resource's id.
    pub fn physical_resource_id(&self) -> &str {
        &self.physical_resource_id
    }

    /// The attributes.
    pub fn data(&self) -> Option<&Data> {
        self.data.as_ref()
    }
}

/// Whether the generator's SUCCESS for this rack would fit into a body, and its id into an id.
pub(crate) fn generator_fits(event: &Event, properties: &GeneratorProperties) -> bool {
    let rack = &properties.rack;
    let longest = GeneratorData::longest(rack, properties.client_certificate);
    let data = Data::Generator(longest);
    let longest = Response::success(event, rack.hex().to_owned(), Some(data));
    rack.hex().len() <= MAX_PHYSICAL_ID_BYTES && longest.body().len() <= MAX_BODY_BYTES
}

/// How many bytes of a value a getter's response has room for, whatever stack and resource the getter is in.
pub(crate) fn getter_room_bytes(rack: &Rack) -> usize {
    let longest = Response {
        status: Status::Success,
        reason: None,
        physical_resource_id: rack.hex().to_owned(),
        stack_id: "s".repeat(MAX_STACK_ID_BYTES),
        request_id: "r".repeat(REQUEST_ID_BYTES),
        logical_resource_id: "l".repeat(MAX_LOGICAL_ID_BYTES),
        no_echo: true,
        data: Some(Data::Getter(GetterData {
            value: String::new(),
        })),
    };
    MAX_BODY_BYTES.saturating_sub(longest.body().len())
}

/// The id of a resource that could not be created: it owns nothing, so its Delete takes nothing away.
pub(crate) fn not_created_id(event: &Event, rack: Option<&Rack>) -> String {
    let id = match rack {
        Some(rack) => format!("not-created-{}", rack.hex()),
        None => format!("not-created-{}", event.request_id),
    };
    if id.len() <= MAX_PHYSICAL_ID_BYTES {
        id
    } else {
        format!("not-created-{}", event.request_id)
    }
}
