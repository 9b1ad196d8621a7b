//! What can be wrong with a parameter's value by itself, before dates and other parameters are looked at.

/// Why a value is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// SSM named the parameter in `InvalidParameters`: it does not exist.
    #[error("is missing")]
    Missing,
    /// The value is not base64.
    #[error("is not base64")]
    NotBase64,
    /// The decoded text has no PEM block of the kind that belongs there.
    #[error("has no PEM block of the kind {label}")]
    NoPemBlock {
        /// The label that was looked for.
        label: &'static str,
    },
    /// A block's bytes are not one X.509 certificate.
    #[error("has a block that is no X.509 certificate")]
    NotACertificate,
    /// The certificate lacks cA=TRUE or keyCertSign.
    #[error("holds a certificate that is not a CA's")]
    NotACa,
    /// The CA certificate is not as the CA key signed it, or not of the name under which that key issues.
    #[error("holds a CA certificate that was altered: it does not fit what its key has signed")]
    Altered,
    /// A key block's bytes load neither as PKCS#1 nor as SEC1 nor as PKCS#8.
    #[error("holds a private key that does not load")]
    KeyDoesNotLoad,
    /// The state is not the JSON that this function writes.
    #[error("is not the JSON that this function writes")]
    NotState,
    /// The state was written by a later version of this function, in a form that this one cannot read.
    #[error("was written by a later version of this function")]
    LaterState,
}
