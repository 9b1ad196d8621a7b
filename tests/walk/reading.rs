//! What an instance makes of a published value, by the rules of `base64 -d` and of Go's encoding/pem; and what is there to
//! be seen in a value at all, however it looks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A block that Go finds.
pub struct Block {
    pub label: String,
    pub has_headers: bool,
    pub der: Vec<u8>,
}

/// The certificates that a daemon trusts of a bundle.
pub fn bundle(value: &str) -> Vec<Vec<u8>> {
    let blocks = blocks(value).into_iter();
    let blocks = blocks.filter(|block| block.label == "CERTIFICATE" && !block.has_headers);
    let mut bundle: Vec<Vec<u8>> = Vec::new();
    for der in blocks.map(|block| block.der) {
        if is_certificate(&der) && !bundle.contains(&der) {
            bundle.push(der);
        }
    }
    bundle
}

/// The certificates that a daemon presents; none where the first of them cannot be read.
pub fn chain(value: &str) -> Vec<Vec<u8>> {
    let blocks = blocks(value).into_iter();
    let blocks = blocks.filter(|block| block.label == "CERTIFICATE");
    let chain: Vec<Vec<u8>> = blocks.map(|block| block.der).collect();
    let is_readable = chain.first().is_some_and(|leaf| is_certificate(leaf));
    if !is_readable {
        return Vec::new();
    }
    chain
        .into_iter()
        .filter(|der| is_certificate(der))
        .collect()
}

/// The private key that a daemon loads, as PEM.
pub fn key(value: &str) -> Option<String> {
    let mut blocks = blocks(value).into_iter();
    let is_key = |label: &str| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY");
    let block = blocks.find(|block| is_key(&block.label))?;
    Some(pem::encode(&pem::Pem::new(block.label, block.der)))
}

/// The certificates that a person can make out in a value.
pub fn visible(value: &str) -> Vec<Vec<u8>> {
    let mut texts = vec![value.to_owned()];
    let bare: String = value.split_whitespace().collect();
    // A value that was cut ends within a group of four.
    let whole = &bare.as_bytes()[..bare.len() / 4 * 4];
    texts.extend(
        STANDARD
            .decode(whole)
            .ok()
            .and_then(|text| String::from_utf8(text).ok()),
    );
    let mut visible = Vec::new();
    for text in texts {
        for part in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
            let body = part.split("-----END").next().unwrap_or_default();
            let body: String = body.split_whitespace().collect();
            visible.extend(STANDARD.decode(body).ok().filter(|der| is_certificate(der)));
        }
    }
    visible
}

fn is_certificate(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

fn blocks(value: &str) -> Vec<Block> {
    let one_line = value.replace('\n', "");
    let Ok(text) = STANDARD.decode(one_line) else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut rest = &text[..];
    let mut blocks = Vec::new();
    while let Some((block, after)) = next_block(rest) {
        blocks.extend(block);
        rest = after;
    }
    blocks
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The next place that may be a block, the block if it is one, and where to go on.
fn next_block(text: &str) -> Option<(Option<Block>, &str)> {
    let begin = if text.starts_with(BEGIN) {
        BEGIN.len()
    } else {
        text.find(&format!("\n{BEGIN}"))? + 1 + BEGIN.len()
    };
    let text = &text[begin..];
    let (first, mut body) = text.split_once('\n').unwrap_or((text, ""));
    let Some(label) = first.trim_end().strip_suffix(DASHES) else {
        return Some((None, body));
    };
    let mut has_headers = false;
    while let Some((line, after)) = body.split_once('\n')
        && line.contains(':')
    {
        has_headers = true;
        body = after;
    }
    let (end, skipped) = if body.starts_with(END) {
        (0, END.len())
    } else {
        match body.find(&format!("\n{END}")) {
            Some(end) => (end, 1 + END.len()),
            None => return Some((None, body)),
        }
    };
    let trailer = &body[end + skipped..];
    let (last, rest) = trailer.split_once('\n').unwrap_or((trailer, ""));
    if last.trim_end() != format!("{label}{DASHES}") {
        return Some((None, body));
    }
    let is_kept = |letter: &char| !matches!(letter, ' ' | '\t' | '\r' | '\n');
    let encoded: String = body[..end].chars().filter(is_kept).collect();
    let block = STANDARD.decode(encoded).ok().map(|der| Block {
        label: label.to_owned(),
        has_headers,
        der,
    });
    // Go goes on behind the end's line either way.
    Some((block, rest))
}
