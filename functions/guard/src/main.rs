//! The wiring of `guard`: environment to settings, event to handler.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use pointsman::{aws::AwsConfig, telemetry};
use pointsman_guard::{App, Settings, handle};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::disallowed_methods, reason = "main reads the environment")]
async fn main() -> Result<(), Error> {
    let lookup = |name: &str| std::env::var(name).ok();
    telemetry::start(&lookup);
    let app = App::start(AwsConfig::of_function(&lookup)?, Settings::read(&lookup)?).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| {
        let deadline = jiff::Timestamp::try_from(event.context.deadline())?;
        Ok::<_, Error>(handle(&app, &event.payload, deadline).await?)
    }))
    .await
}
