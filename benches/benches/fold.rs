//! What `record` does with the events of one execution: folds them, in whatever order they come.

use criterion::Criterion;
use pointsman::domain::observed::{Observed, Report};
use pointsman_benches::reports;
use std::hint::black_box;

fn folded<'a>(reports: impl Iterator<Item = &'a Report>) -> Observed {
    let mut observed = Observed::default();
    reports.for_each(|report| observed.fold(report));
    observed
}

fn main() {
    let reports = reports();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("fold, 80 events");
    group.bench_function("in order", |bencher| bencher.iter(|| folded(black_box(&reports).iter())));
    group.bench_function("in reverse", |bencher| bencher.iter(|| folded(black_box(&reports).iter().rev())));
    group.finish();
    criterion.final_summary();
}
