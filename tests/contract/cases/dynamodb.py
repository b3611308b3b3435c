"""DynamoDB: what the ledger stands on (conditions, transactions, queries), and what is refused."""

import botocore.exceptions

from cases import case, code, members


def table(aws, index=False):
    name = aws.name()
    attribute = lambda name, kind="S": {"AttributeName": name, "AttributeType": kind}
    key = lambda name, kind: {"AttributeName": name, "KeyType": kind}
    extra = {}
    if index:
        extra["GlobalSecondaryIndexes"] = [{
            "IndexName": "due", "KeySchema": [key("due_pk", "HASH"), key("due", "RANGE")],
            "Projection": {"ProjectionType": "KEYS_ONLY"}}]
    definitions = [attribute("pk"), attribute("sk")] + ([attribute("due_pk"), attribute("due", "N")] if index else [])
    aws.dynamodb.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=definitions,
        KeySchema=[key("pk", "HASH"), key("sk", "RANGE")], **extra)
    aws.dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return name


def item(pk, sk="a", **others):
    return {"pk": {"S": pk}, "sk": {"S": sk}, **others}


def refusal(call, **keywords):
    """The parts of an error that DynamoDB's callers act on."""
    try:
        call(**keywords)
    except botocore.exceptions.ClientError as error:
        answer = error.response
        reasons = [(each.get("Code"), each.get("Item")) for each in answer.get("CancellationReasons", [])]
        return {"code": answer["Error"]["Code"], "item": answer.get("Item"), "reasons": reasons}
    return "ok"


@case
def tables(aws):
    name = table(aws, index=True)
    described = aws.dynamodb.describe_table(TableName=name)["Table"]
    again = dict(TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
                 KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}])
    create = lambda **changes: code(aws.dynamodb.create_table, **{**again, **changes})
    return {
        "described": (described["TableStatus"], described["KeySchema"], described["BillingModeSummary"]["BillingMode"]),
        "index": [(i["IndexName"], i["IndexStatus"], i["Projection"]) for i in described["GlobalSecondaryIndexes"]],
        "made twice": create(),
        "a short name": create(TableName="ab"),
        "a key that is not defined": create(TableName=aws.name(), KeySchema=[{"AttributeName": "b", "KeyType": "HASH"}]),
        "an attribute that is no key": create(TableName=aws.name(), AttributeDefinitions=[
            *again["AttributeDefinitions"], {"AttributeName": "b", "AttributeType": "S"}]),
        "not there": code(aws.dynamodb.describe_table, TableName="nope-nope"),
        "deleted": code(aws.dynamodb.delete_table, TableName="nope-nope"),
    }


@case
def a_put_on_a_condition(aws):
    name = table(aws)
    put = lambda **keywords: refusal(
        aws.dynamodb.put_item, TableName=name, Item=item("a", v={"N": "1"}), ConditionExpression="attribute_not_exists(pk)", **keywords)
    return {
        "first": put(), "second": put(), "second, with what is there": put(ReturnValuesOnConditionCheckFailure="ALL_OLD"),
        "on the version": refusal(
            aws.dynamodb.put_item, TableName=name, Item=item("a", v={"N": "2"}), ConditionExpression="v = :v",
            ExpressionAttributeValues={":v": {"N": "1"}}),
        "on a version that is gone": refusal(
            aws.dynamodb.put_item, TableName=name, Item=item("a", v={"N": "3"}), ConditionExpression="v = :v",
            ExpressionAttributeValues={":v": {"N": "1"}}),
        "on a type": refusal(
            aws.dynamodb.delete_item, TableName=name, Key=item("a"), ConditionExpression="attribute_type(v, :t)",
            ExpressionAttributeValues={":t": {"S": "N"}}),
        "what is not there": refusal(
            aws.dynamodb.delete_item, TableName=name, Key=item("z"), ConditionExpression="attribute_exists(pk)"),
    }


@case
def conditions(aws):
    name = table(aws)
    aws.dynamodb.put_item(TableName=name, Item=item(
        "a", n={"N": "10"}, s={"S": "shop-production"}, l={"L": [{"S": "x"}]}, m={"M": {"deep": {"N": "1"}}}, t={"SS": ["p", "q"]}))
    def check(condition, names=None, **values):
        keywords = {"ExpressionAttributeValues": {f":{k}": v for k, v in values.items()}} if values else {}
        if names:
            keywords["ExpressionAttributeNames"] = names
        return code(aws.dynamodb.update_item, TableName=name, Key=item("a"), UpdateExpression="REMOVE nothing",
                    ConditionExpression=condition, **keywords)
    n, s = {"N": "10"}, {"S": "shop-"}
    return {
        "numbers compare as numbers": check("n > :n", n={"N": "9"}), "between": check("n BETWEEN :a AND :b", a={"N": "10"}, b={"N": "10"}),
        "1E1 is 10": check("n = :n", n={"N": "1E1"}), "text is no number": check("n = :n", n={"S": "10"}),
        "in": check("n IN (:a, :b)", a={"N": "1"}, b=n), "begins with": check("begins_with(s, :s)", s=s),
        "contains": check("contains(s, :s)", s={"S": "prod"}), "contains in a set": check("contains(t, :s)", s={"S": "q"}),
        "contains in a list": check("contains(l, :s)", s={"S": "x"}), "size": check("size(s) = :n", n={"N": "15"}),
        "a path": check("m.deep = :n", n={"N": "1"}), "an element": check("l[0] = :s", s={"S": "x"}),
        "beyond the end": check("attribute_exists(l[1])"), "not": check("NOT n = :n", n=n),
        "and before or": check("n = :n OR n = :n AND s = :s", n=n, s=s), "a missing attribute differs": check("z <> :n", n=n),
        "a missing attribute is not less": check("z < :n", n=n), "a name that is reserved": check("attribute_not_exists(status)"),
        "the same by a placeholder": check("attribute_not_exists(#s)", {"#s": "status"}),
        "an unused name": check("attribute_exists(pk)", {"#s": "status"}), "an unused value": check("attribute_exists(pk)", v=n),
        "an undefined value": check("n = :n"), "an undefined name": check("#n = :n", n=n), "no expression": check("n == :n", n=n),
        "an empty one": check(""), "an unknown function": check("sounds_like(s, :s)", s=s), "operands of mixed types": check("begins_with(s, :n)", n=n),
    }


@case
def updates(aws):
    name = table(aws)
    def update(expression, **values):
        aws.dynamodb.put_item(TableName=name, Item=item(
            "a", n={"N": "10"}, l={"L": [{"S": "x"}, {"S": "y"}]}, m={"M": {"k": {"S": "v"}}}, t={"SS": ["p", "q"]}))
        keywords = {"ExpressionAttributeValues": {f":{k}": v for k, v in values.items()}} if values else {}
        try:
            answer = aws.dynamodb.update_item(
                TableName=name, Key=item("a"), UpdateExpression=expression, ReturnValues="UPDATED_NEW", **keywords)
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"]
        changed = answer.get("Attributes", {})
        return {k: sorted(v["SS"]) if "SS" in v else v for k, v in changed.items()}
    one = {"N": "1"}
    return {
        "set": update("SET z = :o", o=one), "plus": update("SET n = n + :o", o=one), "minus": update("SET n = n - :o", o=one),
        "add": update("ADD n :o", o=one), "add to nothing": update("ADD z :o", o=one), "add to a set": update("ADD t :s", s={"SS": ["r"]}),
        "delete from a set": update("DELETE t :s", s={"SS": ["p"]}), "delete the last of a set": update("DELETE t :s", s={"SS": ["p", "q"]}),
        "if not exists": update("SET n = if_not_exists(n, :o), z = if_not_exists(z, :o)", o=one),
        "append": update("SET l = list_append(l, :l)", l={"L": [{"S": "z"}]}), "an element": update("SET l[1] = :o", o=one),
        "beyond the end": update("SET l[9] = :o", o=one), "remove": update("REMOVE n, l[0]"), "into a map": update("SET m.z = :o", o=one),
        "into nothing": update("SET q.z = :o", o=one), "the key": update("SET pk = :s", s={"S": "b"}),
        "one path twice": update("SET n = :o REMOVE n", o=one), "text plus one": update("SET z = m.k + :o", o=one),
        "plus a missing one": update("SET n = z + :o", o=one), "set twice": update("SET n = :o SET z = :o", o=one),
    }


@case
def transactions(aws):
    name = table(aws)
    aws.dynamodb.put_item(TableName=name, Item=item("a", v={"N": "1"}))
    put = lambda pk, **keywords: {"Put": {"TableName": name, "Item": item(pk), **keywords}}
    new = {"ConditionExpression": "attribute_not_exists(pk)"}
    write = lambda *items, **keywords: refusal(aws.dynamodb.transact_write_items, TransactItems=list(items), **keywords)
    check = {"ConditionCheck": {"TableName": name, "Key": item("a"), "ConditionExpression": "v = :v",
                                "ExpressionAttributeValues": {":v": {"N": "2"}}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}
    seen = {
        "all": write(put("b", **new), put("c", **new)),
        "none when one fails": write(put("d", **new), put("a", **new)),
        "nothing was written": aws.dynamodb.get_item(TableName=name, Key=item("d")).get("Item"),
        "a check, with what is there": write(put("e"), check),
        "one item twice": write(put("f"), put("f")),
        "none": code(aws.dynamodb.transact_write_items, TransactItems=[]),
        "a hundred": write(*[put(f"h{n}") for n in range(100)]),
        "a hundred and one": write(*[put(f"i{n}") for n in range(101)]),
        "one token, twice": (write(put("g", **new), ClientRequestToken="t1"), write(put("g", **new), ClientRequestToken="t1")),
        "one token, another request": write(put("j", **new), ClientRequestToken="t1"),
        "no such table": write({"Put": {"TableName": "nope-nope", "Item": item("a")}}),
    }
    got = aws.dynamodb.transact_get_items(TransactItems=[
        {"Get": {"TableName": name, "Key": item("a")}}, {"Get": {"TableName": name, "Key": item("z")}}])
    return {**seen, "read together": got["Responses"]}


@case
def queries(aws):
    name = table(aws, index=True)
    for n in range(5):
        due = {"due_pk": {"S": "open"}, "due": {"N": str(10 - n)}} if n < 3 else {}
        aws.dynamodb.put_item(TableName=name, Item=item("p", f"s{n}", n={"N": str(n)}, **due))
    value = lambda **values: {f":{k}": {"S": v} for k, v in values.items()}
    def query(**keywords):
        answer = aws.dynamodb.query(TableName=name, **{
            "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": value(p="p"), **keywords})
        return [each["sk"]["S"] for each in answer["Items"]], answer["Count"], answer["ScannedCount"], answer.get("LastEvaluatedKey")
    refused = lambda **keywords: code(query, **keywords)
    both = lambda condition, **values: dict(KeyConditionExpression=condition, ExpressionAttributeValues=value(p="p", **values))
    index = dict(IndexName="due", KeyConditionExpression="due_pk = :p", ExpressionAttributeValues=value(p="open"))
    return {
        "all": query(), "backwards": query(ScanIndexForward=False), "two": query(Limit=2),
        "after two": query(ExclusiveStartKey=item("p", "s1")), "begins with": query(**both("pk = :p AND begins_with(sk, :s)", s="s")),
        "between": query(**both("pk = :p AND sk BETWEEN :a AND :b", a="s1", b="s3")), "less": query(**both("pk = :p AND sk < :s", s="s2")),
        "filtered": query(FilterExpression="n > :n", ExpressionAttributeValues={**value(p="p"), ":n": {"N": "2"}}),
        "filtered two": query(FilterExpression="n > :n", Limit=2, ExpressionAttributeValues={**value(p="p"), ":n": {"N": "2"}}),
        "the index, by number": query(**index), "the index, one": query(**index, Limit=1),
        "the index, consistently": refused(**index, ConsistentRead=True), "no such index": refused(IndexName="nope"),
        "no partition": refused(**both("sk = :p")), "a partition by prefix": refused(**both("begins_with(pk, :p)")),
        "two sort keys": refused(**both("pk = :p AND sk > :s AND sk < :t", s="a", t="z")),
        "a filter on the key": refused(FilterExpression="sk = :p"), "no limit": refused(Limit=0),
        "counted": members(aws.dynamodb.query(
            TableName=name, KeyConditionExpression="pk = :p", ExpressionAttributeValues=value(p="p"), Select="COUNT")),
    }


@case
def reading(aws):
    name = table(aws)
    aws.dynamodb.put_item(TableName=name, Item=item("a", status={"S": "open"}, m={"M": {"x": {"N": "1"}, "y": {"N": "2"}}}))
    get = lambda **keywords: aws.dynamodb.get_item(TableName=name, **{"Key": item("a"), **keywords})
    refused = lambda **keywords: code(get, **keywords)
    batch = aws.dynamodb.batch_get_item(RequestItems={name: {"Keys": [item("a"), item("z")]}})
    return {
        "one": get()["Item"], "nothing": members(get(Key=item("z"))),
        "a part": get(ProjectionExpression="#s, m.x", ExpressionAttributeNames={"#s": "status"})["Item"],
        "a reserved name": refused(ProjectionExpression="status"), "overlapping": refused(ProjectionExpression="m, m.x"),
        "half a key": refused(Key={"pk": {"S": "a"}}), "too much key": refused(Key=item("a", z={"S": "z"})),
        "a key of another type": refused(Key={"pk": {"N": "1"}, "sk": {"S": "a"}}), "an empty key": refused(Key=item("")),
        "several": (len(batch["Responses"][name]), batch["UnprocessedKeys"]),
        "one twice": code(aws.dynamodb.batch_get_item, RequestItems={name: {"Keys": [item("a"), item("a")]}}),
        "101": code(aws.dynamodb.batch_get_item, RequestItems={name: {"Keys": [item(str(n)) for n in range(101)]}}),
        "26 writes": code(aws.dynamodb.batch_write_item, RequestItems={name: [{"PutRequest": {"Item": item(str(n))}} for n in range(26)]}),
    }


@case
def items_that_are_refused(aws):
    name = table(aws)
    put = lambda one: code(aws.dynamodb.put_item, TableName=name, Item=one)
    return {
        "without a sort key": put({"pk": {"S": "a"}}), "an empty key": put(item("")), "a key of another type": put({"pk": {"N": "1"}, "sk": {"S": "a"}}),
        "an empty attribute": put(item("a", x={"S": ""})), "an empty set": put(item("a", x={"SS": []})),
        "a set with one value twice": put(item("a", x={"SS": ["a", "a"]})), "two types": put(item("a", x={"S": "a", "N": "1"})),
        "no number": put(item("a", x={"N": "many"})), "39 digits": put(item("a", x={"N": "1" * 39})), "1E126": put(item("a", x={"N": "1E126"})),
        "400 KB": put(item("a", x={"S": "x" * (400 * 1024 - 6)})), "over 400 KB": put(item("a", x={"S": "x" * (400 * 1024)})),
        "a sort key over 1 KB": put(item("a", "s" * 1025)), "a partition key over 2 KB": put(item("p" * 2049)),
        "32 levels": put(item("a", x=nested(31))), "too many levels": put(item("a", x=nested(33))),
    }


def nested(levels):
    value = {"S": "x"}
    for _ in range(levels):
        value = {"M": {"x": value}}
    return value


@case
def numbers(aws):
    name = table(aws)
    def kept(number):
        aws.dynamodb.put_item(TableName=name, Item=item("a", n={"N": number}))
        return aws.dynamodb.get_item(TableName=name, Key=item("a"))["Item"]["n"]["N"]
    given = ["1", "1.0", "1.50", "-0", "007", "1E3", "1e-3", "12345678901234567890123456789012345678", "0.1", "9007199254740993"]
    return {number: kept(number) for number in given}


@case
def time_to_live(aws):
    name = table(aws)
    set_ = lambda enabled, attribute: code(aws.dynamodb.update_time_to_live, TableName=name, TimeToLiveSpecification={
        "Enabled": enabled, "AttributeName": attribute})
    before = aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    on = set_(True, "expires")
    return {"before": before, "on": on, "after": aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
            "on again": set_(True, "expires")}
