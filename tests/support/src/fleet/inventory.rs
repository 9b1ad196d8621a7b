//! DescribeInstanceInformation: the nodes that the service manages.

use serde_json::{Value, json};

use crate::fleet::constraint::{Constraints, matches};
use crate::fleet::node::{Connection, ID_PATTERN, Node};
use crate::fleet::refusal::Refusal;
use crate::fleet::{State, timestamp};

/// How many nodes a page has where the request does not say.
const DEFAULT_PAGE: u32 = 10;

/// How many values a filter has at most.
const MAX_VALUES: usize = 100;

const INVALID_VALUE: &str = "InvalidInstanceInformationFilterValue";

const PLATFORM: &str = "Linux";
const RESOURCE_TYPE: &str = "EC2Instance";
const AGENT_VERSION: &str = "3.3.3572.0";

/// What a node must have.
struct Filter<'a> {
    key: &'a str,
    values: Vec<&'a str>,
}

impl State {
    /// The action. A page is taken from all nodes and then filtered, so that it may have few nodes or none and yet a
    /// next one (aws/aws-cli#2626).
    pub(super) fn describe(&mut self, request: &Value) -> Result<Value, Refusal> {
        let mut constraints = Constraints::of(request, &["Filters", "MaxResults", "NextToken"]);
        let size = constraints.number("MaxResults", &(5..=50));
        let token = constraints.text("NextToken", 0..=usize::MAX, None);
        let filters = Filter::parse_all(&request["Filters"], &mut constraints);
        constraints.check()?;
        let with_tags = filters.iter().filter(|filter| filter.is_for_tags()).count();
        if with_tags > 0 && with_tags < filters.len() {
            // The API's reference says that this is not allowed, and not what the error is.
            return Err(Refusal::new(INVALID_VALUE, "Tag filters can't be combined"));
        }
        for filter in &filters {
            filter.check()?;
        }
        let managed = self.nodes.iter().filter(|(_, node)| node.is_managed());
        let managed = managed.map(|(id, _)| id.clone()).collect();
        let size = size.unwrap_or(DEFAULT_PAGE) as usize;
        let question = format!("DescribeInstanceInformation {}", request["Filters"]);
        let (ids, next) = self.pages.cut(&question, managed, size, token)?;
        let nodes = ids.iter().map(|id| (id, &self.nodes[id]));
        let found: Vec<_> = nodes
            .filter(|(id, node)| filters.iter().all(|filter| filter.takes(id, node)))
            .map(|(id, node)| row(id, node))
            .collect();
        // "If there are no additional items to return, the string is empty."
        Ok(json!({ "InstanceInformationList": found, "NextToken": next.unwrap_or_default() }))
    }
}

impl<'a> Filter<'a> {
    fn parse_all(filters: &'a Value, constraints: &mut Constraints) -> Vec<Self> {
        let filters = filters.as_array().into_iter().flatten();
        filters
            .map(|filter| {
                let values: Vec<_> = filter["Values"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                constraints.check_count("Values", values.len(), &(1..=MAX_VALUES));
                let key = filter["Key"].as_str().unwrap_or_default();
                constraints.check_count("Key", key.chars().count(), &(1..=usize::MAX));
                Self { key, values }
            })
            .collect()
    }

    fn is_for_tags(&self) -> bool {
        self.key == "tag-key" || self.tag().is_some()
    }

    /// The tag that it is for.
    fn tag(&self) -> Option<&str> {
        let tag = self.key.strip_prefix("tag:")?;
        (!tag.is_empty()).then_some(tag)
    }

    /// Whether the service takes it.
    fn check(&self) -> Result<(), Refusal> {
        let key = self.key;
        match key {
            _ if self.is_for_tags() => Ok(()),
            "InstanceIds" => match self.values.iter().find(|id| !matches(ID_PATTERN, id)) {
                Some(id) => Err(Refusal::new("InvalidInstanceId", format!("{id} is no id"))),
                None => Ok(()),
            },
            "PingStatus" | "PlatformTypes" | "ResourceType" if self.values.len() > 1 => {
                let message = format!("{key} filter may contain only one value.");
                Err(Refusal::new(INVALID_VALUE, message))
            }
            "PingStatus" => self.check_values(&["Online", "ConnectionLost", "Inactive"]),
            "PlatformTypes" => self.check_values(&["Windows", "Linux", "MacOS"]),
            "ResourceType" => self.check_values(&["EC2Instance", "ManagedInstance"]),
            _ => Err(Refusal::new(
                "InvalidFilterKey",
                format!("The specified key isn't valid: {key}"),
            )),
        }
    }

    fn check_values(&self, valid: &[&str]) -> Result<(), Refusal> {
        if self.values.iter().all(|value| valid.contains(value)) {
            return Ok(());
        }
        let (key, valid) = (self.key, valid.join(", "));
        let message = format!("{key} filter is invalid, valid values are {valid}");
        Err(Refusal::new(INVALID_VALUE, message))
    }

    fn takes(&self, id: &str, node: &Node) -> bool {
        let has = |value: &str| self.values.contains(&value);
        match self.key {
            "tag-key" => node.tags.keys().any(|key| has(key)),
            "InstanceIds" => has(id),
            "PingStatus" => has(ping(node)),
            "PlatformTypes" => has(PLATFORM),
            "ResourceType" => has(RESOURCE_TYPE),
            _ => {
                let value = self.tag().and_then(|tag| node.tags.get(tag));
                value.is_some_and(|value| has(value))
            }
        }
    }
}

fn ping(node: &Node) -> &'static str {
    if node.connection == Connection::Online {
        "Online"
    } else {
        "ConnectionLost"
    }
}

fn row(id: &str, node: &Node) -> Value {
    json!({
        "InstanceId": id,
        "PingStatus": ping(node),
        "LastPingDateTime": timestamp::seconds(node.heard_at()),
        "AgentVersion": AGENT_VERSION,
        "IsLatestVersion": true,
        "PlatformType": PLATFORM,
        "PlatformName": "Amazon Linux",
        "PlatformVersion": "2023",
        "ResourceType": RESOURCE_TYPE,
        "IPAddress": address(id),
        "ComputerName": format!("{id}.internal"),
        "SourceId": id,
        "SourceType": "AWS::EC2::Instance",
    })
}

/// An address in 10.0.0.0/8 from the last six digits of an id.
fn address(id: &str) -> String {
    let digits = &id[id.len() - 6..];
    let number = u32::from_str_radix(digits, 16).unwrap_or_default();
    let [_, second, third, fourth] = number.to_be_bytes();
    format!("10.{second}.{third}.{fourth}")
}
