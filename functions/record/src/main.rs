//! The wiring of `record`: environment to settings, event to handler.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use pointsman::{aws::AwsConfig, telemetry};
use pointsman_record::{App, Settings, handle};

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::disallowed_methods, reason = "main reads the environment")]
async fn main() -> Result<(), Error> {
    telemetry::start();
    let settings = Settings::read(&|name| std::env::var(name).ok())?;
    let app = App::start(AwsConfig::from_environment().await, settings).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<_>| Ok::<_, Error>(handle(&app, &event.payload).await?)))
        .await
}
