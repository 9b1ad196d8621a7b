"""What AWS does and MiniStack does not: each seam is one function, whose text says why it is there.

WITHOUT in the environment names seams that are left out, to see that a step needs each of them.
"""

import json
import os
import re
import threading
from urllib.parse import unquote

from botocore.config import Config
from botocore.session import Session

from ministack.core import iam_actions, iam_evaluator
from ministack.services import cloudformation, lambda_svc, s3, scheduler, ssm
from ministack.services.cloudformation import custom_resource, provisioners, stacks

REGION = os.environ["MINISTACK_REGION"]
ACCOUNT = os.environ["MINISTACK_ACCOUNT_ID"]
# The access key of the account's owner.
OWNER = os.environ["AWS_ACCESS_KEY_ID"]
# CloudFormation's account, and the bucket of its that takes the answers of custom resources.
CLOUDFORMATION = "999999999999"
RESPONSES = "cloudformation-custom-resource-response-useast1"
# Its bucket for the same in another region.
ANOTHER_REGION = "cloudformation-custom-resource-response-useast2"
# What is in both from the beginning.
PROOF = "proof"
# What an answer has of its event.
IDENTITY = ("StackId", "LogicalResourceId", "RequestId")
MAX_ANSWER_BYTES = 4096
# How long a stack may take on a busy machine.
PATIENCE_SECONDS = 60
# How often Lambda invokes a function for one asynchronous event that ends in an error.
ATTEMPTS = 3


class Record:
    """Everything that happened, in order. Each entry tells its `kind`."""

    def __init__(self):
        self._entries = []
        self._changed = threading.Condition()

    def add(self, kind, **fields):
        with self._changed:
            self._entries.append({"kind": kind, **fields})
            self._changed.notify_all()

    def since(self, number):
        with self._changed:
            return self._entries[number:]

    def wait(self, condition):
        """Waits until a condition holds; whether it does before patience ends."""
        with self._changed:
            return self._changed.wait_for(condition, PATIENCE_SECONDS)


class Outages:
    """Calls of SSM and of S3 that fail until that is over."""

    def __init__(self):
        self._outages = []
        self._lock = threading.Lock()

    def begin(self, name, action, times, is_refusal):
        """Those that are about a name that begins so: of an action or of all, so often or always."""
        with self._lock:
            self._outages.append({"name": name, "action": action, "times": times, "is_refusal": is_refusal})

    def end(self, name):
        with self._lock:
            self._outages = [outage for outage in self._outages if outage["name"] != name]

    def hit(self, action, names):
        """The outage that a call meets, if any."""
        with self._lock:
            for outage in self._outages:
                is_meant = any(name.startswith(outage["name"]) for name in names)
                if is_meant and outage["action"] in (None, action) and outage["times"] != 0:
                    outage["times"] = outage["times"] and outage["times"] - 1
                    return outage
        return None


def make_client(service, key, secret="root"):
    """The SDK's client of a service for an access key; an account's number is its root's."""
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
    # Otherwise URLs are signed as they were before 2014.
    return Session().create_client(service, region_name=REGION, config=Config(signature_version="v4"), **keys)


def name_of(stack_id):
    """A stack's name, which stands in its ARN."""
    return stack_id.split("/")[1]


def record_events(record):
    """The tests judge what was sent; the engine shows a stack's own events alone."""
    invoke = custom_resource.invoke_custom_resource

    def recorded(request, resource, properties, stack, *rest, physical_id=None, old_props=None):
        sent = {"request": request, "stack": stack, "resource": resource, "id": physical_id}
        record.add("sent", **sent, properties=properties, old_properties=old_props)
        return invoke(request, resource, properties, stack, *rest, physical_id=physical_id, old_props=old_props)

    custom_resource.invoke_custom_resource = recorded
    add_event = stacks._add_event

    def added(stack_id, stack, resource, kind, status, reason="", *rest, **more):
        add_event(stack_id, stack, resource, kind, status, reason, *rest, **more)
        record.add("stack", stack=stack, resource=resource, status=status, reason=reason)

    stacks._add_event = added


def record_calls(record, outages):
    """The tests judge what was written, and take SSM away from all but the account's owner, who is the test itself."""
    handle = ssm.handle_request

    async def recorded(method, path, headers, body, query_params):
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        call = json.loads(body or b"{}")
        names = call.get("Names") or [call.get("Name", "")]
        if f"Credential={OWNER}/" in headers.get("authorization", ""):
            return await handle(method, path, headers, body, query_params)
        if outage := outages.hit(action, names):
            if outage["is_refusal"]:
                return ssm.error_response_json("AccessDeniedException", f"the test refuses ssm:{action} here", 400)
            return ssm.error_response_json("InternalServerError", "the service is not there", 500)
        response = await handle(method, path, headers, body, query_params)
        if response[0] == 200 and not action.startswith("Get"):
            record.add("wrote", action=action, names=names)
        return response

    ssm.handle_request = recorded


def sign_response_urls(record, forgeries):
    """AWS gives a URL that is pre-signed for a bucket of CloudFormation's own, and takes what S3 takes there and what is
    an answer to the event; the engine gives an address of its own, and takes whatever arrives. `forgeries` tell what is
    otherwise in the URLs of a stack, as somebody would sign them who means no good: `bucket`, `account`, or the
    beginning of the `signature`."""
    user = {"UserName": "cloudformation"}
    iam = make_client("iam", CLOUDFORMATION)
    iam.create_user(**user)
    key = iam.create_access_key(**user)["AccessKey"]
    allowed = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(**user, PolicyName="responses", PolicyDocument=policy)
    signer = make_client("s3", key["AccessKeyId"], key["SecretAccessKey"])
    for bucket in (RESPONSES, ANOTHER_REGION):
        make_client("s3", CLOUDFORMATION).create_bucket(Bucket=bucket)
        # They take what is signed so.
        signer.put_object(Bucket=bucket, Key=PROOF, Body=b"")
    events = {}
    execute = lambda_svc._execute_function_with_config_scope
    put = s3._put_object

    def signed(function, event):
        if "ResponseURL" in event:
            forgery = forgeries.get(name_of(event["StackId"]), {})
            name = "|".join(event[field] for field in IDENTITY)
            events[name] = event
            place = {
                "Bucket": forgery.get("bucket", RESPONSES),
                "Key": name.replace(ACCOUNT, forgery.get("account", ACCOUNT)),
            }
            url = signer.generate_presigned_url("put_object", Params=place, ExpiresIn=7200)
            if "signature" in forgery:
                url = re.sub("(?<=X-Amz-Signature=).{8}", forgery["signature"], url)
            event = {**event, "ResponseURL": url}
        return execute(function, event)

    def delivered(bucket, name, body, headers):
        response = put(bucket, name, body, headers)
        event = events.get(unquote(name))
        if response[0] == 200 and bucket == RESPONSES and event:
            answer = checked(event, body)
            record.add("answered", stack=name_of(event["StackId"]), resource=event["LogicalResourceId"], answer=answer)
            custom_resource.deliver_response(event["ResponseURL"].rpartition("/")[2], answer)
        return response

    lambda_svc._execute_function_with_config_scope = signed
    s3._put_object = delivered


def checked(event, body):
    """An answer as CloudFormation takes it."""
    answer = json.loads(body)
    is_answer = all(answer.get(field) == event[field] for field in IDENTITY) and answer.get("PhysicalResourceId")
    if len(body) > MAX_ANSWER_BYTES:
        return {"Status": "FAILED", "Reason": "Response object is too long."}
    if not is_answer:
        return {"Status": "FAILED", "Reason": "Invalid response object."}
    return answer


def refuse_answers(outages):
    """The tests take S3 away from answers."""
    put = s3._put_object

    def refused(bucket, name, body, headers):
        if bucket == RESPONSES and outages.hit("PutObject", [unquote(name)]):
            return s3._error("AccessDenied", "Access Denied", 403)
        return put(bucket, name, body, headers)

    s3._put_object = refused


def delete_after_failed_create():
    """AWS sends a Delete when the Create of a custom resource failed, with the id that the answer had, or with one of
    its own where there was no answer."""
    failed, answered = {}, {}
    invoke = custom_resource.invoke_custom_resource
    deliver = custom_resource.deliver_response
    roll_back = stacks._roll_back_operation

    def noted(request, resource, properties, stack, stack_id, kind, **more):
        answered.pop((stack_id, resource), None)
        try:
            return invoke(request, resource, properties, stack, stack_id, kind, **more)
        except (RuntimeError, TimeoutError):
            if request == "Create":
                failed[stack_id, resource] = {"Properties": properties, "ResourceType": kind}
            raise

    def remembered(token, answer):
        answered[answer.get("StackId"), answer.get("LogicalResourceId")] = answer.get("PhysicalResourceId")
        return deliver(token, answer)

    async def rolled_back(stack_name, stack_id, stack, operation, *rest):
        name = operation.get("failed_logical_id")
        if resource := failed.pop((stack_id, name), None):
            invented = f"{stack_name}-{name}-1A2B3C4D5E6F7"
            resource["PhysicalResourceId"] = answered.get((stack_id, name)) or invented
            stack.setdefault("_resources", {})[name] = resource
            operation["created"].append(name)
        await roll_back(stack_name, stack_id, stack, operation, *rest)

    custom_resource.invoke_custom_resource = noted
    custom_resource.deliver_response = remembered
    stacks._roll_back_operation = rolled_back


def keep_what_was_not_deleted():
    """A resource whose Delete failed while a Create was rolled back stays in the stack, and is sent another when the
    stack is deleted; the engine forgets it."""
    roll_back = stacks._roll_back_operation

    async def rolled_back(stack_name, stack_id, stack, operation, *rest):
        await roll_back(stack_name, stack_id, stack, operation, *rest)
        if stack["StackStatus"] == "ROLLBACK_FAILED":
            stack["_resources"].update(stack["_rollback_failed"])

    stacks._roll_back_operation = rolled_back


def forget_what_was_not_cleaned_up():
    """A resource whose Delete failed while an update was cleaned up is no longer the stack's; the engine keeps it, and
    sends another Delete with the next update."""
    add_event = stacks._add_event

    def added(stack_id, stack, resource, kind, status, *rest, **more):
        add_event(stack_id, stack, resource, kind, status, *rest, **more)
        if (resource, status) == (stack, "UPDATE_COMPLETE"):
            resources = cloudformation._stacks[stack]["_resources"]
            for name in [name for name in resources if resources[name]["ResourceStatus"] == "DELETE_FAILED"]:
                del resources[name]

    stacks._add_event = added


def authorize_each_name():
    """AWS asks IAM for each parameter that a call names; for calls that name several the engine asks for `*`."""
    extract = iam_actions.extract_resource_arn
    enforce = iam_evaluator.enforce

    class Arn(str):
        names = ()

    def extracted(service, method, path, headers, body, query_params, region, account_id):
        arn = extract(service, method, path, headers, body, query_params, region, account_id)
        if service == "ssm" and (names := json.loads(body or b"{}").get("Names")):
            arn = Arn(arn)
            # A selector of a version is no part of the name.
            names = [name.partition(":")[0] for name in names]
            arn.names = [f"arn:aws:ssm:{region}:{account_id}:parameter/{name}" for name in names]
        return arn

    def enforced(*caller, resource_arn="*", **context):
        arns = getattr(resource_arn, "names", None) or [resource_arn]
        denials = (enforce(*caller, resource_arn=arn, **context) for arn in arns)
        return next(filter(None, denials), None)

    iam_actions.extract_resource_arn = extracted
    iam_evaluator.enforce = enforced


def retry_invocations(record):
    """Lambda invokes a function again, twice, when an asynchronous invocation ended in an error: after one and after
    two minutes, which are left out here. What a schedule sends is recorded, with what the function logged."""
    execute = lambda_svc._execute_function_with_config_scope

    def retried(function, event):
        if "ResponseURL" not in event:
            result = execute(function, event)
            record.add("watched", event=event, log=result.get("log", ""), body=result.get("body"))
            return result
        for _ in range(ATTEMPTS):
            result = execute(function, event)
            if not result.get("error"):
                break
            record.add("erred", stack=name_of(event["StackId"]), error=result["body"]["errorMessage"])
        return result

    lambda_svc._execute_function_with_config_scope = retried


def leave_schedules_to_tests():
    """No schedule's time comes but by `make_due`. To be called before the engine begins."""
    scheduler._SCHEDULE_TICK_INTERVAL = 86_400


def make_due(schedule):
    """Has a schedule's time come, and its target be sent what the schedule says."""
    for key in scheduler._schedules._data:
        if key[-1].endswith(f"/{schedule}"):
            scheduler._schedule_last_fired[key] = 0
    scheduler._tick_schedules()


def know_documents_and_associations():
    """AWS makes documents and associations of SSM; the engine knows neither, and refuses the template. Here they are
    names: nothing is run on nodes that it does not have."""

    def created(logical_id, properties, stack):
        return f"{stack}-{logical_id}-1A2B3C4D5E6F7", {}

    def updated(physical_id, old_properties, properties, stack):
        return physical_id, {}

    for kind in ("AWS::SSM::Document", "AWS::SSM::Association"):
        handlers = {"create": created, "update": updated, "delete": lambda physical_id, properties: None}
        provisioners._RESOURCE_HANDLERS[kind] = handlers
