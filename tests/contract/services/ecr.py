"""ECR: repositories, images by digest and tag, and what scans found."""

import hashlib
import json

from harness import ACCOUNT, REGION, equal, post, wait_until
from services import refused

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DIGEST = "sha256:" + "0" * 64


def run(checks, aws):
    ecr = aws.client("ecr")
    repositories(checks, ecr)
    images(checks, ecr)
    indexes(checks, ecr)
    mutability(checks, ecr)
    listings(checks, ecr)
    deletion(checks, ecr)
    scans(checks, ecr)
    inspector(checks, aws, ecr)
    events(checks, aws, ecr)
    empty(checks, ecr)


def manifest(note, media_type=MANIFEST):
    """A manifest of 352 bytes of layers, and its digest."""
    part = {"size": 176, "digest": DIGEST}
    text = json.dumps({
        "schemaVersion": 2, "mediaType": media_type,
        "config": {**part, "mediaType": "application/vnd.oci.image.config.v1+json"},
        "layers": [{**part, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"}],
        "annotations": {"note": note},
    })
    return text, "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def index(*digests):
    named = [{"mediaType": MANIFEST, "size": 1, "digest": each} for each in digests]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": named})


def repositories(checks, ecr):
    with checks.check("a repository is described as it was created"):
        made = ecr.create_repository(repositoryName="contract/web", tags=[{"Key": "a", "Value": "1"}])["repository"]
        made.pop("createdAt")
        equal(made, {
            "repositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/contract/web", "registryId": ACCOUNT,
            "repositoryName": "contract/web",
            "repositoryUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/contract/web",
            "imageTagMutability": "MUTABLE", "imageScanningConfiguration": {"scanOnPush": False},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        })
        (seen,) = ecr.describe_repositories(repositoryNames=["contract/web"], registryId=ACCOUNT)["repositories"]
        seen.pop("createdAt")
        equal(seen, made)
    with checks.check("repositories come in pages"):
        ecr.create_repository(repositoryName="contract/api")
        pages = ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1})
        names = [each["repositoryName"] for page in pages for each in page["repositories"]]
        assert {"contract/web", "contract/api"} <= set(names), names
        equal(names, sorted(set(names)))
    with checks.check("tags of a repository"):
        arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/contract/web"
        ecr.tag_resource(resourceArn=arn, tags=[{"Key": "b", "Value": "2"}])
        ecr.untag_resource(resourceArn=arn, tagKeys=["a"])
        equal(ecr.list_tags_for_resource(resourceArn=arn)["tags"], [{"Key": "b", "Value": "2"}])
        with refused("RepositoryNotFoundException"):
            ecr.list_tags_for_resource(resourceArn=arn + "x")
        with refused("InvalidParameterException"):
            ecr.untag_resource(resourceArn="arn:aws:sqs:us-east-1:123456789012:q", tagKeys=["a"])
        with refused("InvalidTagParameterException"):
            ecr.tag_resource(resourceArn=arn, tags=[{"Key": "aws:b", "Value": "2"}])
        with refused("TooManyTagsException"):
            ecr.tag_resource(resourceArn=arn, tags=[{"Key": f"k{number}", "Value": "v"} for number in range(50)])
    with checks.check("what CreateRepository refuses"):
        with refused("RepositoryAlreadyExistsException", "already exists in the registry"):
            ecr.create_repository(repositoryName="contract/web")
        for name in ("Web", "a..b", "web/", "x" * 257):
            with refused("InvalidParameterException", "repositoryName"):
                ecr.create_repository(repositoryName=name)
        with refused("InvalidParameterException", "enum value set"):
            ecr.create_repository(repositoryName="contract/new", imageTagMutability="SOMETIMES")
    with checks.check("a repository that does not exist, in every operation"):
        calls = [
            lambda name: ecr.describe_repositories(repositoryNames=[name]),
            lambda name: ecr.delete_repository(repositoryName=name),
            lambda name: ecr.put_image(repositoryName=name, imageManifest=manifest("a")[0]),
            lambda name: ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "a"}]),
            lambda name: ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "a"}]),
            lambda name: ecr.describe_images(repositoryName=name),
            lambda name: ecr.list_images(repositoryName=name),
            lambda name: ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="MUTABLE"),
            lambda name: ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration={}),
            lambda name: ecr.start_image_scan(repositoryName=name, imageId={"imageTag": "a"}),
            lambda name: ecr.describe_image_scan_findings(repositoryName=name, imageId={"imageTag": "a"}),
        ]
        for call in calls:
            with refused("RepositoryNotFoundException", "'contract/none' does not exist in the registry"):
                call("contract/none")
        with refused("RepositoryNotFoundException"):
            ecr.list_images(repositoryName="contract/web", registryId="111111111111")


def images(checks, ecr):
    text, digest = manifest("one")
    with checks.check("an image is put, and read back by tag and by digest"):
        image = ecr.put_image(repositoryName="contract/web", imageManifest=text, imageTag="one")["image"]
        equal(image["imageId"], {"imageDigest": digest, "imageTag": "one"})
        equal(image["imageManifestMediaType"], MANIFEST)
        got = ecr.batch_get_image(repositoryName="contract/web", imageIds=[{"imageTag": "one"}, {"imageTag": "none"}, {"imageDigest": "x"}, {}])
        equal([each["imageManifest"] for each in got["images"]], [text])
        equal([each["failureCode"] for each in got["failures"]], ["ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag"])
        (detail,) = ecr.describe_images(repositoryName="contract/web", imageIds=[{"imageDigest": digest}])["imageDetails"]
        detail.pop("imagePushedAt")
        equal(detail, {
            "registryId": ACCOUNT, "repositoryName": "contract/web", "imageDigest": digest, "imageTags": ["one"],
            "imageSizeInBytes": 352, "imageManifestMediaType": MANIFEST, "imageStatus": "ACTIVE",
            "artifactMediaType": "application/vnd.oci.image.config.v1+json",
        })
    with checks.check("the same image may have another tag, and a tag may move"):
        ecr.put_image(repositoryName="contract/web", imageManifest=text, imageTag="two")
        other, _ = manifest("other")
        ecr.put_image(repositoryName="contract/web", imageManifest=other, imageTag="one", imageDigest=manifest("other")[1])
        (detail,) = ecr.describe_images(repositoryName="contract/web", imageIds=[{"imageDigest": digest}])["imageDetails"]
        equal(detail["imageTags"], ["two"])
    with checks.check("what PutImage refuses"):
        with refused("ImageAlreadyExistsException", "and tag 'two' already exists"):
            ecr.put_image(repositoryName="contract/web", imageManifest=text, imageTag="two")
        with refused("ImageAlreadyExistsException"):
            ecr.put_image(repositoryName="contract/web", imageManifest=text)
        with refused("ImageDigestDoesNotMatchException", "does not match the image digest"):
            ecr.put_image(repositoryName="contract/web", imageManifest=text, imageDigest=DIGEST)
        for wrong in ("{}", "no JSON"):
            with refused("InvalidParameterException", "Invalid JSON syntax"):
                ecr.put_image(repositoryName="contract/web", imageManifest=wrong)
        with refused("InvalidParameterException", "imageTag"):
            ecr.put_image(repositoryName="contract/web", imageManifest=text, imageTag="a b")
        with refused("InvalidParameterException", "MediaType"):
            ecr.put_image(repositoryName="contract/web", imageManifest=text, imageManifestMediaType=INDEX)
    with checks.check("an image that does not exist"):
        for id_ in ({"imageTag": "none"}, {"imageDigest": DIGEST}, {"imageDigest": digest, "imageTag": "one"}):
            with refused("ImageNotFoundException", "does not exist within the repository"):
                ecr.describe_images(repositoryName="contract/web", imageIds=[id_])


def indexes(checks, ecr):
    _, digest = manifest("one")
    with checks.check("an index names images that are there, and keeps them"):
        text = index(digest)
        image = ecr.put_image(repositoryName="contract/web", imageManifest=text, imageTag="index")["image"]
        (detail,) = ecr.describe_images(repositoryName="contract/web", imageIds=[{"imageTag": "index"}])["imageDetails"]
        equal((detail["imageManifestMediaType"], detail.get("artifactMediaType")), (INDEX, None))
        answer = ecr.batch_delete_image(repositoryName="contract/web", imageIds=[{"imageDigest": digest}])
        equal([each["failureCode"] for each in answer["failures"]], ["ImageReferencedByManifestList"])
        assert image["imageId"]["imageDigest"] in answer["failures"][0]["failureReason"]
    with checks.check("an index of what is not there is refused"), refused("ReferencedImagesNotFoundException", DIGEST):
        ecr.put_image(repositoryName="contract/web", imageManifest=index(DIGEST))


def mutability(checks, ecr):
    with checks.check("an immutable tag stays, one that is excluded does not"):
        filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
        answer = ecr.put_image_tag_mutability(repositoryName="contract/api", imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                                              imageTagMutabilityExclusionFilters=filters)
        equal(answer["imageTagMutabilityExclusionFilters"], filters)
        for tag in ("v1", "dev-1"):
            ecr.put_image(repositoryName="contract/api", imageManifest=manifest("a")[0], imageTag=tag)
        with refused("ImageTagAlreadyExistsException", "cannot be overwritten because the tag is immutable"):
            ecr.put_image(repositoryName="contract/api", imageManifest=manifest("b")[0], imageTag="v1")
        ecr.put_image(repositoryName="contract/api", imageManifest=manifest("b")[0], imageTag="dev-1")
    with checks.check("filters go with exclusions, and only with them"):
        with refused("InvalidParameterException"):
            ecr.put_image_tag_mutability(repositoryName="contract/api", imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
        with refused("InvalidParameterException"):
            ecr.put_image_tag_mutability(repositoryName="contract/api", imageTagMutability="IMMUTABLE", imageTagMutabilityExclusionFilters=filters)
        equal(ecr.put_image_tag_mutability(repositoryName="contract/api", imageTagMutability="MUTABLE")["imageTagMutability"], "MUTABLE")


def listings(checks, ecr):
    with checks.check("images are listed by tag, in pages"):
        text, digest = manifest("untagged")
        ecr.put_image(repositoryName="contract/api", imageManifest=text)
        untagged = {"tagStatus": "UNTAGGED"}
        equal(ecr.list_images(repositoryName="contract/api", filter=untagged)["imageIds"], [{"imageDigest": digest}])
        equal(len(ecr.describe_images(repositoryName="contract/api", filter={"tagStatus": "TAGGED"})["imageDetails"]), 2)
        equal(ecr.list_images(repositoryName="contract/api", filter={"imageStatus": "ARCHIVED"})["imageIds"], [])
        for name, member in (("list_images", "imageIds"), ("describe_images", "imageDetails")):
            pages = ecr.get_paginator(name).paginate(repositoryName="contract/api", PaginationConfig={"PageSize": 2})
            equal([len(page[member]) for page in pages], [2, 1])
    with checks.check("what a listing refuses"):
        with refused("InvalidParameterException", "nextToken"):
            ecr.list_images(repositoryName="contract/api", nextToken="forged")
        with refused("InvalidParameterException", "enum value set"):
            ecr.list_images(repositoryName="contract/api", filter={"tagStatus": "SOME"})
        with refused("InvalidParameterException", "maxResults"):
            ecr.describe_images(repositoryName="contract/api", imageIds=[{"imageTag": "v1"}], maxResults=5)


def deletion(checks, ecr):
    with checks.check("a tag is deleted, and an image with its last tag"):
        ids = [{"imageTag": "v1"}, {"imageTag": "none"}]
        answer = ecr.batch_delete_image(repositoryName="contract/api", imageIds=ids)
        equal(answer["imageIds"], [{"imageDigest": manifest("a")[1], "imageTag": "v1"}])
        equal([each["failureCode"] for each in answer["failures"]], ["ImageNotFound"])
        (id_,) = ecr.batch_delete_image(repositoryName="contract/api", imageIds=[{"imageDigest": manifest("untagged")[1]}])["imageIds"]
        equal(id_, {"imageDigest": manifest("untagged")[1]})
        equal(ecr.list_images(repositoryName="contract/api")["imageIds"], [{"imageDigest": manifest("b")[1], "imageTag": "dev-1"}])
    with checks.check("no more than a hundred at once"), refused("InvalidParameterException", "imageIds"):
        ecr.batch_delete_image(repositoryName="contract/api", imageIds=[{"imageTag": f"t{number}"} for number in range(101)])


def scans(checks, ecr):
    ask = lambda **id_: ecr.describe_image_scan_findings(repositoryName="contract/api", imageId=id_)
    with checks.check("an image that was not scanned has no findings"), refused("ScanNotFoundException", "Image scan does not exist"):
        ask(imageTag="dev-1")
    with checks.check("a basic scan completes, and finds nothing"):
        answer = ecr.start_image_scan(repositoryName="contract/api", imageId={"imageTag": "dev-1"})
        equal(answer["imageScanStatus"]["status"], "PENDING")
        wait_until("COMPLETE", lambda: ask(imageTag="dev-1")["imageScanStatus"]["status"] == "COMPLETE")
        found = ask(imageTag="dev-1")["imageScanFindings"]
        equal((found["findings"], found["findingSeverityCounts"]), ([], {}))
        (detail,) = ecr.describe_images(repositoryName="contract/api")["imageDetails"]
        equal(detail["imageScanStatus"]["status"], "COMPLETE")
    with checks.check("what scans refuse"):
        with refused("LimitExceededException", "quota"):
            ecr.start_image_scan(repositoryName="contract/api", imageId={"imageTag": "dev-1"})
        with refused("ImageNotFoundException"):
            ecr.start_image_scan(repositoryName="contract/api", imageId={"imageTag": "none"})
        with refused("InvalidParameterException"):
            ask()
        with refused("UnsupportedImageTypeException"):
            ecr.start_image_scan(repositoryName="contract/web", imageId={"imageTag": "index"})
    with checks.check("a repository scans on push"):
        scanning = {"scanOnPush": True}
        answer = ecr.put_image_scanning_configuration(repositoryName="contract/api", imageScanningConfiguration=scanning)
        equal(answer["imageScanningConfiguration"], scanning)
        ecr.put_image(repositoryName="contract/api", imageManifest=manifest("scanned")[0], imageTag="scanned")
        wait_until("COMPLETE", lambda: ask(imageTag="scanned")["imageScanStatus"]["status"] == "COMPLETE")
    with checks.check("the registry's rules"):
        equal(ecr.get_registry_scanning_configuration()["scanningConfiguration"], {"scanType": "BASIC", "rules": []})
        with refused("InvalidParameterException", "CONTINUOUS_SCAN"):
            rule = {"scanFrequency": "CONTINUOUS_SCAN", "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]}
            ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[rule])
        with refused("InvalidParameterException", "rules"):
            ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=[rule] * 3)
        answer = ecr.put_registry_scanning_configuration(scanType="ENHANCED", rules=[rule])
        equal(answer["registryScanningConfiguration"], {"scanType": "ENHANCED", "rules": [rule]})
        answer = ecr.batch_get_repository_scanning_configuration(repositoryNames=["contract/web", "contract/none"])
        (one,) = answer["scanningConfigurations"]
        equal((one["scanFrequency"], one["scanOnPush"]), ("CONTINUOUS_SCAN", True))
        equal([each["failureCode"] for each in answer["failures"]], ["REPOSITORY_NOT_FOUND"])
        with refused("ValidationException"):
            ecr.start_image_scan(repositoryName="contract/web", imageId={"imageTag": "one"})


def inspector(checks, aws, ecr):
    _, digest = manifest("enhanced")

    def tell(kind, detail):
        event = {"source": "aws.inspector2", "detail-type": kind, "region": REGION, "detail": detail}
        status, _ = post(f"{aws.endpoint}/_local/events", json.dumps(event).encode(), {"Content-Type": "application/json"})
        equal(status, 202)

    def finding(number, severity, status="ACTIVE"):
        tell("Inspector2 Finding", {
            "findingArn": f"arn:aws:inspector2:{REGION}:{ACCOUNT}:finding/{number}", "awsAccountId": ACCOUNT,
            "severity": severity, "status": status, "title": "CVE-2026-1 - openssl", "type": "PACKAGE_VULNERABILITY",
            "description": "a weakness", "fixAvailable": "YES", "exploitAvailable": "NO", "inspectorScore": 7.5,
            "epss": {"score": 0.02}, "firstObservedAt": "Jan 19, 2022, 10:46:15 PM",
            "inspectorScoreDetails": {"adjustedCvss": {"score": 7.5, "scoreSource": "NVD", "scoringVector": "x", "version": "3.1", "adjustments": []}},
            "packageVulnerabilityDetails": {
                "vulnerabilityId": "CVE-2026-1", "source": "NVD", "sourceUrl": "https://nvd.nist.gov/", "vendorSeverity": "HIGH",
                "cvss": [{"baseScore": 7.5, "scoringVector": "x", "source": "NVD", "version": "3.1"}],
                "vulnerablePackages": [{"name": "openssl", "version": "1.1", "packageManager": "OS", "remediation": "update"}],
            },
            "remediation": {"recommendation": {"text": "None Provided"}},
            "resources": [{
                "id": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/contract/web/{digest}", "type": "AWS_ECR_CONTAINER_IMAGE",
                "partition": "aws", "region": REGION,
                "details": {"awsEcrContainerImage": {"imageHash": digest, "repositoryName": "contract/web", "registry": ACCOUNT,
                                                     "imageTags": ["enhanced"], "pushedAt": "Jan 19, 2022, 10:46:15 PM"}},
            }],
        })

    ask = lambda **more: ecr.describe_image_scan_findings(repositoryName="contract/web", imageId={"imageTag": "enhanced"}, **more)
    with checks.check("an enhanced scan is pending until Inspector tells its end"):
        ecr.put_image(repositoryName="contract/web", imageManifest=manifest("enhanced")[0], imageTag="enhanced")
        equal(ask()["imageScanStatus"]["status"], "PENDING")
        finding(1, "HIGH")
        finding(2, "CRITICAL")
        tell("Inspector2 Scan", {
            "scan-status": "INITIAL_SCAN_COMPLETE", "image-digest": digest, "image-tags": ["enhanced"],
            "repository-name": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/contract/web",
            "finding-severity-counts": {"HIGH": 1, "CRITICAL": 1, "TOTAL": 2},
        })
        answer = ask()
        equal(answer["imageScanStatus"]["status"], "ACTIVE")
        equal(answer["imageScanFindings"]["findingSeverityCounts"], {"CRITICAL": 1, "HIGH": 1})
    with checks.check("findings have the members that the API names, and come in pages"):
        first = ask(maxResults=1)
        (one,) = first["imageScanFindings"]["enhancedFindings"]
        equal((one["score"], one["packageVulnerabilityDetails"]["vulnerabilityId"]), (7.5, "CVE-2026-1"))
        equal(one["firstObservedAt"].isoformat()[:10], "2022-01-19")
        (two,) = ask(maxResults=1, nextToken=first["nextToken"])["imageScanFindings"]["enhancedFindings"]
        equal(two["severity"], "CRITICAL")
    with checks.check("a finding that is closed leaves the list"):
        finding(1, "HIGH", "CLOSED")
        equal(ask()["imageScanFindings"]["findingSeverityCounts"], {"CRITICAL": 1})
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])


def events(checks, aws, ecr):
    queue, bus = aws.client("sqs"), aws.client("events")
    url = queue.create_queue(QueueName="ecr-events")["QueueUrl"]
    pattern = json.dumps({"source": ["aws.ecr"], "detail": {"repository-name": ["contract/events"]}})
    bus.put_rule(Name="ecr-events", EventPattern=pattern)
    bus.put_targets(Rule="ecr-events", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:ecr-events"}])

    def next_event():
        (message,) = wait_until("an event", lambda: queue.receive_message(QueueUrl=url).get("Messages"))
        queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return json.loads(message["Body"])

    with checks.check("pushes, scans and deletions are told on the bus"):
        ecr.create_repository(repositoryName="contract/events", imageScanningConfiguration={"scanOnPush": True})
        text, digest = manifest("told")
        ecr.put_image(repositoryName="contract/events", imageManifest=text, imageTag="told")
        event = next_event()
        equal((event["detail-type"], event["resources"]), ("ECR Image Action", []))
        action = {
            "result": "SUCCESS", "repository-name": "contract/events", "image-digest": digest, "image-tag": "told",
            "manifest-media-type": MANIFEST, "artifact-media-type": "application/vnd.oci.image.config.v1+json",
        }
        equal(event["detail"], {**action, "action-type": "PUSH"})
        event = next_event()
        equal((event["detail-type"], event["detail"]["scan-status"]), ("ECR Image Scan", "COMPLETE"))
        ecr.batch_delete_image(repositoryName="contract/events", imageIds=[{"imageDigest": digest}])
        equal(next_event()["detail"], {**action, "action-type": "DELETE"})


def empty(checks, ecr):
    with checks.check("a repository with images is deleted by force"):
        with refused("RepositoryNotEmptyException", "still contains images"):
            ecr.delete_repository(repositoryName="contract/web")
        gone = ecr.delete_repository(repositoryName="contract/web", force=True)["repository"]
        equal(gone["repositoryName"], "contract/web")
        with refused("RepositoryNotFoundException"):
            ecr.describe_repositories(repositoryNames=["contract/web"])
        ecr.delete_repository(repositoryName="contract/events")
