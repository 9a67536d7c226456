const fs = require('fs');
const path = require('path');
const tl = require('azure-pipelines-task-lib/task');
const { SecureFileHelpers } = require('azure-pipelines-tasks-securefiles-common/securefiles-common');

// relative is a path as seen from the sources.
function relative(file) {
  return path.relative(tl.getVariable('Build.SourcesDirectory'), file) || '.';
}

function endpoint() {
  const id = tl.getInput('service');
  if (!id) {
    return;
  }
  const auth = tl.getEndpointAuthorization(id, false);
  console.log(`service ${tl.getEndpointUrl(id, false)}, ${auth.scheme}, ${tl.getEndpointAuthorizationScheme(id, false)}`);
  console.log(`user ${auth.parameters.username}, ${tl.getEndpointAuthorizationParameter(id, 'username', false)}, region ${tl.getEndpointDataParameter(id, 'region_name', false)}`);
  console.log(`password of ${tl.getEndpointAuthorizationParameter(id, 'password', false).length}: ${auth.parameters.password}`);
}

async function run() {
  console.log(`greeting ${tl.getInputRequired('greeting')}, loud ${tl.getBoolInput('loud')}, mode ${tl.getInput('mode')}, why ${tl.getInput('why it fails')}`);
  console.log(`parcel ${relative(tl.getPathInput('parcel', true, true))} ${tl.filePathSupplied('parcel')}, address ${relative(tl.getPathInput('address'))} ${tl.filePathSupplied('address')}`);
  console.log(`in ${relative(process.cwd())}`);
  const key = tl.getVariable('api.key');
  console.log(`key of ${key.length}: ${key}, secret ${tl.getVariables().find((v) => v.name === 'api.key').secret}`);
  console.log(`colour ${tl.getVariable('my.colour')}, secret ${tl.getVariables().find((v) => v.name === 'my.colour').secret}`);
  console.log(`ticket ${tl.getTaskVariable('ticket')}`);
  const left = Object.keys(process.env).filter((name) => /^(INPUT_|SECRET_|ENDPOINT_AUTH_)/.test(name) && process.env[name]);
  console.log(`left in the environment: ${left.join() || 'nothing'}`);
  endpoint();
  const id = tl.getInput('certificate');
  if (id) {
    const file = await new SecureFileHelpers(1).downloadSecureFile(id);
    console.log(`certificate ${tl.getSecureFileName(id)}: ${fs.readFileSync(file, 'utf8').trim()}`);
  }
  tl.debug('only with System.Debug');
  tl.warning('the parcel is fragile');
  tl.setVariable('receipt', 'R-17', false, true);
  tl.setVariable('weight', '3 kg');
  tl.setVariable('plain', 'P-18');
  if (tl.getInput('mode') === 'bad') {
    throw new Error(tl.getInputRequired('why it fails'));
  }
  tl.setResult(tl.TaskResult.Succeeded, 'delivered');
}

run().catch((error) => tl.setResult(tl.TaskResult.Failed, error.message));
