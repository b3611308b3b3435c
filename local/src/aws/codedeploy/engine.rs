//! Moves a deployment on: which step is due, what it does at ECS, what follows, and how it ends.
//!
//! A turn works on a copy and makes its calls without the lock. What each step does, and in which order the
//! lifecycle events stand, follows observed deployments: the traffic is back before a stopped deployment is
//! shown as such, a deployment stays InProgress while blue waits for its end, a rollback goes all at once.

use super::state::{Deployment, LifecycleEvent, Phase, Request, Status, TaskSet, Traffic};
use super::{ALARM_INTERVAL, Effect, FAST_INSTALL_TIMEOUT, FAST_READY_WAIT, FAST_STEP, INSTALL_TIMEOUT, REAL_INSTALL};
use super::{deployment_id, ecs, events, told};
use crate::aws::{Aws, Pace};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How long a deployment stays Created at the real pace.
const REAL_START: SignedDuration = SignedDuration::from_secs(1);
/// The same at the fast pace.
const FAST_START: SignedDuration = SignedDuration::from_millis(100);
/// How long a rollback takes at the real pace: seconds, since blue still runs.
const REAL_ROLLBACK: SignedDuration = SignedDuration::from_secs(10);
/// How often a task set that is not steady yet is looked at.
const REAL_POLL: SignedDuration = SignedDuration::from_secs(5);
/// The same at the fast pace.
const FAST_POLL: SignedDuration = SignedDuration::from_millis(100);

/// What a deployment does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Step {
    /// Begins: the replacement task set is made.
    Start,
    /// Looks whether the replacement task set is healthy.
    Installed,
    /// Gives up waiting for somebody to continue it.
    GiveUp,
    /// Moves traffic.
    Shift,
    /// Ends blue.
    Terminate,
    /// Brings back what was there before.
    Restore,
}

/// What came of a turn.
pub(super) struct Turn {
    pub(super) deployment: Deployment,
    pub(super) rollback: Option<Deployment>,
    pub(super) effects: Vec<Effect>,
}

/// When a deployment that is created at `now` begins.
pub(super) fn begins(pace: Pace, now: Timestamp) -> Timestamp {
    after(now, if pace == Pace::Fast { FAST_START } else { REAL_START })
}

/// Obeys requests, looks at the alarms, then does every step that is due.
pub(super) fn run(aws: &Aws, deployment: Deployment, requests: Vec<Request>, now: Timestamp) -> Turn {
    let mut run = Run { aws, now, turn: Turn { deployment, rollback: None, effects: Vec::new() } };
    if run.it().status.is_over() {
        return run.turn;
    }
    for request in requests {
        run.obey(request);
    }
    run.look_at_alarms();
    while let Some((at, step)) = run.turn.deployment.next.filter(|(at, _)| *at <= now) {
        if run.turn.deployment.status.is_over() {
            break;
        }
        run.turn.deployment.next = None;
        run.step(step, at);
    }
    run.turn
}

struct Run<'a> {
    aws: &'a Aws,
    now: Timestamp,
    turn: Turn,
}

impl Run<'_> {
    fn it(&mut self) -> &mut Deployment {
        &mut self.turn.deployment
    }

    fn takes(&self, fast: SignedDuration, real: SignedDuration) -> Timestamp {
        after(self.now, if self.aws.behaviour().pace == Pace::Fast { fast } else { real })
    }

    fn then(&mut self, at: Timestamp, step: Step) {
        self.it().next = Some((at, step));
    }

    fn obey(&mut self, request: Request) {
        if self.turn.deployment.status.is_over() {
            return;
        }
        let now = self.now;
        match (request, self.turn.deployment.next) {
            (Request::Stop { rolls_back }, _) => {
                let message = "The deployment was stopped manually.".to_owned();
                self.stop(Status::Stopped, Some(("MANUAL_STOP".to_owned(), message)), rolls_back);
            }
            (Request::EndReadyWait, Some((_, Step::GiveUp))) => self.then(now, Step::Shift),
            (Request::EndTerminationWait, Some((_, Step::Terminate))) => self.then(now, Step::Terminate),
            (Request::EndReadyWait | Request::EndTerminationWait, _) => {}
        }
    }

    /// Stops the deployment when one of its alarms is in ALARM.
    fn look_at_alarms(&mut self) {
        let now = self.now;
        let (alarms, goes_on_blind) = self.turn.deployment.alarms();
        if alarms.is_empty() || self.turn.deployment.status.is_over() {
            self.it().look = None;
            return;
        }
        self.it().look = Some(after(now, ALARM_INTERVAL));
        let region = self.turn.deployment.region.clone();
        match self.aws.ask("monitoring", &region, "DescribeAlarms", json!({ "AlarmNames": alarms })) {
            Ok(answer) => {
                let lists = ["MetricAlarms", "CompositeAlarms"].map(|kind| answer[kind].as_array().cloned());
                let found: Vec<Value> = lists.into_iter().flatten().flatten().collect();
                let is_active = |name: &&String| {
                    found.iter().any(|each| each["AlarmName"] == name.as_str() && each["StateValue"] == "ALARM")
                };
                let active: Vec<String> = alarms.iter().filter(is_active).map(|name| format!("<{name}>")).collect();
                if !active.is_empty() {
                    let message = "One or more alarms have been activated according to the Amazon CloudWatch metrics \
                                   you selected, and the affected deployments have been stopped. Activated alarms: ";
                    self.stop_on_alarm("ALARM_ACTIVE", message.to_owned() + &active.join(" "));
                }
            }
            Err(_) if goes_on_blind => {}
            Err(failure) => {
                let message = format!("The state of the alarms could not be retrieved: {}", failure.message);
                self.stop_on_alarm("INTERNAL_ERROR", message);
            }
        }
    }

    fn stop_on_alarm(&mut self, code: &str, message: String) {
        let rolls_back = self.turn.deployment.rolls_back_on("DEPLOYMENT_STOP_ON_ALARM");
        self.stop(Status::Stopped, Some((code.to_owned(), message)), rolls_back);
    }

    fn fail(&mut self, code: &str, message: impl Into<String>) {
        let rolls_back = self.turn.deployment.rolls_back_on("DEPLOYMENT_FAILURE");
        self.stop(Status::Failed, Some((code.to_owned(), message.into())), rolls_back);
    }

    /// Ends the deployment badly: the event that runs fails, those to come are skipped.
    fn stop(&mut self, status: Status, error: Option<(String, String)>, rolls_back: bool) {
        let now = self.now;
        for event in &mut self.it().events {
            match event.phase {
                Phase::InProgress => (event.phase, event.to) = (Phase::Failed, Some(now)),
                Phase::Pending => event.phase = Phase::Skipped,
                Phase::Succeeded | Phase::Failed | Phase::Skipped => {}
            }
        }
        if rolls_back && !self.turn.deployment.is_rollback() {
            let rollback = undoing(self.aws, &self.turn.deployment, now);
            self.it().undone_by = Some(rollback.id.clone());
            self.it().weight = 0;
            self.turn.rollback = Some(rollback);
        }
        self.it().error = error;
        self.end(status);
    }

    fn end(&mut self, status: Status) {
        let now = self.now;
        let it = self.it();
        (it.status, it.completed, it.updated) = (status, Some(now), now);
        (it.next, it.look) = (None, None);
        let state = match status {
            Status::Succeeded => "SUCCESS",
            Status::Failed => "FAILURE",
            Status::Created | Status::InProgress | Status::Ready | Status::Stopped => "STOP",
        };
        self.tell(state);
        if let Some(key) = self.turn.deployment.key.clone() {
            let end = told(&self.turn.deployment, &key);
            self.turn.effects.push(Effect::End(end));
        }
    }

    fn tell(&mut self, state: &str) {
        let region = self.turn.deployment.region.clone();
        let event = events::of(&self.turn.deployment, state);
        self.turn.effects.push(Effect::Emit { region, event });
    }

    fn step(&mut self, step: Step, due: Timestamp) {
        self.it().updated = self.now;
        match step {
            Step::Start => self.start(),
            Step::Installed => self.installed(),
            Step::GiveUp => {
                let minutes = self.turn.deployment.blue_green("deploymentReadyOption", "waitTimeInMinutes").clone();
                let message = format!(
                    "The deployment timed out while waiting for a notification to continue. This time out period is \
                     {minutes} minutes."
                );
                let rolls_back = self.turn.deployment.rolls_back_on("DEPLOYMENT_FAILURE");
                self.stop(Status::Stopped, Some(("TIMEOUT".to_owned(), message)), rolls_back);
            }
            Step::Shift => self.shift(due),
            Step::Terminate => self.terminate(),
            Step::Restore => self.restore(),
        }
    }

    fn start(&mut self) {
        let now = self.now;
        (self.it().status, self.it().started) = (Status::InProgress, Some(now));
        self.tell("START");
        if let Some(missing) = self.turn.deployment.missing.clone() {
            // Nothing was done yet, and there is no group to roll back.
            return self.stop(Status::Failed, Some(missing), false);
        }
        if self.turn.deployment.is_rollback() {
            self.begin("BeforeInstall");
            let at = self.takes(FAST_STEP, REAL_ROLLBACK);
            return self.then(at, Step::Restore);
        }
        if let Err(reason) = self.turn.deployment.spec.clone() {
            return self.fail(
                "INVALID_REVISION",
                "The deployment failed because the AppSpec file that specifies the deployment configuration is missing \
                 or has an invalid configuration. "
                    .to_owned() + &reason,
            );
        }
        self.done("BeforeInstall");
        self.begin("Install");
        if let Err((code, message)) = ecs::install(self.aws, self.it()) {
            return self.fail(code, message);
        }
        let timeout = self.takes(FAST_INSTALL_TIMEOUT, INSTALL_TIMEOUT);
        self.it().install_ends = Some(timeout);
        let takes = self.turn.deployment.takes.unwrap_or(REAL_INSTALL);
        let at = self.takes(FAST_STEP, takes);
        self.then(at, Step::Installed);
    }

    fn installed(&mut self) {
        if self.turn.deployment.fails {
            let message =
                "The ECS service cannot be updated due to an unexpected error: this deployment was told to fail.";
            return self.fail("ECS_UPDATE_ERROR", message);
        }
        let is_steady = match ecs::look(self.aws, self.it()) {
            Ok(()) => self.turn.deployment.green.as_ref().is_some_and(TaskSet::is_steady),
            Err((code, message)) => return self.fail(code, message),
        };
        if !is_steady && self.turn.deployment.install_ends.is_some_and(|end| end <= self.now) {
            let message = "The deployment timed out while waiting for the replacement task set to become healthy. This \
                           time out period is 60 minutes.";
            return self.fail("TIMEOUT", message);
        }
        if !is_steady {
            let at = self.takes(FAST_POLL, REAL_POLL);
            return self.then(at, Step::Installed);
        }
        for name in ["Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic"] {
            self.done(name);
        }
        let now = self.now;
        if self.turn.deployment.blue_green("deploymentReadyOption", "actionOnTimeout") == "STOP_DEPLOYMENT" {
            self.it().status = Status::Ready;
            self.tell("READY");
            let wait = minutes(self.turn.deployment.blue_green("deploymentReadyOption", "waitTimeInMinutes"));
            let at = self.takes(FAST_READY_WAIT, wait);
            return self.then(at, Step::GiveUp);
        }
        self.then(now, Step::Shift);
    }

    /// Moves the next share of the traffic. `due` keeps the rhythm when a turn comes late.
    fn shift(&mut self, due: Timestamp) {
        self.it().status = Status::InProgress;
        self.done("BeforeAllowTraffic");
        self.begin("AllowTraffic");
        let weight = self.turn.deployment.weight;
        let (next, wait) = match self.turn.deployment.traffic {
            Traffic::AllAtOnce => (100, 0),
            Traffic::Canary { percent, minutes } if weight == 0 => (percent, minutes),
            Traffic::Canary { .. } => (100, 0),
            Traffic::Linear { percent, minutes } => (weight.saturating_add(percent).min(100), minutes),
        };
        self.it().weight = next;
        if next < 100 {
            let real = SignedDuration::from_mins(i64::from(wait));
            let wait = if self.aws.behaviour().pace == Pace::Fast { FAST_STEP } else { real };
            return self.then(after(due, wait), Step::Shift);
        }
        let green = self.turn.deployment.green.as_ref().map(|green| green.id.clone()).unwrap_or_default();
        if let Err((code, message)) = ecs::make_primary(self.aws, self.it(), &green) {
            return self.fail(code, message);
        }
        self.done("AllowTraffic");
        self.done("AfterAllowTraffic");
        let part = "terminateBlueInstancesOnDeploymentSuccess";
        if self.turn.deployment.blue_green(part, "action") == "KEEP_ALIVE" {
            return self.end(Status::Succeeded);
        }
        let wait = minutes(self.turn.deployment.blue_green(part, "terminationWaitTimeInMinutes"));
        let at = self.takes(FAST_STEP, wait);
        self.it().is_terminating = true;
        self.then(at, Step::Terminate);
    }

    /// Ends blue. That it cannot be ended is noted, since the traffic has moved.
    fn terminate(&mut self) {
        let blue = self.turn.deployment.blue.as_ref().map(|blue| blue.id.clone());
        if let Some(Err((_, message))) = blue.map(|blue| ecs::delete(self.aws, self.it(), &blue)) {
            self.it().note = Some(format!("The original task set was not terminated. {message}"));
        }
        self.end(Status::Succeeded);
    }

    /// Brings a rollback to its end: blue is primary, green goes.
    fn restore(&mut self) {
        let ids = (self.turn.deployment.blue.clone(), self.turn.deployment.green.clone());
        if let (Some(blue), Some(green)) = ids
            && let Err((code, message)) = ecs::restore(self.aws, self.it(), &blue.id, &green.id)
        {
            return self.fail(code, message);
        }
        let names: Vec<String> = self.turn.deployment.events.iter().map(|event| event.name.clone()).collect();
        for name in names {
            self.done(&name);
        }
        self.end(Status::Succeeded);
    }

    fn begin(&mut self, name: &str) {
        let now = self.now;
        let found = self.it().events.iter_mut().find(|event| event.name == name && event.phase == Phase::Pending);
        if let Some(event) = found {
            (event.phase, event.from) = (Phase::InProgress, Some(now));
        }
    }

    /// Ends a lifecycle event well. One that a deployment does not have is passed over.
    fn done(&mut self, name: &str) {
        let now = self.now;
        let open = |event: &&mut LifecycleEvent| event.name == name && event.phase != Phase::Succeeded;
        if let Some(event) = self.it().events.iter_mut().find(open) {
            (event.phase, event.to) = (Phase::Succeeded, Some(now));
            event.from.get_or_insert(now);
        }
    }
}

/// The deployment that undoes `stopped`.
fn undoing(aws: &Aws, stopped: &Deployment, now: Timestamp) -> Deployment {
    let mut rollback = stopped.clone();
    rollback.id = deployment_id(aws);
    rollback.creator = "codeDeployRollback".to_owned();
    rollback.config = super::configs::ECS_DEFAULT.to_owned();
    rollback.traffic = Traffic::AllAtOnce;
    rollback.revision = stopped.previous.clone();
    rollback.description = None;
    rollback.undoes = Some(stopped.id.clone());
    (rollback.status, rollback.error, rollback.note) = (Status::Created, None, None);
    (rollback.created, rollback.updated) = (now, now);
    (rollback.started, rollback.completed) = (None, None);
    (rollback.auto_rollback, rollback.override_alarms) = (None, None);
    (rollback.weight, rollback.is_terminating) = (0, false);
    (rollback.fails, rollback.takes, rollback.key) = (false, None, None);
    (rollback.look, rollback.install_ends) = (None, None);
    rollback.next = Some((begins(aws.behaviour().pace, now), Step::Start));
    for event in &mut rollback.events {
        (event.phase, event.from, event.to) = (Phase::Pending, None, None);
    }
    rollback
}

fn minutes(value: &Value) -> SignedDuration {
    SignedDuration::from_mins(value.as_i64().unwrap_or(0))
}

fn after(at: Timestamp, wait: SignedDuration) -> Timestamp {
    at.saturating_add(wait).unwrap_or(at)
}
