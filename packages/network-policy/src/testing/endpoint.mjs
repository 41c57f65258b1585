/**
 * A pod's process for tests: serves TCP and UDP on the ports that it is told
 * (`UDP/53`, `UDP/53/<address>`), and asks others by commands on stdin. One line
 * of JSON each: `{id, ask: {address, port, protocol, waitMs}}` → `{id, answer: string | null}`;
 * `{id, hold: {address, port}}` opens a connection, and `{id, say: waitMs}` uses it.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import readline from 'node:readline';

const [name, ...listen] = process.argv.slice(2);
for (const each of listen) {
  const [protocol, port, address] = each.split('/');
  if (protocol === 'TCP')
    net
      .createServer((socket) =>
        socket.on('error', () => {}).on('data', () => socket.write(`${name}|${socket.remoteAddress}\n`)),
      )
      .listen(Number(port));
  else {
    const server = dgram.createSocket('udp4');
    server.on('message', (_, from) => server.send(`${name}|${from.address}`, from.port, from.address));
    server.bind(Number(port), address);
  }
}

function askUdp({ address, port, waitMs }) {
  return new Promise((resolve) => {
    const socket = dgram.createSocket('udp4');
    const end = (answer) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(end, waitMs, null);
    socket.on('message', (data) => end(data.toString()));
    socket.on('error', () => end(null));
    socket.connect(port, address, () => socket.send('?', () => {}));
  });
}

function openTcp({ address, port }) {
  const socket = net.connect(port, address);
  socket.on('error', () => {});
  return socket;
}

/** The next answer to one more byte. */
function say(socket, waitMs) {
  return new Promise((resolve) => {
    const end = (answer) => {
      clearTimeout(timer);
      socket.removeAllListeners('data');
      resolve(answer);
    };
    const timer = setTimeout(end, waitMs, null);
    socket.once('data', (data) => end(data.toString().trim().split('\n').at(-1)));
    socket.once('close', () => end(null));
    socket.write('?');
  });
}

async function askTcp(ask) {
  const socket = openTcp(ask);
  const answer = await say(socket, ask.waitMs);
  socket.destroy();
  return answer;
}

let held;
readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, ask, hold, say: waitMs } = JSON.parse(line);
  let answer = null;
  if (ask) answer = await (ask.protocol === 'UDP' ? askUdp(ask) : askTcp(ask));
  else if (hold) held = openTcp(hold);
  else answer = await say(held, waitMs);
  process.stdout.write(`${JSON.stringify({ id, answer })}\n`);
});
process.stdin.on('end', () => process.exit(0));
process.stdout.write(`${JSON.stringify({ id: 'ready' })}\n`);
