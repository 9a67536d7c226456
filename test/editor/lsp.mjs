// Drives `slipway lsp` as an editor does, with the client library of VS Code: node lsp.mjs PATH/TO/slipway
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import protocol from 'vscode-languageserver-protocol/node.js'

const { createProtocolConnection, StreamMessageReader, StreamMessageWriter } = protocol
const program = process.argv[2]
assert.ok(program, 'name the program: node lsp.mjs bin/slipway')

const dir = mkdtempSync(join(tmpdir(), 'slipway-editor-'))
mkdirSync(join(dir, '.git'))
mkdirSync(join(dir, 'ci'))
writeFileSync(join(dir, 'ci/build.yml'), 'parameters:\n- name: image\n  type: string\nsteps:\n- task: Docker@2\n  inputs: {repository: "${{ parameters.image }}"}\n')
const uri = pathToFileURL(join(dir, 'azure-pipelines.yml')).href
const text = 'trigger: none\nsteps:\n- bash: echo $(Build.BuildId)\n  displayNam: grüße\n- template: ci/build.yml\n  parameters:\n    image: shop\n'

const server = spawn(program, ['lsp', '--stdio'], { stdio: ['pipe', 'pipe', 'inherit'] })
const ended = new Promise((resolve) => server.on('exit', (code) => resolve(code)))
const connection = createProtocolConnection(new StreamMessageReader(server.stdout), new StreamMessageWriter(server.stdin))
const told = []
let wake = () => {}
connection.onNotification(protocol.PublishDiagnosticsNotification.type, (p) => { told.push(p); wake() })
connection.listen()

// diagnostics waits for those of a version of the file.
async function diagnostics(version) {
  for (;;) {
    const found = told.find((p) => p.uri === uri && p.version === version)
    if (found) return found.diagnostics
    await new Promise((resolve) => { wake = resolve })
  }
}

const watchdog = setTimeout(() => { console.error('no answer within 30 seconds'); process.exit(1) }, 30_000)
try {
  const started = await connection.sendRequest(protocol.InitializeRequest.type, { processId: process.pid, rootUri: pathToFileURL(dir).href, capabilities: {} })
  assert.equal(started.serverInfo.name, 'slipway')
  assert.equal(started.capabilities.textDocumentSync.change, protocol.TextDocumentSyncKind.Incremental)
  await connection.sendNotification(protocol.InitializedNotification.type, {})
  await connection.sendNotification(protocol.DidOpenTextDocumentNotification.type, { textDocument: { uri, languageId: 'azure-pipelines', version: 1, text } })

  const first = await diagnostics(1)
  assert.equal(first.length, 1, JSON.stringify(first))
  assert.match(first[0].message, /unknown key "displayNam" of a bash step, did you mean "displayName"\?/)
  assert.deepEqual(first[0].range, { start: { line: 3, character: 2 }, end: { line: 3, character: 12 } })

  await connection.sendNotification(protocol.DidChangeTextDocumentNotification.type, {
    textDocument: { uri, version: 2 }, contentChanges: [{ range: { start: { line: 3, character: 12 }, end: { line: 3, character: 12 } }, text: 'e' }],
  })
  assert.deepEqual(await diagnostics(2), [])

  const position = (line, character) => ({ textDocument: { uri }, position: { line, character } })
  const completion = await connection.sendRequest(protocol.CompletionRequest.type, position(3, 2))
  assert.ok(completion.items.some((i) => i.label === 'env'), 'env completes a bash step')
  const hover = await connection.sendRequest(protocol.HoverRequest.type, position(2, 18))
  assert.match(hover.contents.value, /Build\.BuildId/)
  const definition = await connection.sendRequest(protocol.DefinitionRequest.type, position(4, 16))
  assert.equal(definition[0].uri, pathToFileURL(join(dir, 'ci/build.yml')).href)
  const symbols = await connection.sendRequest(protocol.DocumentSymbolRequest.type, { textDocument: { uri } })
  assert.deepEqual(symbols.map((s) => s.name), ['bash', 'ci/build.yml'])

  await connection.sendRequest(protocol.ShutdownRequest.type)
  await connection.sendNotification(protocol.ExitNotification.type)
  assert.equal(await ended, 0, 'it ends with 0 after shutdown and exit')
  console.log('an editor is served: diagnostics, completion, hover, definition, symbols')
} finally {
  clearTimeout(watchdog)
  server.kill()
  rmSync(dir, { recursive: true })
}
process.exit(0)
