// The client of npm's ws: all that through/websocket.py's client does. Ends with 0 and says how many checks held.
import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket } from "ws";

const [url, servedBy] = process.argv.slice(2);
let checks = 0;

function same(got, expected, what) {
  assert.deepEqual(got, expected, what);
  checks += 1;
}

// The messages are kept: one may come with the bytes of the 101, before anybody asks.
async function open(path, protocols = []) {
  const socket = new WebSocket(url + path, protocols, { maxPayload: 0, rejectUnauthorized: false });
  const kept = [];
  let wanted = null;
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? data : data.toString();
    if (wanted) wanted(message);
    else kept.push(message);
  });
  socket.next = () => new Promise((done) => {
    if (kept.length) return done(kept.shift());
    wanted = (message) => {
      wanted = null;
      done(message);
    };
  });
  socket.ended = once(socket, "close");
  socket.upgraded = once(socket, "upgrade");
  await once(socket, "open");
  return socket;
}

async function echoes() {
  const socket = await open("/echo", ["chat.v1", "chat.v2"]);
  same(socket.protocol, "chat.v2");
  const [response] = await socket.upgraded;
  same(response.headers["x-served-by"], servedBy);
  socket.send("héllo");
  same(await socket.next(), "héllo");
  for (const size of [0, 1, 125, 126, 65535, 65536, 1 << 20]) {
    const data = Buffer.alloc(size, "b");
    socket.send(data);
    const got = await socket.next();
    same([got.length, got.equals(data)], [size, true]);
  }
  socket.send("one,", { fin: false });
  socket.send("two", { fin: true });
  same(await socket.next(), "one,two");
  socket.ping("are you there");
  const [pong] = await once(socket, "pong");
  same(pong.toString(), "are you there");
  for (let number = 0; number < 200; number++) socket.send(`number ${number}`);
  for (let number = 0; number < 200; number++) same(await socket.next(), `number ${number}`);
  socket.close(4001, "bye");
  const [code, reason] = await socket.ended;
  same([code, reason.toString()], [4001, "bye"]);
}

async function ends() {
  const closed = await open("/echo");
  closed.send("close me");
  const [code, reason] = await closed.ended;
  same([code, reason.toString()], [4002, "as asked"]);
  const dropped = await open("/echo");
  dropped.send("drop me");
  same((await dropped.ended)[0], 1006);
}

async function serverSpeaksFirst() {
  const socket = await open("/greets");
  same(await socket.next(), "welcome");
  same((await socket.next()).length, 1 << 20);
  socket.close();
  await socket.ended;
}

async function refused() {
  const socket = new WebSocket(`${url}/forbidden`, { rejectUnauthorized: false });
  const [, response] = await once(socket, "unexpected-response");
  response.setEncoding("utf8");
  let body = "";
  for await (const part of response) body += part;
  same([response.statusCode, body], [401, "not you"]);
}

for (const part of [echoes, ends, serverSpeaksFirst, refused]) await part();
console.log(`${checks} checks`);
