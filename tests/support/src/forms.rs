//! The forms in which a parameter may hold the same certificates or the same key, and whether an instance reads them.
//!
//! What stands here is checked against `base64 -d` and the docker client by the tests with real engines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docker_tls_certgen::set::rack::Part;
use pem::{EncodeConfig, LineEnding, Pem};

/// A form, made of the PEM text of several blocks or of one.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// What became of the text, in words.
    pub name: &'static str,
    write: fn(&str) -> String,
    reads: Reads,
}

/// Where an instance reads the same as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// Whatever it stands for.
    All,
    /// In a trust bundle alone.
    Bundle,
    /// In a certificate chain and in a key: in a bundle Go skips such a block.
    Pair,
    /// In a certificate chain alone.
    Chain,
    /// In a trust bundle and in a key: in a chain Go sends such a block.
    AllButChain,
    /// In a key alone.
    Key,
    /// Nowhere.
    None,
}

impl Form {
    /// The value of a parameter that held this PEM text.
    pub fn value(&self, text: &str) -> String {
        (self.write)(text)
    }

    /// Whether an instance makes the same of the value as of the plain one.
    pub fn is_read(&self, part: Part, text: &str) -> bool {
        let is_plain = self.value(text) == STANDARD.encode(text);
        is_plain
            || match self.reads {
                Reads::All => true,
                Reads::None => false,
                Reads::Bundle => part == Part::CaCert,
                Reads::Chain => part == Part::Cert,
                Reads::Key => part.is_key(),
                Reads::Pair => part != Part::CaCert,
                Reads::AllButChain => part != Part::Cert,
            }
    }
}

macro_rules! forms {
    ($list:ident, $doc:literal, $encode:expr, $($name:literal $reads:ident $write:expr;)*) => {
        #[doc = $doc]
        pub const $list: &[Form] = &[$(Form {
            name: $name,
            write: |text| {
                let write: fn(&str) -> _ = $write;
                $encode(write(text))
            },
            reads: Reads::$reads,
        }),*];
    };
}

forms! {
    TEXTS, "The forms whose PEM text is another.", |text: String| STANDARD.encode(text),
    "plain" All |text| text.to_owned();
    "CRLF" All |text| text.replace('\n', "\r\n");
    "blanks at line ends" All |text| text.replace('\n', " \t\n");
    "newlines doubled" All |text| text.replace('\n', "\n\n");
    "last newline lost" All |text| text.trim_end().to_owned();
    "blank lines around" All |text| format!("\n \n{text} \n\n  ");
    "comments around" All |text| format!("# a: comment\n{text}subject=CN = somebody\n");
    "comments between" All |text| text.replace("-----\n-----B", "-----\nissuer=CN = somebody\n\n-----B");
    "content in one line" All |text| in_content(text, |body| body.replace('\n', "") + "\n");
    "blanks within the content" All |text| in_content(text, |body| body.replace('A', "A "));
    "content indented" All |text| in_content(text, |body| format!("\t {}\n", body.trim_end().replace('\n', "\n\t ")));
    "a block's first line twice" All |text| format!("{}\n{text}", first_line(text));
    "a block's last line in front" All |text| format!("{}\n{text}", first_line(text).replace("BEGIN", "END"));
    "half a block behind" All |text| format!("{text}{}\nMIIB\n", first_line(text));
    "another kind of block in front" All |text|
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{text}");
    "garbage in a block in front" Bundle |text| format!("{}{text}", garbage(text));
    "garbage in a block behind" AllButChain |text| format!("{text}{}", garbage(text));
    "an empty block behind" AllButChain |text| format!("{text}{}", garbage(text).replace("anVuaw==\n", ""));
    "CR alone" None |text| text.replace('\n', "\r");
    "all indented" None |text| format!("  {}", text.trim_end().replace('\n', "\n  "));
    "first line indented" None |text| format!(" {text}");
    "last lines indented" None |text| text.replace("-----END", "  -----END");
    "newlines between blocks lost" None |text| text.replace("-----\n-----B", "----------B");
    "newlines between blocks made blanks" None |text| text.replace("-----\n-----B", "----- -----B");
    "all newlines lost" None |text| text.replace('\n', "");
    "all newlines made blanks" None |text| text.replace('\n', " ");
    "newline behind first lines lost" None |text| in_content(text, str::to_owned).replace("-----\nM", "-----M");
    "newline before last lines lost" None |text| text.replace("\n-----END", "-----END");
    "newline behind a comment lost" None |text| format!("subject=CN = somebody{text}");
    "text behind last lines" None |text| text.trim_end().replace("-----\n-----B", "----- and\n-----B") + " end";
    "BOM" None |text| format!("\u{feff}{text}");
    "quotes around" None |text| format!("\"{text}\"");
    "quotes around each line" None |text| format!("'{}'\n", text.trim_end().replace('\n', "'\n'"));
    "newlines spelt out" None |text| text.replace('\n', "\\n");
    "CRLF spelt out" None |text| format!("\"{}\"", text.replace('\n', "\\r\\n"));
    "lines of a string literal" None |text| format!("\"{}\"", text.replace('\n', "\\n\" \\\n\""));
    "slashes escaped, newlines spelt out" None |text| text.replace('/', "\\/").replace('\n', "\\n");
    "headers" Pair |text| in_content(text, |body| format!("Comment: a\nOf: x\n\n{body}"));
    "headers without an empty line" Pair |text| in_content(text, |body| format!("Comment: a\n{body}"));
    "headers, all in one line" None |text|
        in_content(text, |body| format!("Comment: a\n\n{body}")).replace('\n', " ");
    "a header of encryption" Chain |text| in_content(text, |body| format!("DEK-Info: none\n\n{body}"));
    "first block's last line lost" None |text| text.replacen(&format!("{}\n", last_line(text)), "", 1);
    "last lines lost" None |text| text.replace(&format!("{}\n", last_line(text)), "");
    "last line lost, and a comment behind" None |text| text.replace(last_line(text), "subject=CN = somebody");
    "first lines lost" None |text| text.replace(&format!("{}\n", first_line(text)), "");
    "last lines of another kind" None |text| text.replace("-----END ", "-----END MY ");
    "first lines of another kind" None |text| text.replace("-----BEGIN ", "-----BEGIN MY ");
    "a dash of the first line lost" None |text| text[1..].to_owned();
    "a dash too many" None |text| text.replace("-----\n", "------\n");
    "dashes behind first lines lost" None |text|
        text.replace(first_line(text), first_line(text).trim_end_matches('-'));
    "two blanks before the label" None |text| text.replace("-----BEGIN ", "-----BEGIN  ");
    "blank behind the label" None |text|
        text.replace(first_line(text), &first_line(text).replace("E-----", "E -----").replace("Y-----", "Y -----"));
    "labels in lower case" None |text| text.replace(label(text), &label(text).to_lowercase());
    "labels X509 CERTIFICATE and MY PRIVATE KEY" Key |text|
        text.replace("CERTIFICATE", "X509 CERTIFICATE").replace("PRIVATE KEY", "MY PRIVATE KEY");
    "label ENCRYPTED PRIVATE KEY" All |text| key_relabelled(text, "ENCRYPTED PRIVATE KEY");
    "label RSA PRIVATE KEY" All |text| key_relabelled(text, "RSA PRIVATE KEY");
    "label KEY" None |text| text.replace("PRIVATE KEY", "KEY");
    "label TRUSTED CERTIFICATE" None |text| relabelled(text, "TRUSTED CERTIFICATE", b"\x30\x03\x0c\x01x");
    "bytes behind a certificate or a PKCS#1 key" None |text|
        if is_loose_key(text) { text.to_owned() } else { relabelled(text, label(text), b"behind") };
    "bytes behind a PKCS#8 or a SEC1 key" All |text|
        if is_loose_key(text) { relabelled(text, label(text), b"behind") } else { text.to_owned() };
    "content unpadded" None |text| text.replace('=', "");
    "no-break spaces within the content" None |text| in_content(text, |body| body.replace('\n', "\u{a0}\n"));
}

forms! {
    BYTES, "The forms that are no text in UTF-8.", |bytes: Vec<u8>| STANDARD.encode(bytes),
    "a comment in Latin-1" All |text| [b"\xe9t\xe9\n", text.as_bytes(), b"\xe9"].concat();
    "a byte of Latin-1 in front" None |text| [b"\xa0", text.as_bytes()].concat();
    "a byte of Latin-1 in the content" None |text|
        text.replace('\n', "\n\u{1}").bytes().map(|byte| if byte == 1 { 0xa0 } else { byte }).collect();
    "UTF-16" None |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    "UTF-16 with a BOM" None |text|
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
}

forms! {
    VALUES, "The forms whose base64 is another, or none.", |value: String| value,
    "base64 in lines" All |text| wrapped(text, "\n");
    "a newline behind the base64" All |text| STANDARD.encode(text) + "\n";
    "blanks behind the base64" All |text| STANDARD.encode(text) + " \r\n";
    "a newline spelt out behind the base64" All |text| STANDARD.encode(text) + "\\n";
    "base64 unpadded" All |text| STANDARD.encode(text).trim_end_matches('=').to_owned();
    "each block in base64 of its own" All |text| pieces(text).concat();
    "each block in unpadded base64" None |text| {
        let pieces = pieces(text);
        let (last, others) = pieces.split_last().expect("there is a block");
        let others: String = others.iter().map(|piece| piece.trim_end_matches('=')).collect();
        others + last
    };
    "each block in base64 of its own, with blanks between" None |text| {
        let joined = pieces(text).join(" ");
        if joined.contains(' ') { joined } else { format!(" {joined}") }
    };
    "base64 in lines with CRLF" None |text| wrapped(text, "\r\n");
    "base64 in lines that are indented" None |text| wrapped(text, "\n  ");
    "base64 in lines that are spelt out" None |text| wrapped(text, "\\n");
    "blank before the base64" None |text| format!(" {}", STANDARD.encode(text));
    "blank within the base64" None |text| wrapped(text, " ");
    "quotes around the base64" None |text| format!("\"{}\"", STANDARD.encode(text));
    "BOM before the base64" None |text| format!("\u{feff}{}", STANDARD.encode(text));
    "a character too many in the base64" None |text| {
        let mut value = STANDARD.encode(text);
        value.insert(value.len() / 2, '*');
        value
    };
    "PEM" None |text| text.to_owned();
    "PEM with CRLF" None |text| text.replace('\n', "\r\n");
    "PEM without newlines" None |text| text.replace('\n', "");
    "PEM with blanks for newlines" None |text| text.replace('\n', " ");
    "PEM with newlines spelt out" None |text| text.replace('\n', "\\n");
    "PEM in quotes" None |text| format!("'{text}'");
}

/// Every form.
pub fn forms() -> impl Iterator<Item = &'static Form> {
    TEXTS.iter().chain(BYTES).chain(VALUES)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}

fn label(text: &str) -> &str {
    let label = first_line(text).trim_start_matches("-----BEGIN ");
    label.trim_end_matches('-')
}

/// Whether Go does not mind what follows the DER.
fn is_loose_key(text: &str) -> bool {
    matches!(label(text), "PRIVATE KEY" | "EC PRIVATE KEY")
}

/// A block of the same label with bytes in it that are no DER.
fn garbage(text: &str) -> String {
    let begin = first_line(text);
    format!("{begin}\nanVuaw==\n{}\n", begin.replace("BEGIN", "END"))
}

/// Changes what stands between the first and the last line of each block, its last newline included.
fn in_content(text: &str, change: impl Fn(&str) -> String) -> String {
    let [begin, end] = [first_line(text), last_line(text)].map(|line| format!("{line}\n"));
    let blocks = text.split_inclusive(&end);
    let blocks = blocks.map(|block| {
        let body = block.trim_start_matches(&begin);
        let body = body.trim_end_matches(&end);
        format!("{begin}{}{end}", change(body))
    });
    blocks.collect()
}

/// Gives a private key another label.
fn key_relabelled(text: &str, to: &str) -> String {
    if label(text).ends_with("PRIVATE KEY") {
        text.replace(label(text), to)
    } else {
        text.to_owned()
    }
}

/// Gives the blocks another label, and adds bytes to each.
fn relabelled(text: &str, label: &str, more: &[u8]) -> String {
    // What is no PEM any more stays as it is.
    let Ok(blocks) = pem::parse_many(text) else {
        return text.to_owned();
    };
    let blocks = blocks
        .iter()
        .map(|block| Pem::new(label, [block.contents(), more].concat()));
    let line_ends = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_many_config(&blocks.collect::<Vec<_>>(), line_ends).replace("-----\n\n", "-----\n")
}

fn pieces(text: &str) -> Vec<String> {
    let last = format!("{}\n", last_line(text));
    text.split_inclusive(&last)
        .map(|block| STANDARD.encode(block))
        .collect()
}

/// The base64 in lines of 76 characters, as tools write it.
fn wrapped(text: &str, line_end: &str) -> String {
    let value = STANDARD.encode(text).into_bytes();
    let lines = value.chunks(76).map(|line| String::from_utf8_lossy(line));
    lines.collect::<Vec<_>>().join(line_end)
}
