//! Which routes a push starts. The cost may grow with the routes of its own repository, and not with how many other
//! repositories there are.

use criterion::{BenchmarkId, Criterion};
use pointsman::domain::route::RepositoryConfig;
use pointsman::domain::routing::route;
use pointsman_benches::{push, repository, repository_with};
use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;

const REPOSITORIES: [usize; 3] = [10, 1_000, 100_000];
const ROUTES: [usize; 3] = [1, 8, 100];
const NAME: &str = "acme/shop";

/// As the ledger holds a configuration: each repository's routes under a key of its own. The map stands for the table,
/// and its lookup for GetItem.
fn configuration(repositories: usize) -> BTreeMap<String, RepositoryConfig> {
    let others = (1..repositories).map(|index| format!("acme/repository-{index}"));
    let names = others.chain([NAME.to_owned()]);
    names.map(|name| (format!("repository#{name}"), repository(&name, 1))).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let change = push(NAME)?;
    let key = format!("repository#{NAME}");
    let mut criterion = Criterion::default().configure_from_args();

    let mut group = criterion.benchmark_group("routing, by repositories");
    for repositories in REPOSITORIES {
        let table = configuration(repositories);
        group.bench_function(BenchmarkId::from_parameter(repositories), |bencher| {
            bencher.iter(|| {
                let config = black_box(&table).get(black_box(&key))?;
                Some(route(black_box(&change), config).len())
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("routing, by routes");
    for routes in ROUTES {
        let config = repository(NAME, routes);
        group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
            bencher.iter(|| route(black_box(&change), black_box(&config)).len());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("routing, 8 routes with alternatives in their paths");
    let config = repository_with(NAME, 8, |index| format!("services/{{untouched,unseen}}-{index}/**"));
    group.bench_function("8", |bencher| {
        bencher.iter(|| route(black_box(&change), black_box(&config)).len());
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}
