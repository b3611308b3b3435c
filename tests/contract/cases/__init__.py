"""Cases that are run against two endpoints. Each is a function of one argument, [`Aws`], that returns what it saw.

What a case returns is compared as it is, so it holds nothing that differs from run to run: no ids, no times, no
addresses. A case makes what it needs and shares nothing with another.
"""

import itertools

import botocore.exceptions


class Aws:
    """One endpoint: a client of each service, and names that no other case uses."""

    def __init__(self, make_client):
        self.sqs, self.events, self.dynamodb, self.sns = (
            make_client(name) for name in ("sqs", "events", "dynamodb", "sns"))
        self._numbers = itertools.count(1)

    def name(self, suffix=""):
        return f"contract-{next(self._numbers)}{suffix}"

    def queue(self, suffix="", **attributes):
        if suffix == ".fifo":
            attributes["FifoQueue"] = "true"
        return self.sqs.create_queue(QueueName=self.name(suffix), Attributes=attributes)["QueueUrl"]

    def topic(self):
        return self.sns.create_topic(Name=self.name())["TopicArn"]

    def arn_of(self, queue):
        return self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def code(call, *arguments, **keywords):
    """The code of the error that a call ends with; `ok` if it ends well."""
    try:
        call(*arguments, **keywords)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return "ok"


def members(answer):
    """The names of an answer's members."""
    return sorted(name for name in answer if name != "ResponseMetadata")


def cases_of(module):
    """The cases of a module, in the order in which they are written."""
    functions = [value for value in vars(module).values() if getattr(value, "is_case", False)]
    return [(f"{module.__name__.rsplit('.', 1)[-1]}.{function.__name__}", function) for function in functions]


def case(function):
    """Marks a case."""
    function.is_case = True
    return function
