//! Who owns a set: nothing that anyone still uses is removed, and what is nobody's is not left behind.

use crate::rig::Rig;

docker_tls_testing::ownership_tests!(Rig::start);
