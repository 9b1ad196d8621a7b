//! Which response URLs an answer may be put to.
//!
//! Anyone can make a bucket or pre-sign a URL, and someone who may invoke the function must not be able to have keys
//! sent elsewhere. So only CloudFormation's own bucket of the function's region is answered, and only for stacks of
//! the function's own account.

use std::fmt;

use reqwest::Url;
use time::format_description::well_known::Iso8601;
use time::{Duration, OffsetDateTime, PrimitiveDateTime};

const BUCKET_PREFIX: &str = "cloudformation-custom-resource-response-";

/// The DNS suffix of each partition's endpoints, by the beginning of its regions' names; the last fits the rest.
const PARTITION_SUFFIXES: [(&str, &str); 7] = [
    ("cn-", "amazonaws.com.cn"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
    ("", "amazonaws.com"),
];

/// Whom this function answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponsePolicy {
    /// The function's region, for example `us-east-1`; empty where there is none, and then no bucket is answered.
    pub region: String,
    /// The function's account, twelve digits.
    pub account: String,
    /// `host` or `host:port`, from `RESPONSE_URL_ALLOWED_HOSTS`: answered whatever the path, over http too.
    pub allowed_hosts: Vec<String>,
}

impl ResponsePolicy {
    /// Reads a comma-separated list of hosts.
    pub fn parse_allowed_hosts(text: &str) -> Vec<String> {
        text.split(',')
            .map(|host| host.trim().to_ascii_lowercase())
            .filter(|host| !host.is_empty())
            .collect()
    }

    /// Lets a URL through, or says why not.
    pub fn check(&self, raw: &str) -> Result<ResponseUrl, UrlRefusal> {
        let url = Url::parse(raw).map_err(|_| UrlRefusal::NotAUrl)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        if !is_verbatim(raw, &url) {
            return Err(UrlRefusal::NotVerbatim { host });
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(UrlRefusal::UserOrFragment { host });
        }
        let host_and_port = url
            .port()
            .map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let is_allowed = |allowed: &String| *allowed == host || *allowed == host_and_port;
        if self.allowed_hosts.iter().any(is_allowed) {
            return match url.scheme() {
                "http" | "https" => Ok(ResponseUrl(url)),
                _ => Err(UrlRefusal::NotHttps { host }),
            };
        }
        if url.scheme() != "https" {
            return Err(UrlRefusal::NotHttps { host });
        }
        if url.port().is_some() {
            return Err(UrlRefusal::Port { host });
        }
        let key = self.key_in_bucket(&host, url.path())?;
        self.check_account(key, &host)?;
        Ok(ResponseUrl(url))
    }

    /// The part of the path behind the bucket, if the URL is in CloudFormation's bucket of this region.
    fn key_in_bucket<'a>(&self, host: &str, path: &'a str) -> Result<&'a str, UrlRefusal> {
        let refused = || UrlRefusal::NotTheBucket {
            host: host.to_owned(),
        };
        if self.region.is_empty() {
            return Err(refused());
        }
        let bucket = format!("{BUCKET_PREFIX}{}", self.region.replace('-', ""));
        let region = &self.region;
        let suffix = PARTITION_SUFFIXES
            .into_iter()
            .find(|(prefix, _)| region.starts_with(prefix))
            .map_or("amazonaws.com", |(_, suffix)| suffix);
        let endpoints = [
            format!("s3.{suffix}"),
            format!("s3.{region}.{suffix}"),
            format!("s3-{region}.{suffix}"),
            format!("s3.dualstack.{region}.{suffix}"),
        ];
        let is_endpoint = |host: &str| endpoints.iter().any(|endpoint| endpoint == host);
        let path = path.trim_start_matches('/');
        if let Some((first, rest)) = host.split_once('.')
            && first == bucket
            && is_endpoint(rest)
        {
            return Ok(path);
        }
        if is_endpoint(host)
            && let Some((first, rest)) = path.split_once('/')
            && first == bucket
        {
            return Ok(rest);
        }
        Err(refused())
    }

    /// The key is `arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/GUID|LOGICAL|REQUEST`, percent-encoded.
    fn check_account(&self, key: &str, host: &str) -> Result<(), UrlRefusal> {
        let key = key.replace("%3A", ":").replace("%3a", ":");
        let fields: Vec<&str> = key.splitn(6, ':').collect();
        match fields[..] {
            ["arn", _, "cloudformation", _, account, stack]
                if stack.starts_with("stack/") || stack.starts_with("stack%2F") =>
            {
                if account == self.account {
                    Ok(())
                } else {
                    Err(UrlRefusal::OtherAccount {
                        account: account.chars().take(12).collect(),
                    })
                }
            }
            _ => Err(UrlRefusal::NoStack {
                host: host.to_owned(),
            }),
        }
    }
}

/// A URL that may be answered. Its query is a signature, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(Url);

impl ResponseUrl {
    /// The URL to put to.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// When the URL was signed, and with it the event: `X-Amz-Date`.
    pub fn signed_at(&self) -> Option<OffsetDateTime> {
        signed_at(&self.0)
    }

    /// Whether the URL can no longer be used: nobody waits for this event any more.
    pub fn is_expired(&self, now: OffsetDateTime) -> bool {
        let lifetime = query(&self.0, "X-Amz-Expires").and_then(|seconds| seconds.parse().ok());
        match (self.signed_at(), lifetime.map(Duration::seconds)) {
            (Some(signed_at), Some(lifetime)) => {
                signed_at.checked_add(lifetime).is_some_and(|end| end < now)
            }
            _ => false,
        }
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ResponseUrl({}, [elided])",
            self.0.host_str().unwrap_or_default()
        )
    }
}

fn signed_at(url: &Url) -> Option<OffsetDateTime> {
    let text = query(url, "X-Amz-Date")?;
    let time = PrimitiveDateTime::parse(&text, &Iso8601::PARSING).ok()?;
    Some(time.assume_utc())
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.into_owned())
}

/// Whether what is sent is what was given, byte for byte: a signature covers the path and the query as they stand.
fn is_verbatim(raw: &str, url: &Url) -> bool {
    let Some((_, rest)) = raw.split_once("://") else {
        return false;
    };
    let target = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    let sent = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let fragment = url.fragment().map(|fragment| format!("#{fragment}"));
    target == format!("{sent}{}", fragment.unwrap_or_default())
}

/// Why a URL is not answered. None of the texts has more of it than its host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// It does not parse.
    #[error("the response URL cannot be parsed; expected an https URL")]
    NotAUrl,
    /// It would not be sent as it stands.
    #[error(
        "the response URL at {host:?} would change when it is sent; expected one that needs no normalising"
    )]
    NotVerbatim {
        /// Its host.
        host: String,
    },
    /// It has a user, a password or a fragment.
    #[error(
        "the response URL at {host:?} has a user, a password or a fragment; expected none of these"
    )]
    UserOrFragment {
        /// Its host.
        host: String,
    },
    /// It is not https.
    #[error("the response URL at {host:?} is not https; expected https")]
    NotHttps {
        /// Its host.
        host: String,
    },
    /// It names a port.
    #[error("the response URL at {host:?} names a port; expected none")]
    Port {
        /// Its host.
        host: String,
    },
    /// It is not in CloudFormation's bucket of this region.
    #[error(
        "the response URL at {host:?} is not in CloudFormation's bucket of this region; for local work, name the \
         host in RESPONSE_URL_ALLOWED_HOSTS"
    )]
    NotTheBucket {
        /// Its host.
        host: String,
    },
    /// Its path has no stack's ARN.
    #[error("the response URL at {host:?} names no stack; expected a stack's ARN in its path")]
    NoStack {
        /// Its host.
        host: String,
    },
    /// The stack is another account's.
    #[error(
        "the response URL belongs to a stack of account {account:?}, not of this function's account"
    )]
    OtherAccount {
        /// That account.
        account: String,
    },
}
