//! The README's way from the deployed handler to ours, step by step, with a handler that does what that one does: it makes
//! a new CA for every Version, and deletes what it made.

use std::process::Command;

use crate::fixtures;
use crate::process::check;
use crate::rack::{self, Set};
use crate::stack::{CREATED, Stack};
use crate::story::Story;
use crate::template::Template;

const README: &str = include_str!("../../README.md");

/// A rack as it is deployed, but for its instances. The set is there already.
const FORMER: &str = "
Parameters:
  Rack:
    Type: String
  Version:
    Type: String
    Default: '1'
Resources:
  FormerRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal:
              Service: lambda.amazonaws.com
            Action: sts:AssumeRole
      Policies:
        - PolicyName: parameters
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
              - Effect: Allow
                Action: ssm:*
                Resource: '*'
  Former:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Timeout: 60
      Role: !GetAtt FormerRole.Arn
      Code:
        ZipFile: |
          import base64, json, urllib.request
          import boto3
          def handler(event, context):
              ssm = boto3.client('ssm')
              properties = event['ResourceProperties']
              h = properties['Rack'].encode().hex()
              keys = ('CACertSSMKey', 'CAKeySSMKey', 'CertSSMKey', 'KeySSMKey')
              names = [h + '-docker-tls-' + part for part in ('ca-cert', 'ca-key', 'cert', 'key')]
              data = dict(zip(keys, names))
              if 'ParameterKey' in properties:
                  stored = ssm.get_parameter(Name=properties['ParameterKey'], WithDecryption=True)
                  data = {'Value': stored['Parameter']['Value']}
              elif event['RequestType'] == 'Delete':
                  ssm.delete_parameters(Names=names)
              elif event.get('OldResourceProperties', properties)['Version'] != properties['Version']:
                  for name in names:
                      value = base64.b64encode(b'a new CA').decode()
                      ssm.put_parameter(Name=name, Value=value, Type='String', Overwrite=True)
              answer = {field: event[field] for field in ('StackId', 'RequestId', 'LogicalResourceId')}
              answer.update(Status='SUCCESS', PhysicalResourceId=h, Data=data)
              request = urllib.request.Request(event['ResponseURL'], json.dumps(answer).encode(), {'Content-Type': ''}, method='PUT')
              urllib.request.urlopen(request)
  Certificates:
    Type: Custom::SelfSignedCertificate
    Properties:
      ServiceToken: !GetAtt Former.Arn
      Rack: !Ref Rack
      Version: !Ref Version
  Certificate:
    Type: Custom::SelfSignedCertificateGetter
    Properties:
      ServiceToken: !GetAtt Former.Arn
      Rack: !Ref Rack
      ParameterKey: !GetAtt Certificates.CertSSMKey
      Version: !Ref Version
Outputs:
  Certificate:
    Value: !GetAtt Certificate.Value
";

/// What keeps the former resources where they are.
const RETAINED: &str = "
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain";

const GENERATOR: &str = "
  Certificates:
    Type: Custom::SelfSignedCertificate";
const GETTER: &str = "
  Certificate:
    Type: Custom::SelfSignedCertificateGetter";
const FORMER_TOKEN: &str = "
      ServiceToken: !GetAtt Former.Arn
      Rack: !Ref Rack";

/// The template with both resources kept when they leave it.
fn retained() -> Template {
    [GENERATOR, GETTER]
        .iter()
        .fold(Template::new(FORMER), |template, head| {
            template.with(&format!("{head}\n"), &format!("{head}{RETAINED}\n"))
        })
}

/// The same with ours in their place, of the stack that exports the token.
fn ours(function: &str) -> Template {
    let token = "
      ServiceToken: !ImportValue FUNCTION-ServiceToken
      Rack: !Ref Rack"
        .replace("FUNCTION", function);
    let text = retained().text().replace(FORMER_TOKEN, &token);
    let text = text.replace(RETAINED, "");
    let text = text.replace(
        GENERATOR,
        "
  DockerTLSCertGenerate:
    Type: Custom::DockerTLSCertGenerate",
    );
    let text = text.replace(
        GETTER,
        "
  DockerTLSCert:
    Type: Custom::DockerTLSCertGetter",
    );
    let text = text.replace("!GetAtt Certificates.", "!GetAtt DockerTLSCertGenerate.");
    Template::new(text.replace("!GetAtt Certificate.", "!GetAtt DockerTLSCert."))
}

#[test]
fn a_running_rack_moves_from_its_handler_to_ours() {
    let [deployed, _] = fixtures::deployed();
    let rack = deployed.rack.as_str();
    let story = Story::begin("the README's move from the deployed handler");
    let before = deployed.install(&story.ssm);
    let mut function = Stack::ours(&story, "handover-certgen");
    function
        .create("the function alone", &[])
        .ends("CREATE_COMPLETE");
    let mut stack = Stack::of(&story, "handover", Template::new(FORMER));
    stack
        .create("the rack with its handler", &[("Rack", rack)])
        .ends("CREATE_COMPLETE")
        .exchanges(&["Create Certificates SUCCESS", "Create Certificate SUCCESS"]);
    assert_eq!(Set::read(&story.ssm, rack), before);

    stack.set_template(retained());
    stack
        .update("1. retain the old resources", &[])
        .ends("UPDATE_COMPLETE")
        .exchanges(&[]);
    assert_eq!(Set::read(&story.ssm, rack), before);

    let ours = ours("handover-certgen");
    let failing = ours.with(
        "\nOutputs:",
        "
  Failing:
    Type: Custom::DockerTLSCertGetter
    DependsOn: DockerTLSCert
    Properties:
      ServiceToken: !ImportValue handover-certgen-ServiceToken
      Rack: !Ref Rack
      ParameterKey: a-foreign-parameter
Outputs:",
    );
    stack.set_template(failing);
    stack
        .update("2. ours instead, and a later resource fails", &[])
        .ends("UPDATE_ROLLBACK_COMPLETE")
        .exchanges(&[
            "Create DockerTLSCertGenerate SUCCESS",
            "Create DockerTLSCert SUCCESS",
            "Create Failing FAILED",
            "Delete Failing SUCCESS",
            "Delete DockerTLSCert SUCCESS",
            "Delete DockerTLSCertGenerate SUCCESS",
        ]);
    assert_eq!(Set::read(&story.ssm, rack), before);

    stack.set_template(ours);
    stack
        .update("2. and 3. ours instead", &[])
        .ends("UPDATE_COMPLETE")
        .exchanges(&CREATED);
    assert_eq!(Set::read(&story.ssm, rack), before);
    stack
        .update("another Version", &[("Version", "2")])
        .updated()
        .writes_nothing();
    assert_eq!(Set::read(&story.ssm, rack), before);

    stack.delete("delete the rack").deleted();
    assert_eq!(Set::read(&story.ssm, rack), before);
    for name in names_to_remove(rack) {
        story.ssm.remove(&name);
    }
    story.check_removed(rack);
    function
        .delete("delete the function")
        .ends("DELETE_COMPLETE");
}

/// The names that the README's command removes.
fn names_to_remove(rack: &str) -> Vec<String> {
    let mut lines = README.lines();
    let command = lines.find_map(|line| line.strip_prefix("aws ssm delete-parameters --names "));
    let names = format!(" {}", command.expect("the README tells"));
    let names = names.replace(" h-", &format!(" {}-", rack::hex(rack)));
    let expanded = check(Command::new("bash").args(["-c", &format!("echo {names}")]));
    let expanded = String::from_utf8_lossy(&expanded.stdout).into_owned();
    expanded.split_whitespace().map(str::to_owned).collect()
}
