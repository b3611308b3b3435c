"""STS: who calls."""

from harness import ACCOUNT, equal


def run(checks, aws):
    with checks.check("STS says who calls: the account's root, or a role's session"):
        root = aws.client("sts").get_caller_identity()
        equal((root["Account"], root["Arn"], root["UserId"]), (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT))
        role = aws.client("sts", key="LOCALROLEpointsman-sweep").get_caller_identity()
        equal(role["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/pointsman-sweep/pointsman-sweep")
        assert role["UserId"].endswith(":pointsman-sweep"), role["UserId"]
    with checks.check("STS answers in every region, with the id of the request"):
        metadata = aws.client("sts", region="eu-west-2").get_caller_identity()["ResponseMetadata"]
        equal((metadata["HTTPStatusCode"], len(metadata["RequestId"])), (200, 36))
