//! Dates as this function writes them for people and for `Fn::GetAtt`.

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// RFC 3339 in UTC with whole seconds, for example `2126-10-28T16:23:34Z`.
pub fn timestamp(time: OffsetDateTime) -> String {
    time.to_offset(UtcOffset::UTC)
        .truncate_to_second()
        .format(&Rfc3339)
        .expect("a year that X.509 can hold can be written")
}
