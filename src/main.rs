//! The Lambda function's entry point.

/// One thread serves one event at a time, as Lambda sends them.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    docker_tls_certgen::function::lambda::run().await
}
