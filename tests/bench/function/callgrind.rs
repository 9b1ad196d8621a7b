//! Instructions that the function executes, as callgrind counts them. The clock has a part only where a machine is so
//! slow that a request times out and is sent again.

use std::fs;
use std::path::Path;

use crate::cloud::Cloud;
use crate::function::Function;
use crate::store::Parameters;

/// How many instructions of user mode it takes until the function asks for its first event, and, with an event, until
/// it asks for the next one.
pub async fn count(bootstrap: &Path, event: Option<(&str, &Parameters)>, cloud: &mut Cloud) -> u64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let counts = folder.path().join("callgrind.out");
    let by = [
        "valgrind".to_owned(),
        "--quiet".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", counts.display()),
    ];
    if let Some((_, parameters)) = event {
        cloud.set(parameters.clone());
    }
    let mut function = Function::start(bootstrap, &by, cloud).await;
    if let Some((event, _)) = event {
        (_, function) = function.handle(event, cloud).await;
    }
    function.end().await;
    let text = fs::read_to_string(&counts).expect("callgrind writes its counts at the end");
    let total = text.lines().find_map(|line| line.strip_prefix("summary: "));
    let total = total.and_then(|total| total.trim().parse().ok());
    total.expect("callgrind's file has a summary")
}
