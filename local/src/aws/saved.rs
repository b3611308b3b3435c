//! The account on its way to disk and back.

use super::Aws;
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// What [`Aws::save`] writes beside DynamoDB's own files.
const STATE: &str = "state.json";

impl Aws {
    /// How often something has changed: a number that grows.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Writes everything into `folder`, which must be there and empty.
    ///
    /// It is the account at one moment. A function that runs meanwhile is not in it, and so its message or its event
    /// comes again later, as after a crash on AWS.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let inner = &*self.0;
        let state = json!({
            "dynamodb": inner.dynamodb.save(folder)?,
            "sqs": inner.sqs.save(),
            "secretsmanager": inner.secretsmanager.save(),
            "events": inner.eventbridge.save(),
            "lambda": inner.lambda.save(),
            "codebuild": inner.codebuild.save(),
            "codepipeline": inner.codepipeline.save(),
            "codedeploy": inner.codedeploy.save(),
            "ecs": inner.ecs.save(),
            "ecr": inner.ecr.save(),
            "monitoring": inner.cloudwatch.save(),
            "sns": inner.sns.save(),
        });
        std::fs::write(folder.join(STATE), serde_json::to_vec(&state)?)
    }

    /// Goes on from what [`Aws::save`] wrote into `folder`. What fell due meanwhile happens at once.
    ///
    /// # Errors
    /// When a file is missing, or is something else. The account is of no use then.
    pub fn restore(&self, folder: &Path) -> io::Result<()> {
        let mut state: Value = serde_json::from_slice(&std::fs::read(folder.join(STATE))?)?;
        let mut part = |service: &str| state.get_mut(service).map(Value::take).unwrap_or_default();
        let inner = &*self.0;
        inner.dynamodb.restore(part("dynamodb"), folder)?;
        inner.sqs.restore(part("sqs"))?;
        inner.secretsmanager.restore(part("secretsmanager"))?;
        inner.eventbridge.restore(part("events"))?;
        inner.lambda.restore(part("lambda"))?;
        inner.codebuild.restore(part("codebuild"))?;
        inner.codepipeline.restore(part("codepipeline"))?;
        inner.codedeploy.restore(part("codedeploy"))?;
        inner.ecs.restore(part("ecs"))?;
        inner.ecr.restore(part("ecr"))?;
        inner.cloudwatch.restore(part("monitoring"))?;
        inner.sns.restore(part("sns"))?;
        self.poke();
        Ok(())
    }
}
