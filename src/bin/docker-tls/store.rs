//! Which store a command works on, and at what time.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::Args;
use docker_tls_certgen::machine::http::{ClientError, Tls};
use docker_tls_certgen::machine::real::{self, RealMachine};
use docker_tls_certgen::machine::roots::Roots;
use docker_tls_certgen::set::parameter::StoredSet;
use docker_tls_certgen::set::rack::{Part, Rack};
use docker_tls_certgen::store::folder::Folder;
use docker_tls_certgen::store::ssm::Ssm;
use docker_tls_certgen::store::{Deletion, ParameterStore, Put, Selector, StoreError, patience};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime, UtcOffset};
use tokio::time::Instant;

use crate::error::ToolError;

/// How long a command may take that reads while SSM is busy, and an event that is run.
pub const TIME_LIMIT: std::time::Duration = std::time::Duration::from_mins(1);

/// The options that every command with a store has.
#[derive(Args)]
pub struct StoreArguments {
    /// The folder that stands in for SSM
    #[arg(long, value_name = "DIR", default_value = ".docker-tls")]
    pub store: PathBuf,
    /// Use SSM in the account and region of the environment
    #[arg(long, conflicts_with = "store")]
    pub ssm: bool,
}

impl StoreArguments {
    /// Opens the store.
    pub async fn open(&self) -> Result<Store, ClientError> {
        Ok(if self.ssm {
            Store::ssm().await?
        } else {
            Store::Folder(Folder::new(self.store.clone()))
        })
    }

    /// The store as people call it.
    pub fn name(&self) -> String {
        if self.ssm {
            "SSM".to_owned()
        } else {
            self.store.display().to_string()
        }
    }
}

/// The options that every command about one rack has.
#[derive(Args)]
pub struct RackArguments {
    /// The rack; may be left out if the store has only one
    #[arg(long, value_name = "NAME")]
    rack: Option<String>,
    #[command(flatten)]
    pub store: StoreArguments,
}

impl RackArguments {
    /// Opens the store, and says which rack is meant.
    pub async fn open(&self) -> Result<(Store, Rack), ToolError> {
        let store = self.store.open().await?;
        let rack = match (&self.rack, &store) {
            (Some(name), _) => Rack::new(name).ok_or(ToolError::EmptyRack)?,
            (None, Store::Ssm(_)) => return Err(ToolError::RackNotNamed),
            (None, Store::Folder(folder)) => only_rack(folder)?,
        };
        Ok((store, rack))
    }
}

fn only_rack(folder: &Folder) -> Result<Rack, ToolError> {
    let path = folder.path().to_owned();
    let racks = folder.racks();
    let mut racks = racks.map_err(|error| ToolError::of_file(&path, error))?;
    match (racks.pop(), racks.len()) {
        (None, _) => Err(ToolError::NoRack { path }),
        (Some(rack), 0) => Ok(rack),
        (Some(last), _) => {
            let names = racks.iter().chain([&last]).map(Rack::name);
            let names = names.collect::<Vec<_>>().join(", ");
            Err(ToolError::SeveralRacks { path, names })
        }
    }
}

/// The option that sets the clock.
#[derive(Args)]
pub struct ClockArguments {
    /// The time that the clock shows: an offset from now, such as +36450d or +99y (a year counts as 365 days), or a
    /// date, such as 2027-03-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<OffsetDateTime>,
}

impl ClockArguments {
    /// The time, given or the system's.
    pub fn now(&self) -> OffsetDateTime {
        self.now.unwrap_or_else(real::system_time)
    }
}

/// How many days a year counts for, so that 100y is 36500d, the default of `CAValidityDays`.
const DAYS_PER_YEAR: i64 = 365;
/// From the clock's own beginning to the last year in which the longest `CAValidityDays` still ends before 10000, where
/// the dates of certificates end.
const YEARS: RangeInclusive<i32> = 1970..=8999;

fn parse_time(text: &str) -> Result<OffsetDateTime, &'static str> {
    let time = match text.strip_prefix('+') {
        Some(ahead) => parse_days(ahead).and_then(|days| real::system_time().checked_add(days)),
        None => OffsetDateTime::parse(text, &Rfc3339).ok(),
    };
    time.and_then(|time| time.checked_to_offset(UtcOffset::UTC))
        .filter(|time| YEARS.contains(&time.year()))
        .ok_or(
            "expected an offset from now, such as +36450d or +99y, or an RFC 3339 date, such as \
             2027-03-31T12:00:00Z, between the years 1970 and 8999",
        )
}

/// The duration that `36450d` or `99y` says.
fn parse_days(text: &str) -> Option<Duration> {
    let (number, days_per_unit) = match text.strip_suffix('y') {
        Some(years) => (years, DAYS_PER_YEAR),
        None => (text.strip_suffix('d')?, 1),
    };
    let is_unsigned = number.starts_with(|first: char| first.is_ascii_digit());
    let number: u32 = number.parse().ok().filter(|_| is_unsigned)?;
    Some(Duration::days(i64::from(number) * days_per_unit))
}

/// SSM or a folder.
pub enum Store {
    /// A local folder.
    Folder(Folder),
    /// SSM Parameter Store.
    Ssm(Ssm),
}

impl Store {
    /// SSM in the account and region that the environment names.
    pub async fn ssm() -> Result<Self, ClientError> {
        let client = Tls::new(Roots::System)?.aws_client()?;
        Ok(Self::Ssm(Ssm::from_defaults(client).await))
    }

    /// Some of a rack's parameters, however busy SSM is.
    pub async fn stored(
        &self,
        rack: &Rack,
        parts: impl IntoIterator<Item = Part>,
    ) -> Result<StoredSet, StoreError> {
        let machine = RealMachine::new(real::system_time(), Instant::now() + TIME_LIMIT);
        patience::read(self, &machine, rack, parts).await
    }
}

impl ParameterStore for Store {
    async fn read(&self, rack: &Rack, selectors: &[Selector]) -> Result<StoredSet, StoreError> {
        match self {
            Self::Folder(store) => store.read(rack, selectors).await,
            Self::Ssm(store) => store.read(rack, selectors).await,
        }
    }

    async fn put(&self, rack: &Rack, put: &Put<'_>) -> Result<i64, StoreError> {
        match self {
            Self::Folder(store) => store.put(rack, put).await,
            Self::Ssm(store) => store.put(rack, put).await,
        }
    }

    async fn delete(&self, rack: &Rack, deletion: Deletion) -> Result<(), StoreError> {
        match self {
            Self::Folder(store) => store.delete(rack, deletion).await,
            Self::Ssm(store) => store.delete(rack, deletion).await,
        }
    }
}
