// grpc-js as a client: what through rosn has to be as it is without. Prints how many checks held.
//   node grpcclient.mjs PORT [CA]
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import grpc from "@grpc/grpc-js";
import { options, service } from "./grpcservice.mjs";

const [port, ca] = process.argv.slice(2);
const credentials = ca ? grpc.credentials.createSsl(readFileSync(ca)) : grpc.credentials.createInsecure();
const named = ca ? { "grpc.ssl_target_name_override": "interop.test" } : {};
const Client = grpc.makeGenericClientConstructor({ ...service, Nothing: { ...service.Unary, path: "/interop.Echo/Nothing" } });
const client = new Client(`127.0.0.1:${port}`, credentials, { ...options, ...named, "grpc.enable_retries": 0 });
let checks = 0;

function same(got, expected, what) {
  assert.deepEqual(got, expected, what);
  checks += 1;
}

// One message there and one back; what came, before it and after it too.
function unary(method, message, { metadata = new grpc.Metadata(), ...more } = {}) {
  const got = {};
  return new Promise((done, failed) => {
    const call = client[method](Buffer.from(message), metadata, more, (error, answer) => {
      if (error) failed(error);
      got.answer = answer;
    });
    call.on("metadata", (first) => (got.first = first));
    call.on("status", ({ metadata: last }) => done({ ...got, last }));
  });
}

const failure = (promise) => promise.then(() => assert.fail("the call went well"), (error) => error);
const next = async (messages) => (await messages.next()).value?.toString();
const cancelled = async () => (await unary("Cancelled", "")).answer.toString().split(" ").map(Number);

// The server gets to know of it, and what a call that hung had left.
async function isCancelled(before) {
  const end = Date.now() + 20_000;
  for (;;) {
    const [count, remaining] = await cancelled();
    if (count > before) return remaining;
    assert.ok(Date.now() < end, "the server knows nothing of the cancelling");
    await setTimeout(10);
  }
}

for (const size of [0, 1, 1000, 100_000, 12 << 20]) {
  const message = randomBytes(size);
  same((await unary("Unary", message)).answer.equals(message), true, `${size} bytes`);
}

// Values of one name may be put together on the way: their order is what counts.
const metadata = new grpc.Metadata();
const binary = Buffer.from([0, 255, 44, 10]);
for (const [key, value] of [["x-a", "1"], ["x-a", "2"], ["x-b-bin", binary]]) metadata.add(key, value);
const { first, last } = await unary("Metadata", "", { metadata });
same([first.get("x-a").join(", "), first.get("x-b-bin")], ["1, 2", [binary]]);
same([last.get("x-a-late").join(", "), last.get("x-b-late-bin")], ["1, 2", [binary]]);

const collected = await new Promise((done, failed) => {
  const call = client.Collect((error, answer) => (error ? failed(error) : done(answer.toString())));
  for (let number = 0; number < 1000; number += 1) call.write(Buffer.alloc(number));
  call.end();
});
same(collected, "1000 499500");

const counted = [];
for await (const message of client.Count(Buffer.from("1000 100"))) counted.push(message.toString());
same(counted, Array.from({ length: 1000 }, (_, number) => number + ".".repeat(100)));

// Each message is answered before the next is sent: nothing may be held back.
const talk = client.Talk();
const answers = talk[Symbol.asyncIterator]();
for (let number = 0; number < 200; number += 1) {
  talk.write(Buffer.from(`${number}`));
  assert.equal(await next(answers), `${number}`);
}
talk.end();
same(await next(answers), undefined);

// An error with its details, and one without: both are trailers without a message before.
const text = "no such thing: ü 100%\n";
const failed = await failure(unary("Fail", text));
same([failed.code, failed.details], [grpc.status.NOT_FOUND, text]);
same(failed.metadata.get("grpc-status-details-bin"), [Buffer.from("\x08\x05\x12\x02no\x00\xff", "latin1")]);
same((await failure(unary("Nothing", ""))).code, grpc.status.UNIMPLEMENTED);

let [before] = await cancelled();
same((await failure(unary("Hang", "", { deadline: Date.now() + 500 }))).code, grpc.status.DEADLINE_EXCEEDED);
const remaining = await isCancelled(before);
same(remaining > 0 && remaining <= 0.5, true, `the server was given ${remaining} s`);

for (const [code, more] of [[grpc.status.DEADLINE_EXCEEDED, { deadline: Date.now() + 500 }], [grpc.status.CANCELLED, {}]]) {
  [before] = await cancelled();
  const call = client.Watch(Buffer.from("for ever"), more);
  const watched = call[Symbol.asyncIterator]();
  same(await next(watched), "first");
  if (!more.deadline) call.cancel();
  same((await failure(watched.next())).code, code);
  await isCancelled(before);
}

// A stream that is not read does not stop the calls beside it, however many.
const stuck = client.Count(Buffer.from("100 1000000"));
stuck.on("error", (error) => assert.equal(error.code, grpc.status.CANCELLED));
await new Promise((done) => stuck.once("readable", done));
const many = await Promise.all(Array.from({ length: 300 }, (_, number) => unary("Unary", `${number}`)));
same(many.map(({ answer }) => answer.toString()), Array.from({ length: 300 }, (_, number) => `${number}`));
stuck.cancel();

client.close();
console.log(`${checks} checks`);
