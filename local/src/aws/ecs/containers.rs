//! What RegisterTaskDefinition takes: containers, and the sizes that Fargate has.

use super::input::{client, is_name, strings, text};
use crate::aws::Failure;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The containers with what AWS fills in, and the launch types that may run them.
pub(super) fn check(input: &Value) -> Result<(Value, Value), Failure> {
    let given = input["containerDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if given.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    let mut known = BTreeSet::new();
    let mut containers = Vec::new();
    for container in given {
        let name = text(container, "name").ok_or_else(|| client("Container.name should not be null or empty."))?;
        if !is_name(name) {
            return Err(client(format!("Container.name contains invalid characters: {name}")));
        }
        if !known.insert(name) {
            return Err(client(format!("Container names must be unique: {name}")));
        }
        let image = text(container, "image");
        image.ok_or_else(|| client("Container.image should not be null or empty."))?;
        containers.push(filled(container, name, input)?);
    }
    if containers.iter().all(|container| container["essential"] == false) {
        return Err(client("At least one container must be marked as essential."));
    }
    for container in given {
        for needed in container["dependsOn"].as_array().into_iter().flatten() {
            if !needed["containerName"].as_str().is_some_and(|name| known.contains(name)) {
                return Err(client("A container depends on one that the task definition does not have."));
            }
        }
    }
    Ok((json!(containers), compatibilities(input)?))
}

/// A container with the defaults that AWS answers with.
fn filled(container: &Value, name: &str, input: &Value) -> Result<Value, Failure> {
    let has_memory = container["memory"].is_number() || container["memoryReservation"].is_number();
    if !has_memory && input["memory"].is_null() {
        return Err(client(format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        )));
    }
    for mapping in container["portMappings"].as_array().into_iter().flatten() {
        for key in ["containerPort", "hostPort"] {
            if mapping[key].as_i64().is_some_and(|port| !(0..=65_535).contains(&port)) {
                return Err(client(format!("Invalid '{key}' setting for container '{name}'")));
            }
        }
    }
    let mut filled = container.clone();
    for list in ["environment", "mountPoints", "portMappings", "systemControls", "volumesFrom"] {
        if filled[list].is_null() {
            filled[list] = json!([]);
        }
    }
    for mapping in filled["portMappings"].as_array_mut().into_iter().flatten() {
        if mapping["protocol"].is_null() {
            mapping["protocol"] = json!("tcp");
        }
        if mapping["hostPort"].is_null() {
            let is_own = input["networkMode"] == "awsvpc" || input["networkMode"] == "host";
            mapping["hostPort"] = if is_own { mapping["containerPort"].clone() } else { json!(0) };
        }
    }
    if filled["cpu"].is_null() {
        filled["cpu"] = json!(0);
    }
    if filled["essential"].is_null() {
        filled["essential"] = json!(true);
    }
    Ok(filled)
}

/// The launch types that a task definition is fit for; those that it asks for must be among them.
fn compatibilities(input: &Value) -> Result<Value, Failure> {
    let (cpu, memory) = (cpu(input)?, memory(input)?);
    let wanted = strings(input, "requiresCompatibilities");
    for each in &wanted {
        if !["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"].contains(each) {
            return Err(client(format!("Invalid compatibility: {each}")));
        }
    }
    let is_own = input["networkMode"] == "awsvpc";
    let fits = cpu.zip(memory).is_some_and(|(cpu, memory)| is_fargate_size(cpu, memory));
    if wanted.contains(&"FARGATE") {
        let missing = |what: &str| client(format!("Fargate requires that '{what}' be defined at the task level."));
        let cpu = cpu.ok_or_else(|| missing("cpu"))?;
        let memory = memory.ok_or_else(|| missing("memory"))?;
        if !is_own {
            return Err(client("Fargate only supports network mode ‘awsvpc’."));
        }
        if !fits {
            return Err(client(format!(
                "No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. \
                 See the Amazon ECS documentation for the valid values."
            )));
        }
    }
    let mut fit = vec!["EC2"];
    if is_own && fits {
        fit.push("FARGATE");
    }
    if wanted.contains(&"MANAGED_INSTANCES") {
        fit.push("MANAGED_INSTANCES");
    }
    if !is_own {
        fit.insert(0, "EXTERNAL");
    }
    Ok(json!(fit))
}

/// The task's CPU in units: `256`, or `.25 vCPU`.
pub(super) fn cpu(input: &Value) -> Result<Option<u64>, Failure> {
    size(input, "cpu", &["vcpu"]).map_err(|()| client("Invalid 'cpu' setting for task."))
}

/// The task's memory in MiB: `512`, or `0.5GB`.
pub(super) fn memory(input: &Value) -> Result<Option<u64>, Failure> {
    size(input, "memory", &["gib", "gb"]).map_err(|()| client("Invalid 'memory' setting for task."))
}

/// A number that is plain, or 1,024 times what stands before a unit.
fn size(input: &Value, key: &str, units: &[&str]) -> Result<Option<u64>, ()> {
    let Some(given) = text(input, key) else { return Ok(None) };
    let lower = given.trim().to_ascii_lowercase();
    if let Ok(plain) = lower.parse::<u64>() {
        return Ok(Some(plain));
    }
    let number = units.iter().find_map(|unit| lower.strip_suffix(unit)).map(str::trim);
    let number = number.and_then(|number| number.parse::<f64>().ok()).filter(|number| (0.0..1e6).contains(number));
    number.map(|number| Some((number * 1024.0) as u64)).ok_or(())
}

/// Source: ECS developer guide, "Task size": the memory that goes with each Fargate CPU, in MiB.
fn is_fargate_size(cpu: u64, memory: u64) -> bool {
    let within = |from: u64, to: u64, step: u64| {
        (from * 1024..=to * 1024).contains(&memory) && (memory - from * 1024).is_multiple_of(step * 1024)
    };
    match cpu {
        256 => [512, 1024, 2048].contains(&memory),
        512 => within(1, 4, 1),
        1024 => within(2, 8, 1),
        2048 => within(4, 16, 1),
        4096 => within(8, 30, 1),
        8192 => within(16, 60, 4),
        16_384 => within(32, 120, 8),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fargate_has_its_own_sizes() {
        #[rustfmt::skip]
        let cases = [
            // cpu,       memory,      taken, why
            ("256",       "512",       true,  "the smallest"),
            ("256",       "3072",      false, "too much for a quarter of a CPU"),
            (".25 vCPU",  "0.5GB",     true,  "units are converted"),
            ("1 vCPU",    "2 GB",      true,  "with a space too"),
            ("1024",      "2500",      false, "between two steps"),
            ("8192",      "20480",     true,  "in steps of four"),
            ("8192",      "21504",     false, "not in steps of one"),
            ("300",       "512",       false, "no such CPU"),
        ];
        for (cpu, memory, taken, why) in cases {
            let input = json!({
                "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": cpu, "memory": memory,
                "containerDefinitions": [{ "name": "app", "image": "app" }],
            });
            assert_eq!(check(&input).is_ok(), taken, "{cpu} {memory}: {why}");
        }
    }
}
