"""DynamoDB: every operation, and its refusals. How conditions and expressions work is in `cases/dynamodb.py`."""

import uuid

import botocore.exceptions
from harness import ACCOUNT, REGION, equal

from . import refused

NAME = "contract-services"
ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NAME}"
NOBODY = "contract-nobody"


def run(checks, aws):
    client = aws.client("dynamodb")
    with checks.check("dynamodb: a table is made, with its indexes and tags"):
        made = create(client, NAME)
        equal((made["TableArn"], made["KeySchema"][1]["AttributeName"]), (ARN, "sk"))
    tables(checks, client)
    settings(checks, client)
    items(checks, client)
    reads(checks, client)
    transactions(checks, client)
    partiql(checks, client)
    vectors(checks, client)
    refusals(checks, client)
    endings(checks, client)
    with checks.check("dynamodb: what is not emulated says so"), refused("NotEmulated", "CreateBackup"):
        getattr(aws, "local", aws).client("dynamodb").create_backup(TableName=NAME, BackupName="one")


def create(client, name, **more):
    attributes = {"pk": "S", "sk": "S", "n": "N"}
    key = lambda name, kind: {"AttributeName": name, "KeyType": kind}
    arguments = {
        "TableName": name, "BillingMode": "PAY_PER_REQUEST", "Tags": [{"Key": "team", "Value": "shop"}],
        "AttributeDefinitions": [{"AttributeName": each, "AttributeType": kind} for each, kind in attributes.items()],
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by-n", "KeySchema": [key("sk", "HASH"), key("n", "RANGE")],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]}}],
        "LocalSecondaryIndexes": [{
            "IndexName": "local-n", "KeySchema": [key("pk", "HASH"), key("n", "RANGE")],
            "Projection": {"ProjectionType": "ALL"}}],
        **more,
    }
    made = client.create_table(**arguments)["TableDescription"]
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return made


def key(pk, sk="a"):
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def item(pk, sk="a", n=1, **more):
    return {**key(pk, sk), "n": {"N": str(n)}, **more}


def tables(checks, client):
    with checks.check("dynamodb: a table is described as it was made"):
        table = client.describe_table(TableName=NAME)["Table"]
        equal(table["TableStatus"], "ACTIVE")
        (index,), (local,) = table["GlobalSecondaryIndexes"], table["LocalSecondaryIndexes"]
        equal((index["IndexName"], index["Projection"]["NonKeyAttributes"]), ("by-n", ["a"]))
        equal((local["IndexName"], local["Projection"]), ("local-n", {"ProjectionType": "ALL"}))
    with checks.check("dynamodb: tables are listed by name, in pages"):
        create(client, f"{NAME}-2")
        first = client.list_tables(Limit=1, ExclusiveStartTableName=NAME[:-1])
        equal((first["TableNames"], first["LastEvaluatedTableName"]), ([NAME], NAME))
        rest = client.list_tables(ExclusiveStartTableName=NAME)["TableNames"]
        equal(rest[0], f"{NAME}-2")
    with checks.check("dynamodb: a table is updated"):
        changed = client.update_table(
            TableName=f"{NAME}-2", BillingMode="PROVISIONED", DeletionProtectionEnabled=True,
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 6},
            GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-n"}}])["TableDescription"]
        equal(changed["DeletionProtectionEnabled"], True)
        described = client.describe_table(TableName=f"{NAME}-2")["Table"]
        equal(described["ProvisionedThroughput"]["WriteCapacityUnits"], 6)
        assert not described.get("GlobalSecondaryIndexes"), described


def settings(checks, client):
    with checks.check("dynamodb: a table has the tags that it was given"):
        tags = lambda: {tag["Key"]: tag["Value"] for tag in client.list_tags_of_resource(ResourceArn=ARN)["Tags"]}
        equal(tags(), {"team": "shop"})
        client.tag_resource(ResourceArn=ARN, Tags=[{"Key": "team", "Value": "web"}, {"Key": "cost", "Value": "1"}])
        equal(tags(), {"team": "web", "cost": "1"})
        client.untag_resource(ResourceArn=ARN, TagKeys=["cost", "nothing"])
        equal(tags(), {"team": "web"})
    with checks.check("dynamodb: items expire by an attribute that is named once"):
        life = lambda: client.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]
        equal(life(), {"TimeToLiveStatus": "DISABLED"})
        specification = {"Enabled": True, "AttributeName": "until"}
        set_ = client.update_time_to_live(TableName=NAME, TimeToLiveSpecification=specification)
        equal(set_["TimeToLiveSpecification"], specification)
        equal(life(), {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"})
    with checks.check("dynamodb: backups go as far back as is asked"):
        state = lambda answer: answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        switch = lambda **what: state(client.update_continuous_backups(
            TableName=NAME, PointInTimeRecoverySpecification=what))
        describe = lambda: state(client.describe_continuous_backups(TableName=NAME))
        equal(describe(), {"PointInTimeRecoveryStatus": "DISABLED"})
        on = switch(PointInTimeRecoveryEnabled=True, RecoveryPeriodInDays=7)
        equal((on["PointInTimeRecoveryStatus"], on["RecoveryPeriodInDays"]), ("ENABLED", 7))
        assert on["EarliestRestorableDateTime"] <= on["LatestRestorableDateTime"], on
        equal(switch(PointInTimeRecoveryEnabled=True)["RecoveryPeriodInDays"], 35)
        equal(switch(PointInTimeRecoveryEnabled=False), {"PointInTimeRecoveryStatus": "DISABLED"})


def items(checks, client):
    with checks.check("dynamodb: an item is put, read, updated and deleted, and each says what was there"):
        first = client.put_item(
            TableName=NAME, Item=item("one"), ReturnValues="ALL_OLD", ReturnConsumedCapacity="TOTAL",
            ReturnItemCollectionMetrics="SIZE")
        assert "Attributes" not in first, first
        equal(first["ConsumedCapacity"]["TableName"], NAME)
        equal(first["ItemCollectionMetrics"]["ItemCollectionKey"], {"pk": {"S": "one"}})
        again = client.put_item(TableName=NAME, Item=item("one", n=2, b={"B": b"\x00\xff"}), ReturnValues="ALL_OLD")
        equal(again["Attributes"], item("one"))
        read = client.get_item(TableName=NAME, Key=key("one"), ConsistentRead=True, ReturnConsumedCapacity="INDEXES")
        equal(read["Item"], item("one", n=2, b={"B": b"\x00\xff"}))
        equal(read["ConsumedCapacity"]["CapacityUnits"], 1.0)
        changed = client.update_item(
            TableName=NAME, Key=key("one"), UpdateExpression="ADD n :one REMOVE b", ReturnValues="ALL_NEW",
            ExpressionAttributeValues={":one": {"N": "1"}})
        equal(changed["Attributes"], item("one", n=3))
        gone = client.delete_item(TableName=NAME, Key=key("one"), ReturnValues="ALL_OLD")
        equal(gone["Attributes"], item("one", n=3))
        assert "Item" not in client.get_item(TableName=NAME, Key=key("one"))
        client.delete_item(TableName=NAME, Key=key("one"))
    with checks.check("dynamodb: a batch writes and deletes, and reads what is there"):
        puts = [{"PutRequest": {"Item": item("batch", str(n), n)}} for n in range(24)]
        delete = {"DeleteRequest": {"Key": key("nobody")}}
        written = client.batch_write_item(RequestItems={NAME: [*puts, delete]}, ReturnConsumedCapacity="TOTAL")
        equal(written["UnprocessedItems"], {})
        read = client.batch_get_item(RequestItems={NAME: {
            "Keys": [key("batch", "1"), key("batch", "23"), key("nobody")], "ProjectionExpression": "n"}})
        equal(sorted(int(each["n"]["N"]) for each in read["Responses"][NAME]), [1, 23])
        equal(read["UnprocessedKeys"], {})


def reads(checks, client):
    values = {":pk": {"S": "batch"}, ":n": {"N": "20"}}
    with checks.check("dynamodb: a query follows its key, its index, its filter and its pages"):
        condition = {"TableName": NAME, "KeyConditionExpression": "pk = :pk AND n >= :n", "IndexName": "local-n",
                     "ExpressionAttributeValues": values}
        found = client.query(**condition, ScanIndexForward=False)
        equal([each["n"]["N"] for each in found["Items"]], ["23", "22", "21", "20"])
        equal((found["Count"], found["ScannedCount"]), (4, 4))
        counted = client.query(**condition, Select="COUNT")
        equal((counted["Count"], "Items" in counted), (4, False))
        pages = list(client.get_paginator("query").paginate(**condition, PaginationConfig={"PageSize": 3}))
        equal([page["Count"] for page in pages], [3, 1])
        other = client.query(
            TableName=NAME, IndexName="by-n", KeyConditionExpression="sk = :sk",
            ExpressionAttributeValues={":sk": {"S": "7"}})
        equal(other["Items"], [item("batch", "7", 7)])
    with checks.check("dynamodb: a scan sees everything once, in segments too"):
        scan = lambda **more: client.scan(TableName=NAME, **more)
        equal(scan(Select="COUNT")["Count"], 24)
        equal(sum(scan(Segment=n, TotalSegments=3)["Count"] for n in range(3)), 24)
        filtered = scan(FilterExpression="n < :n", ExpressionAttributeValues={":n": {"N": "2"}})
        equal((filtered["Count"], filtered["ScannedCount"]), (2, 24))
        pages = client.get_paginator("scan").paginate(TableName=NAME, PaginationConfig={"PageSize": 10})
        equal(len({each["sk"]["S"] for page in pages for each in page["Items"]}), 24)


def transactions(checks, client):
    put = lambda pk, **more: {"Put": {"TableName": NAME, "Item": item(pk), **more}}
    new = {"ConditionExpression": "attribute_not_exists(pk)"}
    with checks.check("dynamodb: a transaction writes all of it, once per token"):
        token = str(uuid.uuid4())
        writes = [
            put("t1", **new),
            {"Update": {"TableName": NAME, "Key": key("t2"), "UpdateExpression": "ADD n :one",
                        "ExpressionAttributeValues": {":one": {"N": "1"}}}},
            {"Delete": {"TableName": NAME, "Key": key("t3")}},
            {"ConditionCheck": {"TableName": NAME, "Key": key("t4"), "ConditionExpression": "attribute_not_exists(pk)"}},
        ]
        for _ in range(2):
            client.transact_write_items(TransactItems=writes, ClientRequestToken=token)
        get = [{"Get": {"TableName": NAME, "Key": key(pk)}} for pk in ("t1", "t2", "t3")]
        found = client.transact_get_items(TransactItems=get, ReturnConsumedCapacity="TOTAL")
        equal(found["Responses"], [{"Item": item("t1")}, {"Item": item("t2")}, {}])
        with refused("IdempotentParameterMismatchException"):
            client.transact_write_items(TransactItems=[put("t5")], ClientRequestToken=token)
    with checks.check("dynamodb: a cancelled transaction says why, item by item, and writes nothing"):
        try:
            client.transact_write_items(TransactItems=[
                put("t6"), put("t1", **new, ReturnValuesOnConditionCheckFailure="ALL_OLD")])
        except client.exceptions.TransactionCanceledException as error:
            none, failed = error.response["CancellationReasons"]
            equal((none["Code"], failed["Code"], failed["Item"]), ("None", "ConditionalCheckFailed", item("t1")))
        else:
            raise AssertionError("it was written")
        assert "Item" not in client.get_item(TableName=NAME, Key=key("t6"))


def partiql(checks, client):
    insert = f"INSERT INTO \"{NAME}\" VALUE {{'pk': ?, 'sk': 'a', 'n': 1}}"
    select = f'SELECT * FROM "{NAME}" WHERE pk = ?'
    text = lambda value: [{"S": value}]
    with checks.check("dynamodb: a PartiQL statement inserts, and another selects"):
        equal(client.execute_statement(Statement=insert, Parameters=text("p1"))["Items"], [])
        equal(client.execute_statement(Statement=select, Parameters=text("p1"))["Items"], [item("p1")])
        with refused("DuplicateItemException"):
            client.execute_statement(Statement=insert, Parameters=text("p1"))
    with checks.check("dynamodb: PartiQL statements run as a batch, each with its own outcome"):
        execute = lambda statement, *names: client.batch_execute_statement(Statements=[
            {"Statement": statement, "Parameters": text(name)} for name in names])["Responses"]
        found = execute(f"{select} AND sk = 'a'", "p1", "p0")
        equal([each.get("Item") for each in found], [item("p1"), None])
        equal([each.get("Error", {}).get("Code") for each in execute(insert, "p1", "p5")], ["DuplicateItem", None])
    with checks.check("dynamodb: PartiQL statements run as a transaction, or not at all"):
        execute = lambda *names: client.execute_transaction(TransactStatements=[
            {"Statement": insert, "Parameters": text(name)} for name in names])
        execute("p2", "p3")
        with refused("TransactionCanceledException"):
            execute("p4", "p3")
        equal(client.execute_statement(Statement=select, Parameters=text("p4"))["Items"], [])


def vectors(checks, client):
    name = f"{NAME}-vectors"
    numbers = lambda *values: [{"N": str(value)} for value in values]
    with checks.check("dynamodb: the nearest vectors are found first"):
        client.create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            VectorIndexes=[{"IndexName": "near", "VectorAttribute": {"AttributeName": "v"}, "Dimensions": 2,
                            "DistanceFunction": "EUCLIDEAN", "Projection": {"ProjectionType": "ALL"}}])
        for pk, x in (("far", 9), ("near", 1)):
            client.put_item(TableName=name, Item={"pk": {"S": pk}, "v": {"L": numbers(x, 0)}})
        found = client.search_vectors(TableName=name, IndexName="near", SearchVector=numbers(0, 0), TopK=2)
        equal([each["Item"]["pk"]["S"] for each in found["SearchResults"]], ["near", "far"])
        with refused("ResourceNotFoundException"):
            client.search_vectors(TableName=NOBODY, IndexName="near", SearchVector=numbers(0, 0), TopK=2)
    with checks.check("dynamodb: a search is refused where there is no such index"), refused("ValidationException"):
        client.search_vectors(TableName=name, IndexName="nope", SearchVector=numbers(0, 0), TopK=2)
    client.delete_table(TableName=name)


def refusals(checks, client):
    condition = {"ConditionExpression": "attribute_exists(pk)"}
    specification = {"Enabled": True, "AttributeName": "until"}
    recovery = {"PointInTimeRecoveryEnabled": True}
    gone = "ResourceNotFoundException"
    nobody = {"TableName": NOBODY}
    no_arn = {"ResourceArn": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{NOBODY}"}
    twice = {"Put": {"TableName": NAME, "Item": item("x")}}
    too_long = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 36}
    rows = [
        # operation, arguments, AWS's code, why
        ("describe_table", nobody, gone, "no such table"),
        ("update_table", {**nobody, "BillingMode": "PAY_PER_REQUEST"}, gone, "no such table"),
        ("update_table", {"TableName": NAME, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "nope"}}]}, gone,
         "no such index"),
        ("update_table", {"TableName": NAME}, "ValidationException", "nothing to change"),
        ("delete_table", nobody, gone, "no such table"),
        ("delete_table", {"TableName": f"{NAME}-2"}, "ValidationException", "protected from deletion"),
        ("list_tables", {"Limit": 101}, "ValidationException", "a page has up to 100"),
        ("list_tags_of_resource", no_arn, "AccessDeniedException", "it does not say whether there is such a table"),
        ("list_tags_of_resource", {"ResourceArn": "nonsense"}, "ValidationException", "not an ARN"),
        ("tag_resource", {**no_arn, "Tags": [{"Key": "a", "Value": "1"}]}, gone, "no such table"),
        ("untag_resource", {**no_arn, "TagKeys": ["a"]}, gone, "no such table"),
        ("describe_time_to_live", nobody, gone, "no such table"),
        ("update_time_to_live", {**nobody, "TimeToLiveSpecification": specification}, gone, "no such table"),
        ("update_time_to_live", {"TableName": NAME, "TimeToLiveSpecification": specification}, "ValidationException",
         "it is on already"),
        ("describe_continuous_backups", nobody, "TableNotFoundException", "no such table"),
        ("update_continuous_backups", {**nobody, "PointInTimeRecoverySpecification": recovery},
         "TableNotFoundException", "no such table"),
        ("update_continuous_backups", {"TableName": NAME, "PointInTimeRecoverySpecification": too_long},
         "ValidationException", "35 days at most"),
        ("put_item", {**nobody, "Item": item("x")}, gone, "no such table"),
        ("put_item", {"TableName": NAME, "Item": item("x"), **condition}, "ConditionalCheckFailedException",
         "its condition does not hold"),
        ("put_item", {"TableName": NAME, "Item": {"pk": {"S": "x"}}}, "ValidationException", "half a key"),
        ("get_item", {**nobody, "Key": key("x")}, gone, "no such table"),
        ("get_item", {"TableName": NAME, "Key": {"pk": {"S": "x"}}}, "ValidationException", "half a key"),
        ("update_item", {**nobody, "Key": key("x")}, gone, "no such table"),
        ("update_item", {"TableName": NAME, "Key": key("x"), "UpdateExpression": "REMOVE a", **condition},
         "ConditionalCheckFailedException", "its condition does not hold"),
        ("update_item", {"TableName": NAME, "Key": key("x"), "UpdateExpression": "REMOVE pk"}, "ValidationException",
         "keys do not change"),
        ("delete_item", {**nobody, "Key": key("x")}, gone, "no such table"),
        ("delete_item", {"TableName": NAME, "Key": key("x"), **condition}, "ConditionalCheckFailedException",
         "its condition does not hold"),
        ("batch_get_item", {"RequestItems": {NOBODY: {"Keys": [key("x")]}}}, gone, "no such table"),
        ("batch_get_item", {"RequestItems": {NAME: {"Keys": [key("x"), key("x")]}}}, "ValidationException",
         "one item twice"),
        ("batch_write_item", {"RequestItems": {NOBODY: [{"PutRequest": {"Item": item("x")}}]}}, gone, "no such table"),
        ("batch_write_item", {"RequestItems": {NAME: [{"PutRequest": {"Item": item("x")}}] * 2}},
         "ValidationException", "one item twice"),
        ("query", {**nobody, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "x"}}},
         gone, "no such table"),
        ("query", {"TableName": NAME}, "ValidationException", "no condition"),
        ("scan", nobody, gone, "no such table"),
        ("scan", {"TableName": NAME, "Segment": 3, "TotalSegments": 3}, "ValidationException", "segments begin at 0"),
        ("transact_get_items", {"TransactItems": [{"Get": {**nobody, "Key": key("x")}}]}, gone, "no such table"),
        ("transact_write_items", {"TransactItems": [twice, twice]}, "ValidationException", "one item twice"),
        ("execute_statement", {"Statement": f'SELECT * FROM "{NOBODY}"'}, gone, "no such table"),
        ("execute_statement", {"Statement": "nonsense"}, "ValidationException", "no PartiQL"),
        ("execute_transaction", {"TransactStatements": [{"Statement": "nonsense"}]}, "ValidationException",
         "no PartiQL"),
        ("batch_execute_statement", {"Statements": [{"Statement": f'SELECT * FROM "{NAME}" WHERE pk = \'x\''}] * 26},
         "ValidationException", "26 of them"),
    ]
    for operation, arguments, code, why in rows:
        with checks.check(f"dynamodb {operation} is refused with {code}: {why}"), refused(code):
            getattr(client, operation)(**arguments)
    with checks.check("dynamodb: a table that is there is not made again"), refused("ResourceInUseException"):
        create(client, NAME)
    with checks.check("dynamodb: an item comes with the refusal of its condition"):
        try:
            client.put_item(TableName=NAME, Item=item("t1", n=9), ConditionExpression="n = :n",
                            ExpressionAttributeValues={":n": {"N": "8"}}, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        except botocore.exceptions.ClientError as error:
            equal(error.response["Item"], item("t1"))
        else:
            raise AssertionError("it was put")


def endings(checks, client):
    with checks.check("dynamodb: a deleted table is gone, and leaves no backups to its successor"):
        client.update_continuous_backups(
            TableName=NAME, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
        client.update_table(TableName=f"{NAME}-2", DeletionProtectionEnabled=False)
        for name in (NAME, f"{NAME}-2"):
            equal(client.delete_table(TableName=name)["TableDescription"]["TableStatus"], "DELETING")
            client.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
        create(client, NAME)
        described = client.describe_continuous_backups(TableName=NAME)["ContinuousBackupsDescription"]
        equal(described["PointInTimeRecoveryDescription"], {"PointInTimeRecoveryStatus": "DISABLED"})
        client.delete_table(TableName=NAME)
