//! The local CodePipeline under load: executions of eight stages, to their end, in simulated time.
//!
//! One process, one thread. Builds, events and what the stages wait for are all played; no function is deployed.

use criterion::{BenchmarkId, Criterion, Throughput};
use pointsman_local::aws::{Aws, Behaviour};
use pointsman_local::clock::Clock;
use pointsman_local::faults::Faults;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How many executions are started before time is let pass: the limit of one pipeline.
const AT_ONCE: usize = 50;
/// The pipelines that share them.
const PIPELINES: usize = 20;
const REGION: &str = "us-east-1";
/// Long enough for eight stages at the fast pace.
const TO_THE_END: Duration = Duration::from_secs(10);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    // First, in a process that has not held anything yet; and what does not run to its end is not worth timing.
    let (_, grown) = play(10_000)?;
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("executions of 8 stages");
    for count in [100, 1_000, 10_000] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|times| (0..times).filter_map(|_| play(count).ok()).map(|played| played.0).sum());
        });
    }
    group.finish();
    criterion.final_summary();
    println!("10,000 executions of 8 stages keep {grown} KiB of memory");
    Ok(())
}

/// Plays `count` executions. Answers with the time that it took, and by how many KiB the process grew.
#[allow(clippy::disallowed_methods, reason = "a benchmark times what it runs")]
fn play(count: usize) -> Outcome<(Duration, usize)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let start = "2026-08-31T12:00:00Z".parse()?;
        let aws = Aws::new(Clock::starting_at(start), Behaviour::default(), Faults::none(), 1).map_err(refused)?;
        // AWS runs 60 builds at once in a new account: that is not what is measured here.
        aws.codebuild().set_build_limit(Some(usize::MAX));
        for number in 0..PIPELINES {
            let pipeline = json!({ "pipeline": declaration(number) });
            aws.ask("codepipeline", REGION, "CreatePipeline", pipeline).map_err(refused)?;
        }
        pass(&aws).await;
        let (before, began) = (resident()?, Instant::now());
        let mut left = count;
        while left > 0 {
            let batch = left.min(AT_ONCE * PIPELINES);
            for number in 0..batch {
                let name = json!({ "name": name(number % PIPELINES) });
                aws.ask("codepipeline", REGION, "StartPipelineExecution", name).map_err(refused)?;
            }
            pass(&aws).await;
            left -= batch;
        }
        let (took, after) = (began.elapsed(), resident()?);
        succeeded(&aws, count)?;
        Ok((took, after.saturating_sub(before)))
    })
}

fn refused(failure: pointsman_local::aws::Failure) -> String {
    format!("{}: {}", failure.code, failure.message)
}

async fn pass(aws: &Aws) {
    tokio::select! {
        () = aws.run() => {}
        () = tokio::time::sleep(TO_THE_END) => {}
    }
}

/// A benchmark of executions that did not run to their end would show nothing.
fn succeeded(aws: &Aws, count: usize) -> Outcome<()> {
    let mut found = 0;
    for number in 0..PIPELINES {
        let mut input = json!({ "pipelineName": name(number) });
        loop {
            let page = aws.ask("codepipeline", REGION, "ListPipelineExecutions", input.clone()).map_err(refused)?;
            let all = page["pipelineExecutionSummaries"].as_array().cloned().unwrap_or_default();
            found += all.iter().filter(|each| each["status"] == "Succeeded").count();
            match page.get("nextToken") {
                Some(next) => input["nextToken"] = next.clone(),
                None => break,
            }
        }
    }
    // Each pipeline ran once when it was created.
    match found == count + PIPELINES {
        true => Ok(()),
        false => Err(format!("{found} executions succeeded, not {}", count + PIPELINES).into()),
    }
}

/// What the process holds in memory now, in KiB.
fn resident() -> Outcome<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn name(number: usize) -> String {
    format!("pipeline-{number}")
}

fn declaration(number: usize) -> Value {
    let action = |name: &str, category: &str, provider: &str, settings: Value| {
        let kind = json!({ "category": category, "owner": "AWS", "provider": provider, "version": "1" });
        json!({ "name": name, "actionTypeId": kind, "configuration": settings })
    };
    let connection = "arn:aws:codeconnections:us-east-1:123456789012:connection/1";
    let mut source = action(
        "GitHub",
        "Source",
        "CodeStarSourceConnection",
        json!({ "ConnectionArn": connection, "FullRepositoryId": "acme/shop", "BranchName": "main" }),
    );
    source["outputArtifacts"] = json!([{ "name": "Code" }]);
    let mut stages = vec![json!({ "name": "Source", "actions": [source] })];
    for stage in 1..8 {
        let (category, provider, settings) = match stage {
            1 | 2 => ("Build", "CodeBuild", json!({ "ProjectName": format!("project-{number}") })),
            _ => ("Deploy", "S3", json!({ "BucketName": "site", "Extract": "true" })),
        };
        let mut action = action("Act", category, provider, settings);
        action["inputArtifacts"] = json!([{ "name": "Code" }]);
        stages.push(json!({ "name": format!("Stage-{stage}"), "actions": [action] }));
    }
    json!({
        "name": name(number), "roleArn": "arn:aws:iam::123456789012:role/pipeline", "pipelineType": "V2",
        "executionMode": "PARALLEL", "artifactStore": { "type": "S3", "location": "artifacts" }, "stages": stages,
    })
}
