//! What `webhook` may be built from. It is the function that answers GitHub within its ten seconds, cold starts
//! included, and the one that strangers reach: each further SDK costs start-up time and adds code to attack.

use crate::failure::Failure;
use crate::step;
use std::collections::BTreeSet;

/// The only clients of AWS that `webhook` may link.
const ALLOWED: [&str; 2] = ["aws-sdk-secretsmanager", "aws-sdk-sqs"];

/// Checks the dependency tree of `webhook` as it is deployed: without what tests need.
pub(crate) fn check() -> Result<(), Failure> {
    let arguments = ["tree", "--package=pointsman-webhook", "--edges=normal", "--prefix=none", "--format={lib}"];
    let what = "cargo tree --package pointsman-webhook --edges normal";
    step::timed("what webhook is built from", what, || {
        let tree = step::output(step::cargo().args(arguments))?;
        let sdks = sdks(&tree);
        let allowed = BTreeSet::from(ALLOWED.map(str::to_owned));
        if sdks != allowed {
            return Err(Failure::Rule(format!("webhook may link the SDKs {allowed:?}; it links {sdks:?}")));
        }
        println!("   {}, and no other SDK", ALLOWED.join(", "));
        Ok(())
    })
}

/// The AWS SDKs among the crates of a tree, one crate a line.
fn sdks(tree: &str) -> BTreeSet<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next()).map(|name| name.replace('_', "-"));
    names.filter(|name| name.starts_with("aws-sdk-")).collect()
}

#[cfg(test)]
mod tests {
    use super::sdks;

    #[test]
    fn sdks_are_told_from_the_crates_under_them() {
        let tree = "pointsman_webhook\naws_runtime\naws_sdk_sqs\naws_smithy_types (*)\naws_sdk_sqs (*)\n";
        assert_eq!(sdks(tree).into_iter().collect::<Vec<_>>(), ["aws-sdk-sqs"]);
    }
}
