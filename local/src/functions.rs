//! Pointsman's own functions as Lambda runs them: cold at first, warm until they are forgotten, killed on request.

use crate::aws::Aws;
use crate::aws::lambda::{Answer, Handler, Invocation};
use crate::aws::wire::{Wire, credentials_for};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::SharedTimeSource;
use pointsman::aws::AwsConfig;
use pointsman::random::Random;
use pointsman::settings::{Lookup, Missing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A function as the template describes it.
#[derive(Debug, Clone)]
pub struct Function {
    /// The name of its binary, which is the name of its crate.
    pub binary: String,
    /// The name of the role that it runs as.
    pub role: String,
    /// Where it runs.
    pub region: String,
    /// Its environment.
    pub variables: BTreeMap<String, String>,
}

/// The template names a binary that is not built in, or a variable is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// The handler of the function in a crate: `handle` of that crate, with what an invocation has, as its `main` calls it.
macro_rules! laid_down {
    ($fleet:expr, $function:expr, $from:ident, |$app:ident, $event:ident, $invocation:ident| $answer:expr) => {{
        use $from::{App, Settings, handle};
        let start = |config, settings| boxed(async { Ok(App::start(config, settings).await) });
        $fleet.laid_down($function, Settings::read, start, |$app, $event, $invocation| {
            boxed(async move { write(&$answer) })
        })?
    }};
}

/// Decides, for each invocation of a function, whether and when it is killed.
pub type Reaper = Arc<dyn Fn(&str) -> Option<Duration> + Send + Sync>;

/// The functions of one account.
#[derive(Clone)]
pub struct Fleet {
    aws: Aws,
    random: Random,
    reaper: Option<Reaper>,
    generation: Arc<Mutex<u64>>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fleet")
    }
}

impl Fleet {
    /// Functions that run in `aws` and draw from `random`; `reaper` kills some of them half way.
    pub fn new(aws: &Aws, random: Random, reaper: Option<Reaper>) -> Self {
        Self { aws: aws.clone(), random, reaper, generation: Arc::default() }
    }

    /// Makes the next invocation of every function a cold start.
    pub fn forget(&self) {
        *crate::aws::lock(&self.generation) += 1;
    }

    /// The configuration that code running as `role` has.
    pub fn config(&self, role: &str, region: &str) -> AwsConfig {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials_for(role)))
            .http_client(Wire::new(self.aws.clone()))
            .time_source(SharedTimeSource::new(self.aws.clock()))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .build();
        AwsConfig::emulated(sdk, "local", self.random.clone())
    }

    /// The handler of one of Pointsman's functions.
    ///
    /// # Errors
    /// [`Unknown`].
    pub fn handler(&self, function: &Function) -> Result<Handler, Unknown> {
        Ok(match function.binary.as_str() {
            // The only one that reads a secret before it answers, so the only one whose start can fail.
            "webhook" => {
                use pointsman_webhook::{App, Settings, handle};
                let start = |config, settings| boxed(async { App::start(config, settings).await.map_err(text) });
                self.laid_down(function, Settings::read, start, |app, event, invocation| {
                    boxed(async move { write(&handle(&app, &read(event)?, &invocation.request_id).await) })
                })?
            }
            "dispatch" => laid_down!(self, function, pointsman_dispatch, |app, event, invocation| {
                handle(&app, &read(event)?, invocation.deadline).await
            }),
            "record" => laid_down!(self, function, pointsman_record, |app, event, _invocation| {
                handle(&app, &read(event)?).await.map_err(text)?
            }),
            "gate" => laid_down!(self, function, pointsman_gate, |app, event, _invocation| {
                handle(&app, &event).await.map_err(text)?
            }),
            "approve" => laid_down!(self, function, pointsman_approve, |app, event, _invocation| {
                handle(&app, &read(event)?).await
            }),
            "guard" => laid_down!(self, function, pointsman_guard, |app, event, invocation| {
                handle(&app, &event, invocation.deadline).await.map_err(text)?
            }),
            "rollback" => laid_down!(self, function, pointsman_rollback, |app, event, _invocation| {
                handle(&app, &read(event)?).await.map_err(text)?
            }),
            "sweep" => laid_down!(self, function, pointsman_sweep, |app, _event, invocation| {
                handle(&app, invocation.deadline).await.map_err(text)?
            }),
            other => return Err(Unknown(format!("there is no function {other}"))),
        })
    }

    /// The handler of a function with its settings out of the template, as its own `main` has them out of the environment.
    fn laid_down<S: Clone + Send + Sync + 'static, A: Send + Sync + 'static>(
        &self,
        function: &Function,
        settings: impl Fn(Lookup<'_>) -> Result<S, Missing>,
        start: impl Fn(AwsConfig, S) -> Boxed<A> + Send + Sync + 'static,
        handle: impl Fn(Arc<A>, Value, Invocation) -> Answer + Send + Sync + 'static,
    ) -> Result<Handler, Unknown> {
        let lookup = |name: &str| function.variables.get(name).cloned();
        let settings = settings(&lookup).map_err(|missing| Unknown(missing.to_string()))?;
        let config = self.config(&function.role, &function.region);
        Ok(self.warm(&function.binary, move || start(config.clone(), settings.clone()), handle))
    }

    /// A handler that starts its app on the first invocation and keeps it for the next ones.
    fn warm<A: Send + Sync + 'static>(
        &self,
        name: &str,
        start: impl Fn() -> Boxed<A> + Send + Sync + 'static,
        handle: impl Fn(Arc<A>, Value, Invocation) -> Answer + Send + Sync + 'static,
    ) -> Handler {
        let kept: Arc<tokio::sync::Mutex<Option<Kept<A>>>> = Arc::default();
        let (start, handle) = (Arc::new(start), Arc::new(handle));
        let (fleet, name) = (self.clone(), name.to_owned());
        Arc::new(move |event: Value, invocation: Invocation| -> Answer {
            let (kept, start, handle) = (kept.clone(), start.clone(), handle.clone());
            let (fleet, name) = (fleet.clone(), name.clone());
            Box::pin(async move {
                let work = async {
                    let generation = *crate::aws::lock(&fleet.generation);
                    let mut slot = kept.lock().await;
                    let app = match &*slot {
                        Some((born, app)) if *born == generation => app.clone(),
                        _ => {
                            let app = Arc::new(start().await?);
                            *slot = Some((generation, app.clone()));
                            app
                        }
                    };
                    drop(slot);
                    handle(app, event, invocation).await
                };
                match fleet.reaper.as_ref().and_then(|reaper| reaper(&name)) {
                    None => work.await,
                    Some(after) => {
                        let outcome = tokio::time::timeout(after, work).await;
                        if outcome.is_err() {
                            // A killed sandbox is gone: the next invocation starts cold.
                            *kept.lock().await = None;
                        }
                        outcome.unwrap_or_else(|_| Err("killed".to_owned()))
                    }
                }
            })
        })
    }
}

/// A warm app, and the generation that it was born in.
type Kept<A> = (u64, Arc<A>);

/// Something under way: a cold start, or an answer.
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

fn boxed<T>(work: impl Future<Output = Result<T, String>> + Send + 'static) -> Boxed<T> {
    Box::pin(work)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn read<T: serde::de::DeserializeOwned>(event: Value) -> Result<T, String> {
    serde_json::from_value(event).map_err(|error| format!("the event cannot be read: {error}"))
}

fn write(answer: &impl serde::Serialize) -> Result<Value, String> {
    serde_json::to_value(answer).map_err(|error| format!("the answer cannot be written: {error}"))
}
