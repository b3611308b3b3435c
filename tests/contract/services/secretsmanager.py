"""Secrets Manager: every operation, and its refusals."""

from harness import ACCOUNT, REGION, equal

from . import refused

NAME = "contract/services"
GONE = "ResourceNotFoundException"
FIRST, SECOND, PENDING = ("1" * 32, "2" * 32, "3" * 32)


def run(checks, aws):
    client = aws.client("secretsmanager")
    with checks.check("secretsmanager: a secret is made, once per token"):
        new = {"Name": NAME, "SecretString": "one", "ClientRequestToken": FIRST, "Description": "ours",
               "Tags": [{"Key": "team", "Value": "shop"}]}
        made = client.create_secret(**new)
        assert made["ARN"].startswith(f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{NAME}-"), made
        equal((made["Name"], made["VersionId"]), (NAME, FIRST))
        equal(client.create_secret(**new)["ARN"], made["ARN"])
    values(checks, client, made["ARN"])
    rotation(checks, client)
    listings(checks, client)
    refusals(checks, client)
    endings(checks, client)
    with checks.check("secretsmanager: what is not emulated says so"), refused("NotEmulated", "RotateSecret"):
        getattr(aws, "local", aws).client("secretsmanager").rotate_secret(SecretId=NAME)


def value(client, **which):
    return client.get_secret_value(SecretId=NAME, **which)


def values(checks, client, arn):
    with checks.check("secretsmanager: a value is read by name, by ARN and by part of the ARN"):
        for id_ in (NAME, arn, arn[:-7]):
            read = client.get_secret_value(SecretId=id_)
            equal((read["SecretString"], read["VersionId"], read["VersionStages"]), ("one", FIRST, ["AWSCURRENT"]))
    with checks.check("secretsmanager: a new value makes the one before it the previous one"):
        put = client.put_secret_value(SecretId=NAME, SecretBinary=b"\x00two", ClientRequestToken=SECOND)
        equal((put["VersionId"], put["VersionStages"]), (SECOND, ["AWSCURRENT"]))
        equal(value(client)["SecretBinary"], b"\x00two")
        equal(value(client, VersionStage="AWSPREVIOUS")["SecretString"], "one")
        equal(value(client, VersionId=FIRST, VersionStage="AWSPREVIOUS")["SecretString"], "one")
    with checks.check("secretsmanager: a description is changed without a new value, and a value without a new one"):
        changed = client.update_secret(SecretId=NAME, Description="theirs", KmsKeyId="alias/x")
        assert "VersionId" not in changed, changed
        described = client.describe_secret(SecretId=NAME)
        equal((described["Description"], described["KmsKeyId"]), ("theirs", "alias/x"))
        equal(described["VersionIdsToStages"], {FIRST: ["AWSPREVIOUS"], SECOND: ["AWSCURRENT"]})
        assert client.update_secret(SecretId=NAME, SecretString="three")["VersionId"] not in (FIRST, SECOND)
        equal(client.describe_secret(SecretId=NAME)["Description"], "theirs")
    with checks.check("secretsmanager: tags are given and taken"):
        client.tag_resource(SecretId=NAME, Tags=[{"Key": "cost", "Value": "1"}])
        client.untag_resource(SecretId=NAME, TagKeys=["team", "nothing"])
        equal(client.describe_secret(SecretId=NAME)["Tags"], [{"Key": "cost", "Value": "1"}])


def rotation(checks, client):
    with checks.check("secretsmanager: a pending version becomes the current one"):
        client.put_secret_value(
            SecretId=NAME, SecretString="four", ClientRequestToken=PENDING, VersionStages=["AWSPENDING"])
        current = value(client)
        equal((current["SecretString"], value(client, VersionStage="AWSPENDING")["SecretString"]), ("three", "four"))
        client.update_secret_version_stage(
            SecretId=NAME, VersionStage="AWSCURRENT", MoveToVersionId=PENDING,
            RemoveFromVersionId=current["VersionId"])
        equal((value(client)["SecretString"], value(client, VersionStage="AWSPREVIOUS")["SecretString"]),
              ("four", "three"))
    with checks.check("secretsmanager: versions without a label are listed where they are asked for"):
        ids = lambda **more: {each["VersionId"] for each in client.list_secret_version_ids(
            SecretId=NAME, **more)["Versions"]}
        assert FIRST not in ids() and PENDING in ids(), ids()
        equal(ids(IncludeDeprecated=True) - ids(), {FIRST, SECOND})
        first = client.list_secret_version_ids(SecretId=NAME, MaxResults=1)
        rest = client.list_secret_version_ids(SecretId=NAME, MaxResults=1, NextToken=first["NextToken"])
        equal((len(first["Versions"]), len(rest["Versions"]), "NextToken" in rest), (1, 1, False))


def listings(checks, client):
    with checks.check("secretsmanager: secrets are found by name, tag and description, sorted and in pages"):
        client.create_secret(Name=f"{NAME}-2")
        names = lambda **more: [each["Name"] for each in client.list_secrets(**more)["SecretList"]]
        by = lambda key, *values: [{"Key": key, "Values": list(values)}]
        ours = {"Filters": by("name", NAME)}
        equal(names(**ours, SortOrder="asc"), [NAME, f"{NAME}-2"])
        equal(names(**ours, SortBy="name", SortOrder="desc"), [f"{NAME}-2", NAME])
        equal(names(Filters=by("tag-key", "cost")), [NAME])
        equal(names(Filters=by("description", "their")), [NAME])
        equal(names(Filters=[*by("name", NAME), *by("tag-value", "!1")]), [f"{NAME}-2"])
        pages = client.get_paginator("list_secrets").paginate(**ours, PaginationConfig={"PageSize": 1})
        equal([[each["Name"] for each in page["SecretList"]] for page in pages], [[NAME], [f"{NAME}-2"]])


def refusals(checks, client):
    nobody, here = {"SecretId": "contract-nobody"}, {"SecretId": NAME}
    parameter, request, model = "InvalidParameterException", "InvalidRequestException", "ValidationException"
    token = {"ClientRequestToken": FIRST}
    stage = {"VersionStage": "AWSCURRENT"}
    days = {"RecoveryWindowInDays": 7}
    rows = [
        # operation, arguments, AWS's code, why
        ("create_secret", {"Name": "a b"}, model, "a space"),
        ("create_secret", {"Name": NAME, "SecretString": "x"}, "ResourceExistsException", "made twice"),
        ("create_secret", {"Name": "x", "SecretString": "x", "SecretBinary": b"x"}, parameter, "two values"),
        ("create_secret", {"Name": "x", "SecretString": "x" * 65_537}, model, "above 64 KiB"),
        ("create_secret", {"Name": "x", "ClientRequestToken": "t" * 65}, parameter, "a token of 65 characters"),
        ("get_secret_value", nobody, GONE, "no such secret"),
        ("get_secret_value", {**here, "VersionStage": "NOPE"}, GONE, "no version has this label"),
        ("get_secret_value", {**here, "VersionId": "9" * 32}, GONE, "no such version"),
        ("get_secret_value", {**here, "VersionId": FIRST, **stage}, request, "another version has this label"),
        ("get_secret_value", {"SecretId": f"{NAME}-2"}, GONE, "it has no value"),
        ("put_secret_value", {**nobody, "SecretString": "x"}, GONE, "no such secret"),
        ("put_secret_value", here, request, "no value"),
        ("put_secret_value", {**here, "SecretString": "x", "SecretBinary": b"x"}, parameter, "two values"),
        ("put_secret_value", {**here, "SecretString": "other", **token}, "ResourceExistsException",
         "another value under a token"),
        ("update_secret", {**nobody, "Description": "x"}, GONE, "no such secret"),
        ("update_secret", {**here, "SecretString": "other", **token}, "ResourceExistsException",
         "another value under a token"),
        ("update_secret_version_stage", {**nobody, **stage}, GONE, "no such secret"),
        ("update_secret_version_stage", {**here, **stage, "MoveToVersionId": "9" * 32}, GONE, "no such version"),
        ("update_secret_version_stage", {**here, **stage, "MoveToVersionId": FIRST}, parameter,
         "who has the label is not named"),
        ("update_secret_version_stage",
         {**here, **stage, "MoveToVersionId": PENDING, "RemoveFromVersionId": FIRST}, parameter,
         "it is not where it is taken from"),
        ("update_secret_version_stage", {**here, **stage, "RemoveFromVersionId": PENDING}, parameter,
         "some version is current"),
        ("update_secret_version_stage", {**here, "VersionStage": "NOPE"}, parameter, "neither from nor to"),
        ("describe_secret", nobody, GONE, "no such secret"),
        ("list_secret_version_ids", nobody, GONE, "no such secret"),
        ("list_secret_version_ids", {**here, "NextToken": "nonsense"}, "InvalidNextTokenException", "no such token"),
        ("list_secrets", {"NextToken": "nonsense"}, "InvalidNextTokenException", "no such token"),
        ("list_secrets", {"MaxResults": 101}, model, "a page has up to 100"),
        ("list_secrets", {"SortBy": "colour"}, model, "nothing to sort by"),
        ("list_secrets", {"SortOrder": "up"}, model, "no such order"),
        ("delete_secret", nobody, GONE, "no such secret"),
        ("delete_secret", {**here, "RecoveryWindowInDays": 6}, parameter, "seven days at least"),
        ("delete_secret", {**here, **days, "ForceDeleteWithoutRecovery": True}, parameter, "both ways to delete"),
        ("restore_secret", nobody, GONE, "no such secret"),
        ("tag_resource", {**nobody, "Tags": [{"Key": "a", "Value": "1"}]}, GONE, "no such secret"),
        ("untag_resource", {**nobody, "TagKeys": ["a"]}, GONE, "no such secret"),
    ]
    for operation, arguments, code, why in rows:
        with checks.check(f"secretsmanager {operation} is refused with {code}: {why}"), refused(code):
            getattr(client, operation)(**arguments)


def endings(checks, client):
    with checks.check("secretsmanager: a deleted secret is closed, can be seen, and comes back"):
        deleted = client.delete_secret(SecretId=NAME, RecoveryWindowInDays=7)
        equal(client.describe_secret(SecretId=NAME)["DeletedDate"], deleted["DeletionDate"])
        closed = [
            ("get_secret_value", {}), ("put_secret_value", {"SecretString": "x"}),
            ("update_secret", {"Description": "x"}), ("tag_resource", {"Tags": []}), ("untag_resource", {"TagKeys": []}),
            ("update_secret_version_stage", {"VersionStage": "x", "MoveToVersionId": FIRST}), ("delete_secret", {}),
        ]
        for operation, arguments in closed:
            with refused("InvalidRequestException"):
                getattr(client, operation)(SecretId=NAME, **arguments)
        with refused("InvalidRequestException"):
            client.create_secret(Name=NAME)
        listed = lambda **more: [each["Name"] for each in client.list_secrets(
            Filters=[{"Key": "name", "Values": [NAME]}], **more)["SecretList"]]
        equal((listed(), listed(IncludePlannedDeletion=True)), ([f"{NAME}-2"], [NAME, f"{NAME}-2"]))
        equal(client.restore_secret(SecretId=NAME)["Name"], NAME)
        equal(value(client)["SecretString"], "four")
    with checks.check("secretsmanager: a forced deletion is done at once, and may be asked for again"):
        for name in (NAME, f"{NAME}-2", NAME):
            equal(client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)["Name"], name)
        with refused(GONE):
            client.describe_secret(SecretId=NAME)
