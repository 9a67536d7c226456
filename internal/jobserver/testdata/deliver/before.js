const tl = require('azure-pipelines-task-lib/task');

tl.setTaskVariable('ticket', 'T-42');
console.log(`before: ${tl.getInput('greeting')}`);
