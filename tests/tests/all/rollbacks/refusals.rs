//! Each service's own refusals, and where each leads: to the next step, to the same one again, or to a person.

use super::in_flight::{landed_slowly, tag_application, tag_service};
use super::*;

/// A call is repeated by the SDK as often as this, so a refusal that it repeats is seen only then.
const TIMES: usize = 3;

/// What stands in the way before the call that is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    /// Nothing: the bad version has landed.
    Landed,
    /// The pipeline was edited since.
    Edited,
    /// It was edited, and cannot be started.
    Broken,
    /// The bad version is on its way into the first region, by ECS.
    OnItsWay,
    /// The same into the second one, by CodeDeploy.
    OnItsWayToSecond,
}

fn refused(code: &str) -> Fault {
    Fault::Refuse { code: code.into(), status: 400 }
}

fn failed(code: &str) -> Fault {
    Fault::Refuse { code: code.into(), status: 500 }
}

/// A world as it is before the call, and whom it blames.
async fn before(before: Before) -> (World, Execution) {
    match before {
        Before::Landed | Before::Edited | Before::Broken => {
            let world = started(Behaviour::default()).await;
            deploy(&world, 2).await;
            let bad = deploy(&world, 3).await;
            if before != Before::Landed {
                edit(&world);
            }
            if before == Before::Broken {
                let gone = refused("PipelineNotFoundException");
                world.aws().faults().next("codepipeline", "StartPipelineExecution", gone);
            }
            (world, bad)
        }
        Before::OnItsWay | Before::OnItsWayToSecond => {
            let (world, _) = landed_slowly(CONFIG.to_owned()).await;
            match before == Before::OnItsWay {
                true => tag_service(&world, "10m"),
                false => tag_application(&world, "10m"),
            }
            let bad = begin(&world, 3).await;
            world.pass(2 * MINUTE).await;
            while before == Before::OnItsWayToSecond && landed(&world, REGION).await[0] != 3 {
                world.pass(MINUTE / 2).await;
            }
            world.pass(MINUTE / 2).await;
            (world, bad)
        }
    }
}

/// The steps that it leads to, each with what AWS said against it, and how it ends.
async fn led(stands: Before, call: (&str, &str), fault: &Fault, times: usize) -> String {
    let (world, bad) = before(stands).await;
    for _ in 0..times {
        world.aws().faults().next(call.0, call.1, fault.clone());
    }
    let second = stands == Before::OnItsWayToSecond || call.0 == "codedeploy";
    let id = turn_back_of(&world, &bad, &[if second { SECOND } else { REGION }]).await;
    for _ in 0..40 {
        world.pass(MINUTE).await;
        if incident(&world, &id).await.status != Status::RollingBack {
            break;
        }
    }
    let all = rollbacks(&world, &id).await;
    assert_eq!(all.len(), 1, "{all:#?}");
    let mut story: Vec<String> = whys(&all[0]);
    story.push(match &all[0].phase {
        Phase::Done { step: Some(step), .. } => format!("back by {}", step.as_str()),
        Phase::Person { .. } => "a person".to_owned(),
        other => format!("{other:?}"),
    });
    let outdated = "PipelineExecutionOutdatedException";
    let short = |words: String| match words.split_once(outdated) {
        Some((before, _)) if stands != Before::Landed => format!("{before}{outdated}"),
        _ if words.starts_with("stop: AWS says that it succeeded, and ") => "stop: the bad one runs".to_owned(),
        _ => words.replace(": This refusal was injected.", ""),
    };
    story.into_iter().map(short).collect::<Vec<_>>().join("; ")
}

/// Rows of one call: what it is answered with, how often, and where that leads.
async fn table(stands: Before, call: (&str, &str), given: &str, rows: &[(Fault, usize, &str, &str)]) {
    for (fault, times, expected, why) in rows {
        let story = led(stands, call, fault, *times).await;
        assert_eq!(story, format!("{given}{expected}"), "{} {fault:?}: {why}", call.1);
    }
}

const ROLLBACK_STAGE: (&str, &str) = ("codepipeline", "RollbackStage");
const START: (&str, &str) = ("codepipeline", "StartPipelineExecution");
const STOP: (&str, &str) = ("codepipeline", "StopPipelineExecution");

#[tokio::test(start_paused = true)]
async fn of_rollback_stage() {
    #[rustfmt::skip]
    let rows = [
        // answer                                              times  leads to                                                                          why
        (refused("UnableToRollbackStageException"),            1,     "rollback_stage: UnableToRollbackStageException; back by start",                  "it cannot"),
        (refused("PipelineExecutionOutdatedException"),        1,     "rollback_stage: PipelineExecutionOutdatedException; back by start",              "the pipeline was edited"),
        (refused("PipelineExecutionNotFoundException"),        1,     "rollback_stage: PipelineExecutionNotFoundException; back by start",              "the target is too old"),
        (refused("StageNotFoundException"),                    1,     "rollback_stage: StageNotFoundException; back by start",                          "the stage was renamed"),
        (refused("PipelineNotFoundException"),                 1,     "rollback_stage: PipelineNotFoundException; back by start",                       "what AWS says of the pipeline is asked of it anew"),
        (refused("AccessDeniedException"),                     1,     "rollback_stage: AccessDeniedException; back by start",                           "we may not"),
        (refused("ConflictException"),                         1,     "back by rollback_stage",                                                         "another change is under way: the same step again"),
        (refused("ThrottlingException"),                       1,     "back by rollback_stage",                                                         "too fast: the same step again"),
        (failed("InternalServerError"),                        1,     "back by rollback_stage",                                                         "no answer is no refusal: it is looked for, and asked again"),
        (Fault::LoseBefore,                                    1,     "back by rollback_stage",                                                         "the same"),
        (Fault::LoseAfter,                                     1,     "back by rollback_stage",                                                         "it is found"),
        (Fault::Silent,                                        1,     "back by rollback_stage",                                                         "it is found"),
    ];
    table(Before::Landed, ROLLBACK_STAGE, "", &rows).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_start() {
    #[rustfmt::skip]
    let rows = [
        // answer                                                          times  leads to                                             why
        (refused("PipelineNotFoundException"),                             1,     "start: PipelineNotFoundException; back by deploy",  "it is gone"),
        (refused("ValidationException"),                                   1,     "start: ValidationException; back by deploy",        "it has another source action"),
        (refused("AccessDeniedException"),                                 1,     "start: AccessDeniedException; back by deploy",      "we may not"),
        (refused("ConcurrentPipelineExecutionsLimitExceededException"),    1,     "back by start",                                     "there is no room: the same step again"),
        (refused("ConflictException"),                                     1,     "back by start",                                     "another change is under way"),
        (refused("ThrottlingException"),                                   1,     "back by start",                                     "too fast"),
        (failed("InternalServerError"),                                    1,     "back by start",                                     "it is looked for, and asked again"),
        (Fault::LoseAfter,                                                 1,     "back by start",                                     "it is found"),
    ];
    table(Before::Edited, START, &outdated(), &rows).await;
}

/// What stands before every story of an edited pipeline.
fn outdated() -> String {
    "rollback_stage: PipelineExecutionOutdatedException; ".to_owned()
}

#[tokio::test(start_paused = true)]
async fn of_ecs_deploying() {
    let call = ("ecs", "UpdateService");
    #[rustfmt::skip]
    let rows = [
        // answer                                    times      leads to                                            why
        (refused("ServiceNotFoundException"),        1,         "deploy: ServiceNotFoundException; a person",       "there is no step left"),
        (refused("ServiceNotActiveException"),       1,         "deploy: ServiceNotActiveException; a person",      "it is being deleted"),
        (refused("ClusterNotFoundException"),        1,         "deploy: ClusterNotFoundException; a person",       "it is gone"),
        (refused("InvalidParameterException"),       1,         "deploy: InvalidParameterException; a person",      "somebody else deploys to it"),
        (refused("ClientException"),                 1,         "deploy: ClientException; a person",                "the task definition was deregistered"),
        (refused("ThrottlingException"),             TIMES,     "back by deploy",                                   "the same step again"),
        (failed("ServerException"),                  TIMES,     "back by deploy",                                   "asking twice is harmless"),
        (Fault::LoseAfter,                           TIMES,     "back by deploy",                                   "it was done, and is done again"),
    ];
    let given = format!("{}start: PipelineNotFoundException; ", outdated());
    table(Before::Broken, call, &given, &rows).await;
}

#[tokio::test(start_paused = true)]
async fn of_codedeploy_deploying() {
    let call = ("codedeploy", "CreateDeployment");
    #[rustfmt::skip]
    let rows = [
        // answer                                          times  leads to                                                       why
        (refused("RevisionDoesNotExistException"),         1,     "deploy: RevisionDoesNotExistException; a person",             "the bundle was deleted"),
        (refused("DeploymentGroupDoesNotExistException"),  1,     "deploy: DeploymentGroupDoesNotExistException; a person",      "it is gone"),
        (refused("ApplicationDoesNotExistException"),      1,     "deploy: ApplicationDoesNotExistException; a person",          "it is gone"),
        (refused("DeploymentLimitExceededException"),      1,     "back by deploy",                                              "the group is busy: the same step again"),
        (refused("ThrottlingException"),                   1,     "back by deploy",                                              "too fast"),
        (failed("InternalServerError"),                    1,     "back by deploy",                                              "it is looked for, and asked again"),
        (Fault::LoseAfter,                                 1,     "back by deploy",                                              "it is found"),
    ];
    let given = format!("{}start: PipelineNotFoundException; ", outdated());
    table(Before::Broken, call, &given, &rows).await;
}

#[tokio::test(start_paused = true)]
async fn of_ecs_stopping() {
    let call = ("ecs", "StopServiceDeployment");
    #[rustfmt::skip]
    let rows = [
        // answer                                        times      leads to                                                          why
        (refused("ConflictException"),                   1,         "stop: ConflictException; stop: what was in flight is stopped; back by rollback_stage",       "it is over already"),
        (refused("ServiceDeploymentNotFoundException"),  1,         "stop: ServiceDeploymentNotFoundException; stop: what was in flight is stopped; back by rollback_stage", "it is gone"),
        (refused("AccessDeniedException"),               1,         "stop: AccessDeniedException; stop: what was in flight is stopped; back by rollback_stage",   "we may not, and go on without"),
        (refused("ThrottlingException"),                 TIMES,     "back by stop",                                                   "the same step again"),
        (failed("ServerException"),                      TIMES,     "back by stop",                                                   "it is asked again"),
        (Fault::LoseAfter,                               TIMES,     "back by stop",                                                   "a second stop is refused, and it stops already"),
    ];
    table(Before::OnItsWay, call, "", &rows).await;
}

#[tokio::test(start_paused = true)]
async fn of_codedeploy_stopping() {
    let call = ("codedeploy", "StopDeployment");
    #[rustfmt::skip]
    let rows = [
        // answer                                        times      leads to                                                                     why
        (refused("DeploymentAlreadyCompletedException"), 1,         "stop: DeploymentAlreadyCompletedException; stop: the bad one runs; back by rollback_stage", "it is over already"),
        (refused("DeploymentDoesNotExistException"),     1,         "stop: DeploymentDoesNotExistException; stop: the bad one runs; back by rollback_stage",     "it is gone"),
        (refused("ThrottlingException"),                 TIMES,     "back by stop",                                                              "the same step again"),
        (Fault::LoseAfter,                               TIMES,     "back by stop",                                                              "it may be stopped twice"),
    ];
    table(Before::OnItsWayToSecond, call, "", &rows).await;
}

#[tokio::test(start_paused = true)]
async fn of_stopping_an_execution() {
    #[rustfmt::skip]
    let rows = [
        // answer                                            times      leads to                                                      why
        (refused("PipelineExecutionNotStoppableException"),  1,         "back by stop",                                               "it has ended"),
        (refused("DuplicatedStopRequestException"),          1,         "back by stop",                                               "it is stopping"),
        (refused("ConflictException"),                       1,         "back by stop",                                               "another change is under way: the same step again"),
        (refused("ThrottlingException"),                     TIMES,     "back by stop",                                               "too fast"),
        (Fault::LoseAfter,                                   TIMES,     "back by stop",                                               "a second stop changes nothing"),
    ];
    table(Before::OnItsWay, STOP, "", &rows).await;
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_was_deleted_is_no_obstacle() {
    let world = started(Behaviour::default()).await;
    let good = deploy(&world, 2).await;
    let bad = deploy(&world, 3).await;
    ask(&world, "codepipeline", REGION, "DeletePipeline", json!({ "name": PIPELINE }));
    let id = turn_back_of(&world, &bad, &[REGION, SECOND]).await;
    world.pass(10 * MINUTE).await;
    let all = rollbacks(&world, &id).await;
    assert_eq!(incident(&world, &id).await.status, Status::RolledBack, "{all:#?}");
    assert_eq!(steps(&all), ["us-east-1 deploy seen", "eu-west-2 deploy seen"]);
    assert!(whys(&all[0]).iter().all(|why| why.contains("PipelineNotFoundException")), "{:?}", whys(&all[0]));
    assert_eq!(runs(&world), world.digest_of(&good));
}
