//! Which response URLs are answered: every partition's real ones, and no trick.

use docker_tls_certgen::cloudformation::response_url::{ResponsePolicy, UrlRefusal};
use time::{Duration, OffsetDateTime};

const ACCOUNT: &str = "012345678912";

/// What is expected of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Answered,
    NotAUrl,
    NotVerbatim,
    UserOrFragment,
    NotHttps,
    Port,
    NotTheBucket,
    NoStack,
    OtherAccount,
}

use Verdict::{
    Answered, NoStack, NotAUrl, NotHttps, NotTheBucket, NotVerbatim, OtherAccount, Port,
    UserOrFragment,
};

fn verdict(policy: &ResponsePolicy, url: &str) -> Verdict {
    match policy.check(url) {
        Ok(_) => Answered,
        Err(UrlRefusal::NotAUrl) => NotAUrl,
        Err(UrlRefusal::NotVerbatim { .. }) => NotVerbatim,
        Err(UrlRefusal::UserOrFragment { .. }) => UserOrFragment,
        Err(UrlRefusal::NotHttps { .. }) => NotHttps,
        Err(UrlRefusal::Port { .. }) => Port,
        Err(UrlRefusal::NotTheBucket { .. }) => NotTheBucket,
        Err(UrlRefusal::NoStack { .. }) => NoStack,
        Err(UrlRefusal::OtherAccount { .. }) => OtherAccount,
    }
}

fn make_policy(region: &str) -> ResponsePolicy {
    ResponsePolicy {
        region: region.to_owned(),
        account: ACCOUNT.to_owned(),
        allowed_hosts: Vec::new(),
    }
}

/// A URL's path and query, as CloudFormation signs them for a stack of this account.
fn make_target(partition: &str, region: &str, account: &str) -> String {
    format!(
        "arn%3A{partition}%3Acloudformation%3A{region}%3A{account}%3Astack/rack/c6a5e9f0-b734-11f1-8a4e-0e3f9c71d5ab\
         %7CDockerTLSCertGenerate%7C59e2d153-64c7-4500-9d32-fe61985fb4e7?X-Amz-Algorithm=AWS4-HMAC-SHA256&\
         X-Amz-Date=20261121T160405Z&X-Amz-Expires=7199&X-Amz-Signature=0123456789abcdef"
    )
}

#[test]
fn the_bucket_of_the_functions_region_is_answered_in_every_partition() {
    for (partition, region, suffix) in [
        ("aws", "us-east-1", "amazonaws.com"),
        ("aws", "eu-central-1", "amazonaws.com"),
        ("aws", "ap-southeast-5", "amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
        ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
        ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
        ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
        ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
        ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
        ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
    ] {
        let bucket = format!(
            "cloudformation-custom-resource-response-{}",
            region.replace('-', "")
        );
        let policy = make_policy(region);
        let target = make_target(partition, region, ACCOUNT);
        for beginning in [
            format!("https://{bucket}.s3.{suffix}/"),
            format!("https://{bucket}.s3.{region}.{suffix}/"),
            // The older form of the region's endpoint.
            format!("https://{bucket}.s3-{region}.{suffix}/"),
            format!("https://s3.{region}.{suffix}/{bucket}/"),
        ] {
            let found = verdict(&policy, &format!("{beginning}{target}"));
            assert_eq!(found, Answered, "{region}: {beginning}");
        }
    }
}

/// URLs that look as if they were CloudFormation's; `{B}` is the name of its bucket in us-east-1.
const TRICKS: &str = "
NotHttps        http://{B}.s3.amazonaws.com/  not https
Port            https://{B}.s3.amazonaws.com:8443/  another port
UserOrFragment  https://me@{B}.s3.amazonaws.com/  a user
UserOrFragment  https://{B}.s3.amazonaws.com@evil.example/  the bucket as the user of another host
UserOrFragment  https://{B}.s3.amazonaws.com:x@evil.example/  the bucket as user with a password
NotTheBucket    https://{B}.s3.amazonaws.com.evil.example/  the real host as a subdomain
NotTheBucket    https://{B}.s3.amazonaws.com.cn/  another partition's suffix
NotTheBucket    https://{B}.s3-amazonaws.com/  a look-alike domain
NotTheBucket    https://{B}.s3.amazonaws.co/  a look-alike top-level domain
NotAUrl         https://{B}.s3.amаzonaws.com/  a Cyrillic letter in the host
NotTheBucket    https://{B}x.s3.amazonaws.com/  a bucket with a longer name
NotTheBucket    https://x{B}.s3.amazonaws.com/  a bucket with something in front
NotTheBucket    https://x.{B}.s3.amazonaws.com/  a bucket with dots
NotTheBucket    https://cloudformation-custom-resource-response-euwest1.s3.amazonaws.com/  the bucket of another region
NotTheBucket    https://my-bucket.s3.amazonaws.com/  anybody's bucket
NotTheBucket    https://{B}.s3.eu-west-1.amazonaws.com/  another region's endpoint
NotTheBucket    https://{B}.s3-website-us-east-1.amazonaws.com/  a website endpoint
NotTheBucket    https://{B}.s3-accelerate.amazonaws.com/  the accelerated endpoint
NotTheBucket    https://evil.example/{B}/  the bucket in the path of another host
NotTheBucket    https://evil.example/s3.amazonaws.com/{B}/  host and bucket in the path of another host
NotTheBucket    https://s3.amazonaws.com/my-bucket/  anybody's bucket in the path
NotVerbatim     https://s3.amazonaws.com/x/../{B}/  dots in the path
NotTheBucket    https://s3.amazonaws.com/{B}%2F  an encoded slash behind the bucket
NotTheBucket    https://169.254.169.254/  the metadata service
NotTheBucket    https://127.0.0.1/  an IPv4 address
NotTheBucket    https://[::1]/  an IPv6 address
NotTheBucket    https://2130706433/  an IPv4 address as one number
NotTheBucket    https://localhost/  the function's own machine
NotHttps        ftp://{B}.s3.amazonaws.com/  another scheme
NotHttps        file:///etc/passwd?  a file
NotAUrl         //evil.example/  no scheme
NotVerbatim     https://{B}.s3.amazonaws.com\\@evil.example/  a backslash
NotVerbatim     https://{B}.s3.amazonaws.com/\t  a tab in the path
NoStack         https://{B}.s3.amazonaws.com/stack/  a path that is no stack's
";

#[test]
fn no_trick_gets_an_answer_sent_elsewhere() {
    let policy = make_policy("us-east-1");
    let target = make_target("aws", "us-east-1", ACCOUNT);
    let rows = TRICKS.lines().skip(1);
    assert_eq!(rows.clone().count(), 34);
    for row in rows {
        let (expected, row) = row.split_once(' ').expect("a row has columns");
        let (beginning, what) = row.trim_start().split_once("  ").expect("and two more");
        let bucket = "cloudformation-custom-resource-response-useast1";
        let beginning = beginning.replace("{B}", bucket);
        let found = verdict(&policy, &format!("{beginning}{target}"));
        assert_eq!(format!("{found:?}"), expected, "{what}: {beginning}");
    }
}

#[test]
fn a_stack_of_another_account_is_not_answered() {
    let policy = make_policy("us-east-1");
    let host = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/";
    let other = make_target("aws", "us-east-1", "999999999999");
    assert_eq!(verdict(&policy, &format!("{host}{other}")), OtherAccount);
    let hidden = make_target("aws", "us-east-1", "999999999999%3A012345678912");
    assert_eq!(verdict(&policy, &format!("{host}{hidden}")), NoStack);
}

#[test]
fn a_function_without_a_region_answers_nobody() {
    let policy = make_policy("");
    let target = make_target("aws", "", ACCOUNT);
    let url = format!("https://cloudformation-custom-resource-response-.s3.amazonaws.com/{target}");
    assert_eq!(verdict(&policy, &url), NotTheBucket);
}

#[test]
fn an_allowed_host_is_answered_over_http_too_and_no_other_is() {
    let policy = ResponsePolicy {
        allowed_hosts: ResponsePolicy::parse_allowed_hosts(" 172.17.0.1:8080 ,sink.local,"),
        ..make_policy("us-east-1")
    };
    for (url, expected) in [
        ("http://172.17.0.1:8080/answer?id=1", Answered),
        ("https://172.17.0.1:8080/", Answered),
        ("http://172.17.0.1:8081/", NotHttps),
        ("https://172.17.0.1/", NotTheBucket),
        ("http://sink.local/", Answered),
        ("http://sink.local:99/", Answered),
        ("http://x.sink.local/", NotHttps),
        ("http://sink.local@evil.example/", UserOrFragment),
        ("ftp://sink.local/", NotHttps),
    ] {
        assert_eq!(verdict(&policy, url), expected, "{url}");
    }
}

#[test]
fn the_empty_list_allows_no_host() {
    for text in ["", " ", ",", " , "] {
        assert_eq!(
            ResponsePolicy::parse_allowed_hosts(text),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a_url_is_put_byte_for_byte_or_not_at_all() {
    let policy = make_policy("us-east-1");
    let host = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com";
    let target = make_target("aws", "us-east-1", ACCOUNT);
    let url = policy
        .check(&format!("{host}/{target}"))
        .expect("CloudFormation's own URL");
    assert_eq!(url.expose().as_str(), format!("{host}/{target}"));
    assert!(!format!("{url:?}").contains("Signature"));
}

#[test]
fn a_url_expires_when_its_signature_does_and_not_before() {
    let policy = make_policy("us-east-1");
    let host = "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/";
    let target = make_target("aws", "us-east-1", ACCOUNT);
    let url = policy
        .check(&format!("{host}{target}"))
        .expect("CloudFormation's own URL");
    let signed_at = OffsetDateTime::from_unix_timestamp(1_795_277_045).expect("a time");
    assert_eq!(url.signed_at(), Some(signed_at));
    let end = signed_at + Duration::seconds(7199);
    assert!(!url.is_expired(end));
    assert!(url.is_expired(end + Duration::seconds(1)));
    let without_date = policy
        .check(&format!(
            "{host}{}?Expires=1",
            target.split('?').next().unwrap_or_default()
        ))
        .expect("a URL that is signed the old way");
    assert_eq!(without_date.signed_at(), None);
    assert!(!without_date.is_expired(end + Duration::days(9_999)));
}
