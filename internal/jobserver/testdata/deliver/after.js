const tl = require('azure-pipelines-task-lib/task');

console.log(`after: ticket ${tl.getTaskVariable('ticket')}, the job has ${tl.getVariable('agent.jobstatus')}`);
