// The page of a terminal: joins xterm.js with the server's web socket. Binary messages are bytes, text messages say the size of the
// window and why the terminal ends.
'use strict';

document.addEventListener('DOMContentLoaded', () => {
  const element = document.getElementById('terminal');
  const state = document.getElementById('terminal-state');
  const terminal = new Terminal({ cursorBlink: true, scrollback: 10000, fontSize: 13 });
  const fit = new FitAddon.FitAddon();
  terminal.loadAddon(fit);
  terminal.open(element);
  fit.fit();

  const address = new URL(element.dataset.socket, location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  const socket = new WebSocket(address);
  socket.binaryType = 'arraybuffer';
  const encoder = new TextEncoder();
  const pieces = 16 * 1024; // of what is pasted, in bytes
  const size = () => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: 'size', columns: terminal.cols, rows: terminal.rows }));
  };
  socket.addEventListener('open', () => {
    state.textContent = 'Connected. Leave with exit, or close the page.';
    size();
    terminal.focus();
  });
  let ended = '';
  socket.addEventListener('message', (event) => {
    if (typeof event.data !== 'string') {
      terminal.write(new Uint8Array(event.data));
      return;
    }
    const message = JSON.parse(event.data);
    if (message.type === 'end') ended = message.reason;
  });
  socket.addEventListener('close', () => {
    terminal.options.disableStdin = true;
    state.textContent = 'The terminal is over: ' + (ended || 'the connection was lost') + '. Load the page again for another.';
  });
  terminal.onData((text) => {
    const bytes = encoder.encode(text);
    for (let i = 0; i < bytes.length && socket.readyState === WebSocket.OPEN; i += pieces) socket.send(bytes.subarray(i, i + pieces));
  });
  terminal.onBinary((text) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(Uint8Array.from(text, (c) => c.charCodeAt(0)));
  });
  terminal.onResize(size);
  new ResizeObserver(() => fit.fit()).observe(element);
});
