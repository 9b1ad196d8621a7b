//! Why a text holds nothing that can be used.

/// Why a text holds no certificate or no key that can be used. Its words follow the name of what holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// It is not base64.
    #[error("is not base64")]
    NotBase64,
    /// The decoded text has no PEM block of the kind that belongs there.
    #[error("has no PEM block labelled {label}")]
    NoPemBlock {
        /// The label that was looked for.
        label: &'static str,
    },
    /// A block's bytes are not one X.509 certificate.
    #[error("contains a block that is not an X.509 certificate")]
    NotACertificate,
    /// A root certificate does not bear its own signature.
    #[error("holds a root certificate that its own key did not sign")]
    UnsignedRoot,
    /// The certificate lacks cA=TRUE or keyCertSign.
    #[error("holds a certificate that is not a CA's")]
    NotACa,
    /// A key block's bytes load neither as PKCS#1 nor as SEC1 nor as PKCS#8.
    #[error("holds a private key that cannot be loaded")]
    KeyDoesNotLoad,
}
