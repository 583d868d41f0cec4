// Node.js as a client of HTTP/2: what through rosn has to be as it is without. Prints how many checks held.
//   node http2client.mjs URL CA
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [url, ca] = process.argv.slice(2);
const session = http2.connect(url, { ca: readFileSync(ca), servername: "interop.test" });
await once(session, "remoteSettings");
let checks = 0;

function same(got, expected, what) {
  assert.deepEqual(got, expected, what);
  checks += 1;
}

async function ask(headers, body, trailers) {
  const stream = session.request(headers, { endStream: body === undefined, waitForTrailers: Boolean(trailers) });
  if (trailers) stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  const got = { interim: [], trailers: {} };
  stream.on("headers", (head) => got.interim.push(head[":status"]));
  stream.on("trailers", (head) => Object.assign(got.trailers, head));
  stream.on("response", (head) => (got.head = head));
  if (body !== undefined) stream.end(body);
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  got.body = Buffer.concat(chunks);
  return got;
}

const put = (path) => ({ ":method": "PUT", ":path": path });

// Trailers in both directions, around a MiB.
const data = randomBytes(1 << 20);
const digest = createHash("sha256").update(data).digest("hex");
const echoed = await ask({ ...put("/echo"), te: "trailers" }, data, { "x-sent": "after all" });
same([echoed.head[":status"], echoed.body.equals(data)], [200, true]);
same([echoed.trailers["x-digest"], echoed.trailers["x-came"]], [digest, "after all"], "trailers");

// A hundred at a time on this connection.
const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => ask(put("/echo"), `number ${at}`)));
same(answers.map((answer) => answer.body.toString()), Array.from({ length: 100 }, (_, at) => `number ${at}`));

// Early hints.
const hinted = await ask({ ":path": "/hints" });
same([hinted.interim, hinted.head[":status"], hinted.body.toString()], [[103], 200, "hinted"]);

// One that is given up, and one beside it that is not.
const beside = ask({ ":path": "/slow/300" });
const hangs = session.request({ ":path": "/hangs/node" });
await once(hangs, "response");
hangs.close(http2.constants.NGHTTP2_CANCEL);
await once(hangs, "close");
same((await beside).body.toString(), "slow");
for (let gone = false; !gone; ) gone = (await ask({ ":path": "/cancelled/node" })).body.toString() === "true";

// A body that breaks off is an error here, too.
await assert.rejects(ask({ ":path": "/breaks" }));
checks += 1;

// Crumbs of cookies are one line at the other end.
const asked = JSON.parse((await ask({ ":path": "/asked", cookie: ["a=1", "b=2", "c=3"] })).body);
same(asked.headers.cookie, "a=1; b=2; c=3");

await new Promise((done, failed) => session.ping((error) => (error ? failed(error) : done())));
checks += 1;
session.close();
await once(session, "close");
console.log(`${checks} checks`);
