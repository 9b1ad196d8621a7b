//! Who owns a set, as `tests/lambda` has it.

docker_tls_testing::ownership_tests!(crate::function::start);
