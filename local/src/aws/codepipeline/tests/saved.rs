//! What is saved goes on where it was.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_saved_pipeline_goes_on() {
    let aws = account(Behaviour::default());
    lay_down(&aws, with_approval(), json!(null));
    ask(&aws, "UpdatePipeline", json!({ "pipeline": with_approval() })).unwrap();
    let (first, second) = (start(&aws), start(&aws));
    pass(&aws, 2_000).await;
    let saved = aws.codepipeline().save();

    let other = account(Behaviour::default());
    other.codepipeline().restore(saved.clone()).unwrap();
    assert_eq!(other.codepipeline().save(), saved, "saving changes nothing");
    let state = ask(&other, "GetPipelineState", json!({ "name": "shop" })).unwrap();
    assert_eq!(state["pipelineVersion"], 2);
    assert_eq!(state["stageStates"][1]["inboundExecution"]["pipelineExecutionId"], second);
    let token = &state["stageStates"][1]["actionStates"][0]["latestExecution"]["token"];
    let input = json!({
        "pipelineName": "shop", "stageName": "Approve", "actionName": "Ask", "token": token,
        "result": { "status": "Approved", "summary": "" },
    });
    ask(&other, "PutApprovalResult", input).unwrap();
    pass(&other, 5_000).await;
    assert_eq!((status(&other, &first).as_str(), status(&other, &second).as_str()), ("Succeeded", "InProgress"));
}
